import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from answering import to_name
from signerd.control.line_server import LineStream, listen_unix, serve_lines
from signerd.dns.name import Name
from signerd.responder import control_link
from signerd.responder.control_link import ControlLink

ONE, TWO = to_name("one.test"), to_name("two.test")


class FakeServed:
    """Writes down what the control process asked for."""

    def __init__(self) -> None:
        self.serials: dict[Name, int] = {ONE: 1}
        self.calls: list[object] = []
        self.called = trio.Event()

    def _note(self, call: object) -> None:
        self.calls.append(call)
        self.called.set()
        self.called = trio.Event()

    def describe(self) -> Mapping[str, object]:
        return {"pid": 7}

    def count(self) -> Mapping[str, object]:
        return {"queries_udp": 3}

    def list_serials(self) -> Mapping[Name, int]:
        return self.serials

    async def refresh(self) -> None:
        self._note("all")

    async def refresh_manifest(self) -> None:
        self._note("manifest")

    async def refresh_zone(self, apex: Name) -> None:
        self._note(apex)

    def drain(self) -> None:
        self._note("drain")


class FakeControl:
    """Takes connections of responders."""

    def __init__(self, path: Path) -> None:
        self.listener = listen_unix(path, 0o600)
        self.send_link, self.links = trio.open_memory_channel[LineStream](5)

    async def handle(self, lines: LineStream) -> None:
        await self.send_link.send(lines)
        await trio.sleep_forever()

    async def run(self) -> None:
        await serve_lines(self.listener, self.handle)


async def receive(lines: LineStream) -> dict[str, object]:
    message = await lines.receive()
    assert message is not None
    return message


@pytest.fixture(params=["short", "x" * 60 + "/" + "y" * 60])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    directory = tmp_path / str(request.param)
    directory.mkdir(parents=True)
    return directory / "responders.sock"


async def test_conversation(path: Path, nursery: trio.Nursery) -> None:
    served, control = FakeServed(), FakeControl(path)
    link = ControlLink(path, served)
    nursery.start_soon(control.run)
    nursery.start_soon(link.run)
    with trio.fail_after(60):
        lines = await control.links.receive()
        assert await receive(lines) == {"hello": {"pid": 7}}
        assert await receive(lines) == {"loaded": {"zone": "one.test", "serial": 1}}
        assert await receive(lines) == {"counters": {"queries_udp": 3}}
        link.report(TWO, 5)
        assert await receive(lines) == {"loaded": {"zone": "two.test", "serial": 5}}
        link.report(ONE, None)
        assert await receive(lines) == {"unloaded": {"zone": "one.test"}}
        assert await receive(lines) == {"counters": {"queries_udp": 3}}
        for message in (
            {"zone": "two.test", "serial": 6},
            {"zone": "bad..name"},
            {"something": "else"},
            {"zones": True},
            {"look": True},
            {"drain": True},
        ):
            await lines.send(message)
        while "drain" not in served.calls:
            await served.called.wait()
    assert served.calls == ["all", TWO, "manifest", "all", "drain"]


async def test_lost_link_is_made_again(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_link, "LONGEST_WAIT_SECONDS", 0.05)
    served, control = FakeServed(), FakeControl(tmp_path / "sock")
    nursery.start_soon(control.run)
    nursery.start_soon(ControlLink(tmp_path / "sock", served).run)
    with trio.fail_after(60):
        for _ in range(3):
            lines = await control.links.receive()
            assert "hello" in await receive(lines)
            assert "loaded" in await receive(lines)
            await lines.aclose()


async def test_control_process_that_talks_nonsense_is_left(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_link, "LONGEST_WAIT_SECONDS", 0.05)
    left, leaving = trio.open_memory_channel[bool](5)

    async def talk(stream: trio.SocketStream) -> None:
        await stream.send_all(b"no JSON\n")
        while await stream.receive_some():
            pass
        await left.send(True)

    listener = listen_unix(tmp_path / "sock", 0o600)
    nursery.start_soon(trio.serve_listeners, talk, [listener])
    nursery.start_soon(ControlLink(tmp_path / "sock", FakeServed()).run)
    with trio.fail_after(60):
        assert await leaving.receive()
        assert await leaving.receive()


async def test_without_a_control_process_zones_are_looked_at_now_and_then(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_link, "LONGEST_WAIT_SECONDS", 0.05)
    served = FakeServed()
    nursery.start_soon(ControlLink(tmp_path / "sock", served).run)
    with trio.fail_after(60):
        while len(served.calls) < 3:
            await served.called.wait()
    assert set(served.calls) == {"all"}


@pytest.mark.parametrize(
    ("farewell", "level", "text"),
    [
        ([{"stopping": True}], "INFO", "the control process has stopped"),
        ([], "WARNING", "the control process is gone; answering goes on"),
    ],
)
async def test_the_end_of_the_control_process_is_a_warning_unless_it_was_announced(
    tmp_path: Path,
    nursery: trio.Nursery,
    caplog: pytest.LogCaptureFixture,
    farewell: list[dict[str, object]],
    level: str,
    text: str,
) -> None:
    caplog.set_level(logging.INFO, control_link.__name__)
    control = FakeControl(tmp_path / "sock")
    nursery.start_soon(control.run)
    nursery.start_soon(ControlLink(tmp_path / "sock", FakeServed()).run)
    with trio.fail_after(60):
        lines = await control.links.receive()
        assert "hello" in await receive(lines)
        for message in farewell:
            await lines.send(message)
        await lines.aclose()
        await control.links.receive()  # it has come back
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert (level, text) in told
    assert (level == "WARNING") == any(other == "WARNING" for other, _ in told)
