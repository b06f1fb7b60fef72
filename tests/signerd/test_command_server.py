"""What the operator is told of commands."""

from collections.abc import Mapping
from typing import cast

import pytest

from signerd.control.command_server import CommandServer, Keys
from signerd.control.line_server import LineStream
from signerd.dns.name import Name
from signerd.zones.fleet import ZoneUnknown
from signerd.zones.keeper import Outcome
from signerd.zones.pipeline import SigningImpossible


class FakeZones:
    def __init__(self, outcomes: Mapping[str, Outcome]) -> None:
        self._outcomes = outcomes

    async def reload(self, name: Name | None, *, allow_mass_deletion: bool = False) -> Mapping[str, Outcome]:
        del name
        return self._outcomes

    async def forget(self, name: Name) -> None:
        raise ZoneUnknown(f"zone {name!r} is not served here")


class OneRequest:
    """A client that sends one command and keeps the reply."""

    def __init__(self, request: dict[str, object]) -> None:
        self._requests = [request]
        self.replies: list[Mapping[str, object]] = []

    async def receive(self) -> dict[str, object] | None:
        return self._requests.pop() if self._requests else None

    async def send(self, reply: Mapping[str, object]) -> None:
        self.replies.append(reply)


async def command(outcomes: Mapping[str, Outcome], request: dict[str, object]) -> Mapping[str, object]:
    async def accept_clock() -> dict[str, object]:
        raise SigningImpossible("no keys: the KMS is not open yet")

    keys = cast("Keys", None)  # no command here is about keys
    server = CommandServer(FakeZones(outcomes), dict, accept_clock, keys, lambda: None)
    client = OneRequest(request)
    await server.serve(cast("LineStream", client))
    [reply] = client.replies
    return reply


PUBLISHED = Outcome(is_published=True, error=None)
SAME = Outcome(is_published=False, error=None)
BAD = Outcome(is_published=False, error="zones/c.test.zone:3: error: no")


@pytest.mark.parametrize(
    ("outcomes", "is_ok", "text"),
    [
        ({}, True, "0 unchanged"),
        ({"a.test": SAME}, True, "1 unchanged"),
        ({"a.test": SAME, "b.test": PUBLISHED}, True, "published a new version of b.test; 1 unchanged"),
        ({"c.test": BAD}, False, "zone c.test: zones/c.test.zone:3: error: no"),
        (
            {"d.test": BAD, "a.test": SAME, "b.test": PUBLISHED, "c.test": BAD},
            False,
            "zone c.test: zones/c.test.zone:3: error: no\n"
            "zone d.test: zones/c.test.zone:3: error: no\n"
            "published a new version of b.test; 1 unchanged",
        ),
        # a zone whose data as last accepted was signed again though its file is refused
        (
            {"c.test": Outcome(is_published=True, error="why")},
            False,
            "zone c.test: why\npublished a new version of c.test",
        ),
    ],
)
async def test_reload_says_a_line_for_each_zone_that_failed_and_what_became_of_the_others(
    outcomes: Mapping[str, Outcome], is_ok: bool, text: str
) -> None:
    reply = await command(outcomes, {"command": "reload"})
    assert reply["ok"] is is_ok
    assert reply["message" if is_ok else "error"] == text


async def test_only_a_zone_that_was_forgotten_is_logged_as_forgotten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    reply = await command({}, {"command": "forget", "zone": "a.test"})
    assert reply["ok"] is False
    assert not caplog.messages


async def test_a_clock_that_cannot_be_accepted_now_is_no_end_of_the_server() -> None:
    reply = await command({}, {"command": "clock_accept"})
    assert reply == {"ok": False, "error": "no keys: the KMS is not open yet"}
