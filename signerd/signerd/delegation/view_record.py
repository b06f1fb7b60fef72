"""What is known of the parent as JSON, for keeping it."""

import json
from collections.abc import Mapping
from typing import cast

from signerd.delegation.parent_view import ParentView, ServerAnswer, Sighting


def write_view(view: ParentView) -> str:
    """Give the record of a view."""
    return json.dumps(
        {
            "answers": [
                {
                    "server": answer.server,
                    "at": answer.at,
                    "ds": None if answer.ds is None else sorted(rdata.hex() for rdata in answer.ds),
                    "ttl": answer.ttl,
                    "error": answer.error,
                    "ignored": answer.is_ignored,
                }
                for answer in view.answers
            ],
            "sightings": {
                rdata.hex(): [sighting.ttl, sighting.seen_at, sighting.gone_at]
                for rdata, sighting in view.sightings.items()
            },
            "problem": view.problem,
        }
    )


def read_view(text: str) -> ParentView:
    """Read a record."""
    members = cast("dict[str, object]", json.loads(text))
    answers = cast("list[dict[str, object]]", members["answers"])
    sightings = cast("Mapping[str, tuple[int, int, int | None]]", members["sightings"])
    return ParentView(
        tuple(
            ServerAnswer(
                str(answer["server"]),
                cast("int", answer["at"]),
                None
                if answer["ds"] is None
                else frozenset(bytes.fromhex(rdata) for rdata in cast("list[str]", answer["ds"])),
                cast("int", answer["ttl"]),
                cast("str | None", answer["error"]),
                bool(answer.get("ignored")),
            )
            for answer in answers
        ),
        {bytes.fromhex(rdata): Sighting(*values) for rdata, values in sightings.items()},
        cast("str | None", members["problem"]),
    )
