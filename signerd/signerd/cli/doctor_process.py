"""The running server as `signerd doctor` sees it through /proc and systemd."""

import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from signerd.cli.doctor_finding import Finding, Verdict
from signerd.unix_address import short_address

_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid (unix(7), SO_PEERCRED)
_CONNECT_SECONDS: Final = 5.0
DIRECTIVES: Final[Mapping[str, str]] = {"MemoryDenyWriteExecute": "yes", "ProtectSystem": "strict"}
"""Directives of a systemd unit that /proc does not show, and what they should be."""

ShowUnit = Callable[[str], Mapping[str, str] | None]
"""Gives the directives of a unit; None if there is no systemd to ask."""


def find_server(control_socket: Path) -> int | None:
    """Give the process that listens on the control socket; None if nobody does."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_CONNECT_SECONDS)
            with short_address(control_socket) as address:
                connection.connect(address)
            octets = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    return int(_CREDENTIALS.unpack(octets)[0])


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """One process.

    Attributes:
        proc: Its directory, `/proc/PID`.
        swaps: `/proc/swaps`.
        cgroups: `/sys/fs/cgroup`.
        show_unit: Asks systemd.
    """

    proc: Path
    swaps: Path
    cgroups: Path
    show_unit: ShowUnit

    def check(self) -> Iterator[Finding]:
        """Look at all that the system shows of it."""
        status = dict(_split(line) for line in _read(self.proc / "status"))
        if not status:
            yield Finding(Verdict.UNSEEN, "process", f"{self.proc} cannot be read")
            return
        uid = status["Uid"].split()[1]
        is_root = uid == "0"
        yield Finding(
            Verdict.BAD if is_root else Verdict.GOOD,
            "user",
            "root; run it as a user of its own" if is_root else f"runs as user {uid}",
        )
        yield _judge(status.get("NoNewPrivs") == "1", "NoNewPrivileges", "set NoNewPrivileges=yes")
        yield self._check_core()
        if is_root:
            yield Finding(Verdict.UNSEEN, "dumpable", "cannot be told of a process of root")
        else:  # the files of a process that is not dumpable belong to root (proc(5))
            is_closed = self.proc.stat().st_uid == 0
            yield _judge(is_closed, "dumpable", "other processes of its user can read its memory", "no")
        yield self._check_swap(status)
        yield from self._check_unit()

    def _check_core(self) -> Finding:
        for line in _read(self.proc / "limits"):
            if line.startswith("Max core file size"):
                soft, hard = line.split()[4:6]
                return _judge((soft, hard) == ("0", "0"), "LimitCORE", f"is {hard}; set LimitCORE=0", "0")
        return Finding(Verdict.UNSEEN, "LimitCORE", f"{self.proc / 'limits'} cannot be read")

    def _check_swap(self, status: Mapping[str, str]) -> Finding:
        lines = _read(self.swaps)
        if len(lines) == 1:
            return Finding(Verdict.GOOD, "swap", "the machine has none")
        group = self._find_group()
        limit = _read(self.cgroups / group.lstrip("/") / "memory.swap.max") if group else []
        if limit == ["0"]:
            return Finding(Verdict.GOOD, "swap", "forbidden to the server")
        if not lines:
            return Finding(Verdict.UNSEEN, "swap", f"{self.swaps} cannot be read")
        swapped = status.get("VmSwap", "an unknown amount")
        return Finding(
            Verdict.BAD,
            "swap",
            f"the machine has some, and {swapped} of the server are in it; set MemorySwapMax=0",
        )

    def _check_unit(self) -> Iterator[Finding]:
        group = self._find_group()
        unit = next((part for part in reversed(group.split("/")) if part.endswith(".service")), None)
        shown = self.show_unit(unit) if unit else None
        for name, wanted in DIRECTIVES.items():
            value = (shown or {}).get(name)
            if value is None:
                reason = f"systemd says nothing of {unit}" if unit else "it is no unit of systemd"
                yield Finding(Verdict.UNSEEN, name, reason)
            else:
                yield _judge(value == wanted, name, f"is {value}; set {name}={wanted}", value)

    def _find_group(self) -> str:
        for line in _read(self.proc / "cgroup"):
            if line.startswith("0::"):  # the one hierarchy of version 2
                return line[3:]
        return ""


def _judge(is_good: bool, what: str, bad: str, good: str = "yes") -> Finding:
    return Finding(Verdict.GOOD if is_good else Verdict.BAD, what, good if is_good else bad)


def _read(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _split(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()
