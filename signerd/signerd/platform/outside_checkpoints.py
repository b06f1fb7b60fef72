"""The newest checkpoints kept outside of the database, so that an older copy of it is noticed."""

import json
import logging
from pathlib import Path
from typing import cast

from signerd.zones.durable_file import replace_file

logger = logging.getLogger(__name__)


class OutsideCheckpoints:
    """A file, best on another volume: one JSON object a line with `chain` and `note`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: dict[str, str] | None = None

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def read(self) -> dict[str, str]:
        """Give the note of each chain; a line that cannot be read is logged and left out."""
        found: dict[str, str] = {}
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return found
        for number, line in enumerate(lines, 1):
            try:
                members: object = json.loads(line)
            except ValueError:
                members = None
            values = cast("dict[str, object]", members) if isinstance(members, dict) else {}
            chain, note = values.get("chain"), values.get("note")
            if isinstance(chain, str) and isinstance(note, str):
                found[chain] = note
            else:
                logger.warning("%s: line %d is no checkpoint", self._path, number)
        return found

    def write(self, notes: dict[str, str]) -> None:
        """Replace the file, durably, if there is something new.

        Raises:
            OSError: It cannot be written.
        """
        if notes == self._written:
            return
        lines = [json.dumps({"chain": chain, "note": notes[chain]}) + "\n" for chain in sorted(notes)]
        replace_file(self._path, [line.encode() for line in lines])
        self._written = dict(notes)
