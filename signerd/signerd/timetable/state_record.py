"""The state of a timetable as JSON, for keeping it between steps and runs."""

import json
from typing import Final

from pydantic import TypeAdapter, ValidationError

from signerd.timetable.state import TimetableState

FORMAT: Final = 1
_ADAPTER: Final = TypeAdapter(TimetableState)


class BadStateRecord(ValueError):
    """What was kept is no state of a timetable, or one of a newer version; the message says what is wrong."""

    code = "timetable.bad_state_record"


def write_state(state: TimetableState) -> str:
    """Give the record of a state: the same for equal states."""
    return json.dumps(
        {"format": FORMAT, "state": _ADAPTER.dump_python(state, mode="json")},
        sort_keys=True,
        separators=(",", ":"),
    )


def read_state(text: str) -> TimetableState:
    """Read a record.

    Raises:
        BadStateRecord: It cannot be read. Nothing may be done to the keys of the zone then.
    """
    try:
        record: object = json.loads(text)
    except ValueError as error:
        raise BadStateRecord(f"the record is no JSON: {error}") from error
    if not isinstance(record, dict) or "state" not in record:
        raise BadStateRecord("the record has no state in it")
    if record.get("format") != FORMAT:  # pyright: ignore[reportUnknownMemberType] - any JSON
        raise BadStateRecord("the record was written by another version of this program")
    try:
        return _ADAPTER.validate_json(json.dumps(record["state"]))
    except ValidationError as error:
        raise BadStateRecord(f"the record does not hold a state: {error.errors()[0]['msg']}") from error
