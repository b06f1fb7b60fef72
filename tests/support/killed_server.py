"""A server that is killed once at each transition of the keys of its zones, and begins again at once.

`DaemonProcess` runs this file in place of the command. It loads the program once and forks: its children are
the control process, which after each kill has nothing but what is on the disk, and the responders, which
would otherwise load the program for each of hundreds of lives. SIGUSR1 kills the control process at whatever
it does.

Beside the configuration, `armed` names the zones whose transitions kill, without final dot, and
`killed-at` gets a line for each kill: the zone, when (`BEFORE`, ...) and at what.
"""

import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import trio
from sqlalchemy import Engine

from signerd import custody
from signerd.config.loader import load_config
from signerd.daemon import run
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, format_name
from signerd.dns.zone import Zone
from signerd.responder.__main__ import main as run_responder
from signerd.rollover import zone_timetable
from signerd.rollover.beginning import name_keys
from signerd.rollover.timetable_record import TimetableRecord, write_record
from signerd.signer.timetable_keys import KskSource, StoredKey, TimetableKeys
from signerd.signer.zone_key_store import ACTIVE, ZoneKeyStore
from signerd.timetable.presence import Trace
from signerd.timetable.state import KeyRole, TimetableState
from signerd.zones.publication import Publication
from signerd.zones.snapshot import Progress
from signerd_kms.key import Key

BEFORE = "before"  # a state is stored
STORED = "stored"  # it was, and nothing that follows from it is done
HALF_MADE = "half-made"  # the KMS has a key of which the zone does not know
MADE = "made"  # a key is there, and nothing says yet that it is
PUBLISHED = "published"  # a version is on the disk, and nobody was told
FORGOTTEN = "forgotten"  # a key was given up

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Places:
    """Where the control process was killed, in this life and those before it."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "killed-at"
        armed = directory / "armed"
        self._armed = armed.read_text().split() if armed.exists() else []
        self._known = set(self._file.read_text().splitlines()) if self._file.exists() else set[str]()
        self.lock = (
            threading.RLock()
        )  # what is done and the kill after it belong together: no other comes between

    def strike(self, zone: Name, moment: str, what: str) -> None:
        """Kill the process, unless one was killed here already."""
        name = format_name(zone).rstrip(".")
        line = f"{name} {moment} {what}"
        if name not in self._armed or line in self._known:
            return
        with self.lock:
            with self._file.open("a") as file:
                file.write(f"{line}\n")
            os.kill(os.getpid(), signal.SIGKILL)


def describe_state(state: TimetableState) -> str:
    """Say where keys stand: the same however long it takes."""

    def tell(trace: Trace) -> str:
        return f"{trace.presence}{'' if trace.settles_at is None else ', seen'}"

    rollovers = [
        (change.number, change.kind, change.is_aborted, sorted(change.approved)) for change in state.rollovers
    ]
    keys = [
        (key.name, key.made_at is not None, tell(key.dnskey), tell(key.data), tell(key.ds))
        for key in state.keys
    ]
    coverage = [(number, tell(trace)) for number, trace in sorted(state.coverage.items())]
    return json.dumps([rollovers, keys, coverage, state.denial])


def describe_version(zone: Zone) -> str:
    """Say what keys do in a version: the same after signatures were made anew."""
    apex = zone.names[zone.origin]
    records = {
        kind: sorted(rdata[-4:].hex() for rdata in apex[kind].rdatas)
        for kind in (rt.DNSKEY, rt.CDS, rt.NSEC3PARAM)
        if kind in apex
    }
    signers = {
        (rrset.type in (rt.DNSKEY, rt.CDS, rt.CDNSKEY), int.from_bytes(signature[16:18]))
        for rrset in zone.iterate_rrsets()
        for signature in rrset.signatures
    }
    return json.dumps([records, sorted(signers)])


def arm(places: Places) -> None:
    """Let all that is stored or done kill."""
    publish = Publication.publish
    make_first, make = TimetableKeys.make_first, TimetableKeys.make
    forget, store_kms_key = TimetableKeys.forget, ZoneKeyStore.store_kms_key

    def write_and_die(
        engine: Engine, zone: Name, record: TimetableRecord, now: int, identity: str | None = None
    ) -> None:
        what = describe_state(record.state)
        with places.lock:
            places.strike(zone, BEFORE, what)
            write_record(engine, zone, record, now, identity)
            places.strike(zone, STORED, what)

    def publish_and_die(
        publication: Publication,
        new: Zone,
        previous: Zone | None,
        progress: Progress | None = None,
        on_published: Callable[[], None] = lambda: None,
    ) -> tuple[str, ...]:
        def die_or_tell() -> None:
            places.strike(new.origin, PUBLISHED, describe_version(new))
            on_published()

        with places.lock:
            return publish(publication, new, previous, progress, die_or_tell)

    def make_first_and_die(
        keys: TimetableKeys, zone: Name, source: KskSource, *, is_csk: bool
    ) -> Sequence[StoredKey]:
        with places.lock:
            made = make_first(keys, zone, source, is_csk=is_csk)
            places.strike(zone, MADE, " ".join(name_keys(made).values()))
        return made

    def make_and_die(
        keys: TimetableKeys, zone: Name, name: str, role: KeyRole, algorithm: int, source: KskSource
    ) -> None:
        with places.lock:
            make(keys, zone, name, role, algorithm, source)
            places.strike(zone, MADE, name)

    def half_make_and_die(
        store: ZoneKeyStore,
        zone: Name,
        role: str,
        key: Key,
        *,
        timetable_name: str | None = None,
        state: str = ACTIVE,
    ) -> None:
        places.strike(zone, HALF_MADE, timetable_name or role)
        store_kms_key(store, zone, role, key, timetable_name=timetable_name, state=state)

    def forget_and_die(keys: TimetableKeys, zone: Name, key: StoredKey) -> None:
        with places.lock:
            forget(keys, zone, key)
            places.strike(zone, FORGOTTEN, str(key.name))

    put(zone_timetable, write_record=write_and_die)
    put(Publication, publish=publish_and_die)
    put(TimetableKeys, make_first=make_first_and_die, make=make_and_die, forget=forget_and_die)
    put(ZoneKeyStore, store_kms_key=half_make_and_die)


def put(place: object, **functions: Callable[..., object]) -> None:
    """Put functions in the place of those of a module or class."""
    for name, function in functions.items():
        setattr(place, name, function)


class ForkedResponder:
    """What the control process knows of a responder that is a child of its parent: as much as of its own."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    async def wait(self) -> int:
        """Wait until it is no more."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                await trio.lowlevel.wait_readable(descriptor)
            finally:
                os.close(descriptor)
        self.returncode = 0
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)


def live(config: Path, link: socket.socket, *, is_first: bool) -> None:
    """Be the control process, once."""

    async def start_responder(command: list[str], **_: object) -> ForkedResponder:
        link.sendall(json.dumps(command[command.index("--published") :]).encode())
        return ForkedResponder(int(link.recv(64)))

    def do_nothing(*_: object) -> None:
        pass

    put(trio.lowlevel, open_process=start_responder)
    if not is_first:  # the same program on the same machine: what it is made of was tried
        put(custody, run_self_test=do_nothing, upgrade=do_nothing)
    arm(Places(config.parent))
    run(load_config(config))


def serve(link: socket.socket, responders: list[int]) -> None:
    """Fork the responders that a control process asks for, until it is no more."""
    while command := link.recv(65536):
        responders[:] = [pid for pid in responders if os.waitpid(pid, os.WNOHANG)[0] == 0]
        pid = os.fork()
        if pid == 0:
            link.close()
            die_with_parent()
            os.setsid()
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
            os._exit(run_responder(json.loads(command)))
        responders.append(pid)
        link.sendall(str(pid).encode())


def die_with_parent() -> None:
    """Leave nothing running when the test ends the first process."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(config: Path) -> int:
    """Give the server one life after the other, until it ends by itself."""
    responders: list[int] = []
    control = 0

    def kill(_number: int, _frame: object) -> None:
        if control:
            os.kill(control, signal.SIGKILL)

    signal.signal(signal.SIGUSR1, kill)
    gc.freeze()
    is_first = True
    while True:
        link, other = socket.socketpair()
        control = os.fork()
        if control == 0:
            link.close()
            die_with_parent()
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
            live(config, other, is_first=is_first)
            return 0
        other.close()
        serve(link, responders)
        link.close()
        ended, control = control, 0
        status = os.waitstatus_to_exitcode(os.waitpid(ended, 0)[1])
        if status != -signal.SIGKILL:
            return status
        is_first = False


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
