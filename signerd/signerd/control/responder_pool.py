"""Keeps the responder processes running and tells them what changed."""

import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from signerd.control.line_server import LineStream, read_object
from signerd.control.listen_address import ListenAddress
from signerd.dns.serial import is_newer

logger = logging.getLogger(__name__)

STABLE_SECONDS = 30.0  # a responder that ran this long starts again at once, others wait
LONGEST_WAIT_SECONDS = 10.0
DRAIN_SECONDS = 5.0  # how long a responder may take to answer what it has before it is killed
PASSED_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "TMPDIR")  # nothing that could hold a secret


@dataclass(slots=True, eq=False)
class ResponderState:
    """What the control process knows of one responder process."""

    pid: int
    is_own: bool  # False for one left by a control process that died
    link: LineStream | None = None
    counters: dict[str, object] = field(default_factory=dict[str, object])
    loaded: dict[str, int] = field(default_factory=dict[str, int])  # zone name to serial
    restarts: int = 0


class ResponderPool:
    """The responders of this control process, and those that an earlier one left behind."""

    def __init__(self, command: Sequence[str], count: int) -> None:
        """Prepare; nothing runs before `run`.

        Args:
            command: Program and arguments of a responder, the same for each.
            count: How many to keep running.
        """
        self._command = tuple(command)
        self._count = count
        self._change = trio.Event()
        self._responders: dict[int, ResponderState] = {}

    @property
    def count(self) -> int:
        """How many there shall be."""
        return self._count

    @property
    def responders(self) -> list[ResponderState]:
        """Those that run now."""
        return list(self._responders.values())

    async def run(self) -> None:
        """Keep the responders running until cancelled, then drain them."""
        async with trio.open_nursery() as nursery:
            for number in range(self._count):
                nursery.start_soon(self._keep_running, number)

    def _on_change(self) -> None:
        self._change.set()
        self._change = trio.Event()

    async def wait_for_change(self) -> None:
        """Wait until a responder comes, goes or loads a zone."""
        await self._change.wait()

    async def wait_until_serving(self, zones: Mapping[str, int]) -> None:
        """Wait until every own responder has loaded the zones, each at that serial or another one since."""
        while not self._are_all_serving(zones):
            # one zone after the other, so that looking at each change does not mean looking at all of them
            for part in ({}, *({zone: serial} for zone, serial in zones.items())):
                while not self._are_all_serving(part):
                    await self._change.wait()

    async def wait_for_stranger(self) -> None:
        """Wait until a responder of an earlier control process is connected."""
        while all(state.is_own or state.link is None for state in self.responders):
            await self._change.wait()

    async def _keep_running(self, number: int) -> None:
        restarts = 0
        wait_seconds = 0.0
        environment = {name: os.environ[name] for name in PASSED_ENVIRONMENT if name in os.environ}
        while True:
            started = trio.current_time()
            # exec, not fork: a copy of this process's memory would hold keys
            process = await trio.lowlevel.open_process(
                [*self._command],
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C and a dying terminal reach the control process only
            )
            state = self._responders.setdefault(process.pid, ResponderState(process.pid, is_own=True))
            state.is_own = True
            state.restarts = restarts
            try:
                status = await process.wait()
            except trio.Cancelled:
                await self._drain(process)
                raise
            finally:
                self._responders.pop(process.pid, None)
                self._on_change()
            restarts += 1
            if trio.current_time() - started > STABLE_SECONDS:
                wait_seconds = 0.0
            logger.error(
                "responder %d (process %d) ended with status %s; starts again in %.1f s",
                number,
                process.pid,
                status,
                wait_seconds,
            )
            await trio.sleep(wait_seconds)
            wait_seconds = min(max(wait_seconds * 2, 0.5), LONGEST_WAIT_SECONDS)

    async def _drain(self, process: trio.Process) -> None:
        with trio.move_on_after(DRAIN_SECONDS, shield=True):
            process.terminate()
            await process.wait()
        if process.returncode is None:
            process.kill()

    async def serve_link(self, link: LineStream) -> None:
        """Talk with one responder that connected to the Unix socket, until it goes."""
        hello = await link.receive()
        greeting = read_object(hello.get("hello")) if hello else None
        pid = greeting.get("pid") if greeting else None
        if not isinstance(pid, int):
            logger.warning("a process connected as a responder without saying hello")
            return
        state = self._responders.setdefault(pid, ResponderState(pid, is_own=False))
        state.link = link
        if not state.is_own:
            logger.warning("responder process %d was left by an earlier control process", pid)
        self._on_change()
        try:
            # it looked when it connected: what was published between that and now was announced to others
            await link.send({"look": True})
            while (message := await link.receive()) is not None:
                self._take_in(state, message)
        finally:
            state.link = None
            if not state.is_own:
                self._responders.pop(pid, None)
            self._on_change()

    def _take_in(self, state: ResponderState, message: dict[str, object]) -> None:
        if (counters := read_object(message.get("counters"))) is not None:
            state.counters = counters
            return
        match message:
            case {"loaded": {"zone": str() as zone, "serial": int() as serial}}:
                state.loaded[zone] = serial
                self._on_change()
            case {"unloaded": {"zone": str() as zone}}:
                state.loaded.pop(zone, None)
                self._on_change()
            case _:
                logger.warning("responder process %d sent an unknown message", state.pid)

    async def announce(self, message: dict[str, object]) -> None:
        """Tell every connected responder; one that is gone is told by the files when it starts again."""

        async def tell(pid: int, link: LineStream) -> None:
            with trio.move_on_after(1):
                try:
                    await link.send(message)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    logger.info("responder process %d is gone", pid)

        async with trio.open_nursery() as nursery:  # one that does not read holds up none of the others
            for state in self.responders:
                if state.link is not None:
                    nursery.start_soon(tell, state.pid, state.link)

    async def say_goodbye(self) -> None:
        """Tell all responders that this process ends in good order; takes a second at most."""
        await self.announce({"stopping": True})

    async def retire_strangers(self) -> None:
        """Have the responders of an earlier control process finish; called once the new ones answer."""
        for state in self.responders:
            if not state.is_own and state.link is not None:
                logger.info("responder process %d of an earlier control process is drained", state.pid)
                try:
                    await state.link.send({"drain": True})
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    logger.info("responder process %d is gone", state.pid)

    def _are_all_serving(self, zones: Mapping[str, int]) -> bool:
        own = [state for state in self.responders if state.is_own and state.link is not None]
        return len(own) == self._count and all(
            zone in state.loaded and not is_newer(serial, state.loaded[zone])
            for state in own
            for zone, serial in zones.items()
        )


def make_command(
    *, published: Path, control_socket: Path, addresses: Sequence[ListenAddress], options: Sequence[str] = ()
) -> list[str]:
    """Build the command line of a responder."""
    command = [sys.executable, "-P", "-m", "signerd.responder"]
    command += ["--published", str(published), "--control-socket", str(control_socket)]
    for address in addresses:
        command += ["--listen", str(address)]
    return [*command, *options]
