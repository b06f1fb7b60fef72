"""How long it takes from handing over a change of a zone until every responder answers with it.

    python -P bench/change.py [--names 100,100000] [--changes 200]

A whole server runs on a signed zone (NSEC3, P-256) with two responders. One change after the other goes to
the zone's keeper, as the API hands them over: a name that is new, other data of a name, a name that goes, in
turns; names that are new or go change the chain. Time runs from writing the change to a socket until the
answers over UDP from a handful of source ports, which the kernel spreads over the responders, all show it;
they are asked every millisecond. Beside that it says how long until the keeper said that the version is
published.
"""

import argparse
import json
import os
import socket
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from daemon_process import DaemonProcess
from signerd.dns.name import Name, parse_name
from signerd.unix_address import short_address
from zone_generator import generate_bulk_zone

ZONE = "bench.test"
ORIGIN = parse_name(ZONE + ".")
PORTS = 12  # that all of them meet the same one of two responders has a probability of 1 in 2048
POLL_SECONDS = 0.001
LONGEST_SECONDS = 60.0
START_SECONDS = 900.0
SCRIPT = """
import pathlib, sys
import trio
import signerd.daemon
from signerd.config.loader import load_config
from signerd.control.line_server import listen_unix, serve_lines
from signerd.dns.name import parse_name
from signerd.dns.rrset import RRset
from signerd.zones.fleet import ZoneFleet

config = pathlib.Path(sys.argv[1])
ORIGIN = parse_name("bench.test.")

class EditedFleet(ZoneFleet):
    async def run(self, known, task_status=trio.TASK_STATUS_IGNORED):
        async def edit(lines):
            while (message := await lines.receive()) is not None:
                owner = parse_name(message["owner"], ORIGIN)
                address = message["address"]
                types = {} if address is None else {1: RRset(owner, 1, 60, (bytes(address),))}
                outcome = await self.keepers[ORIGIN].edit({owner: types})
                await lines.send({"published": outcome.is_published, "error": outcome.error})

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_lines, listen_unix(config.parent / "edits.sock", 0o600), edit)
            await super().run(known, task_status)

signerd.daemon.ZoneFleet = EditedFleet
signerd.daemon.run(load_config(config))
"""


class Changer:
    """Hands over changes."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with short_address(path) as address:
            self._socket.connect(address)
        self._lines = self._socket.makefile("rb")

    def hand_over(self, owner: str, address: tuple[int, ...] | None) -> None:
        """Send one."""
        self._socket.sendall(json.dumps({"owner": owner, "address": address}).encode() + b"\n")

    def is_published(self) -> bool:
        """Look whether the keeper has said so, without waiting."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        finally:
            self._socket.setblocking(True)
        reply = json.loads(self._lines.readline())
        assert reply == {"published": True, "error": None}, reply
        return True


class Asker:
    """Asks all responders over and over until they know."""

    def __init__(self, port: int) -> None:
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(PORTS)]
        for sock in self._sockets:
            sock.connect(("127.0.0.1", port))
            sock.settimeout(5)

    def count_ignorant(self, owner: Name, address: bytes | None) -> int:
        """Ask from every port; count the answers that do not show the change."""
        query = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + owner + b"\x00\x01\x00\x01"
        for sock in self._sockets:
            sock.send(query)
        count = 0
        for sock in self._sockets:
            answer = sock.recv(4096)
            rcode, records = answer[3] & 15, int.from_bytes(answer[6:8])
            if address is None:
                count += rcode != 3
            else:
                count += not (records and b"\x00\x04" + address in answer)
        return count


class Figures(NamedTuple):
    """What the changes took, in seconds.

    Attributes:
        served: Until each was served.
        published: Until it was published.
        cpu: Of the control process for one, the mean.
    """

    served: list[float]
    published: list[float]
    cpu: float


def read_cpu_seconds(pid: int) -> float:
    """Give user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(directory: Path, names: int, changes: int) -> Figures:
    """Make changes one after the other."""
    (directory / "zones").mkdir(parents=True)
    (directory / "zones" / f"{ZONE}.zone").write_text(generate_bulk_zone(ZONE + ".", names))
    daemon = DaemonProcess(directory, options="responders:\n  count: 2\n", script=SCRIPT)
    try:
        daemon.start(wait=False)
        daemon.wait_for(lambda _: "signerd answers on" in daemon.log, START_SECONDS)
        changer, asker = Changer(directory / "edits.sock"), Asker(daemon.port)
        served: list[float] = []
        published: list[float] = []
        assert daemon.process is not None
        cpu = 0.0
        for number in range(changes + 3):
            if number == 3:
                cpu = read_cpu_seconds(daemon.process.pid)
            owner = f"change{number // 3}"
            address = None if number % 3 == 2 else (192, 0, 2, number % 250 + 1)
            name = parse_name(owner, ORIGIN)
            started = time.perf_counter()
            changer.hand_over(owner, address)
            seconds_published: float | None = None
            while True:
                if seconds_published is None and changer.is_published():
                    seconds_published = time.perf_counter() - started
                is_served = asker.count_ignorant(name, None if address is None else bytes(address)) == 0
                passed = time.perf_counter() - started
                if is_served:
                    break
                assert passed < LONGEST_SECONDS, f"change {number} is not served; log: {daemon.log[-2000:]}"
                time.sleep(POLL_SECONDS)
            while seconds_published is None:
                if changer.is_published():
                    seconds_published = time.perf_counter() - started
            if number >= 3:  # the first ones find nothing remembered
                served.append(passed)
                published.append(seconds_published)
        cpu = (read_cpu_seconds(daemon.process.pid) - cpu) / changes
        daemon.stop()
        return Figures(served, published, cpu)
    finally:
        daemon.end()


def find_percentile(values: list[float], percent: int) -> float:
    """Give the value that so many percent of them do not exceed, in milliseconds."""
    return 1000 * statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description="Measure the time from a change to its being served.")
    parser.add_argument("--names", default="100,100000", help="sizes of zones, with commas between")
    parser.add_argument("--changes", type=int, default=200)
    arguments = parser.parse_args()
    print("| Names | Served: p50 | p99 | longest | Published: p50 | p99 | CPU of the control process |")
    print("|---|---|---|---|---|---|---|")
    for names in arguments.names.split(","):
        with tempfile.TemporaryDirectory() as directory:
            served, published, cpu = measure(Path(directory), int(names), arguments.changes)
        cells = [
            *(find_percentile(served, percent) for percent in (50, 99)),
            1000 * max(served),
            *(find_percentile(published, percent) for percent in (50, 99)),
            1000 * cpu,
        ]
        row = " | ".join(f"{cell:.0f} ms" for cell in cells)
        print(f"| {int(names):,} | {row} |", flush=True)


if __name__ == "__main__":
    main()
