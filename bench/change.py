"""How long it takes from handing over a change of a zone until every responder answers with it.

    python -P bench/change.py [--names 100,100000] [--changes 200] [--over api]

A whole server runs on a signed zone (NSEC3, P-256) with two responders. One change after the other goes to
the zone's keeper, or over HTTP to a zone of the API: a name that is new, other data of a name, a name that
goes, in turns; names that are new or go change the chain. Time runs from writing the change to a socket until
the answers over UDP from a handful of source ports, which the kernel spreads over the responders, all show
it; they are asked every millisecond. Beside that it says how long until the keeper said that the version is
published, or the API answered.
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
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

import httpx

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
PART_RECORDS = 9_000  # an import takes no more than 10,000
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


class Changer(Protocol):
    """Hands over changes."""

    def hand_over(self, owner: str, address: tuple[int, ...] | None) -> None:
        """Send one."""
        ...

    def is_published(self) -> bool:
        """Look whether it was said that the last one is published, without waiting."""
        ...


def has_arrived(sock: socket.socket) -> bool:
    """Look whether there is something to read."""
    sock.setblocking(False)
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    finally:
        sock.setblocking(True)
    return True


class KeeperChanger:
    """Hands changes to the zone's keeper."""

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
        if not has_arrived(self._socket):
            return False
        reply = json.loads(self._lines.readline())
        assert reply == {"published": True, "error": None}, reply
        return True


class ApiChanger:
    """Sends changes of a zone of the API over HTTP, on one connection after the other."""

    def __init__(self, daemon: DaemonProcess) -> None:
        report = daemon.status()
        assert report is not None
        host, _, port = str(report["admin"]).rpartition("@")
        self._address = host, int(port)
        token = (daemon.state / "admin.token").read_text().strip()
        self._headers = {"Authorization": f"Token {token}", "X-Organisation-Identity": "local"}
        self._socket: socket.socket | None = None

    def call(self, method: str, path: str, body: object = None) -> None:
        """Make another call, and wait for its end."""
        url = f"http://{self._address[0]}:{self._address[1]}/v1/dns/zones{path}"
        headers = self._headers
        response = httpx.request(method, url, headers=headers, json=body, timeout=START_SECONDS)
        assert response.is_success, response.text

    def hand_over(self, owner: str, address: tuple[int, ...] | None) -> None:
        """Send one."""
        step: dict[str, object] = {"action": "delete", "name": owner, "type": "A"}
        if address is not None:
            values = [".".join(map(str, address))]
            step = {**step, "action": "upsert", "ttl": 60, "values": values}
        body = json.dumps({"changes": [step]}).encode()
        lines = [f"POST /v1/dns/zones/{ZONE}/records:batch HTTP/1.1", "Host: bench"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self._headers.items()]
        if self._socket is not None and has_arrived(self._socket):  # closed, as after some number of calls
            self._socket.close()
            self._socket = None
        if self._socket is None:
            self._socket = socket.create_connection(self._address)
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def is_published(self) -> bool:
        """Look whether the API has answered, without waiting."""
        assert self._socket is not None
        if not has_arrived(self._socket):
            return False
        reply = b""
        while not reply.endswith(b"}"):  # head and body may come apart
            received = self._socket.recv(1 << 16)
            assert received, "the connection was closed"
            reply += received
        assert reply.startswith(b"HTTP/1.1 200"), reply
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

    def wait_until_signed(self, seconds: float) -> None:
        """Wait until the zone is."""
        query = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + ORIGIN + b"\x00\x30\x00\x01"  # DNSKEY
        deadline = time.monotonic() + seconds
        for sock in self._sockets:
            sock.send(query)
            while int.from_bytes(sock.recv(4096)[6:8]) == 0:
                assert time.monotonic() < deadline, "the zone is not signed"
                time.sleep(0.1)
                sock.send(query)


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


def split_zone(text: str) -> Iterator[str]:
    """Cut a generated zone into parts that an import takes; SOA and NS are the API's own."""
    lines = text.splitlines()
    head = "\n".join(lines[:2])
    start = next(number for number, line in enumerate(lines) if line.startswith("ns1\t"))
    while start < len(lines):
        end = min(start + PART_RECORDS, len(lines))
        while end < len(lines) and lines[end].startswith("\t"):  # more of the same owner
            end -= 1
        yield "\n".join([head, *lines[start:end], ""])
        start = end


def fill_api_zone(daemon: DaemonProcess, names: int) -> ApiChanger:
    """Make a zone over HTTP that is signed and served."""
    changer = ApiChanger(daemon)
    changer.call("POST", "", {"zoneName": ZONE})
    for part in split_zone(generate_bulk_zone(ZONE + ".", names)):
        changer.call("POST", f"/{ZONE}/import", {"zoneFile": part})
    changer.call("PUT", f"/{ZONE}/dnssec", {"region": "local"})
    return changer


def measure(directory: Path, names: int, changes: int, *, is_over_api: bool) -> Figures:
    """Make changes one after the other."""
    (directory / "zones").mkdir(parents=True)
    if not is_over_api:
        (directory / "zones" / f"{ZONE}.zone").write_text(generate_bulk_zone(ZONE + ".", names))
    script = None if is_over_api else SCRIPT
    daemon = DaemonProcess(directory, options="responders:\n  count: 2\n", script=script)
    try:
        daemon.start(wait=False)
        daemon.wait_for(lambda _: "signerd answers on" in daemon.log, START_SECONDS)
        asker = Asker(daemon.port)
        changer: Changer
        if is_over_api:
            changer = fill_api_zone(daemon, names)
            asker.wait_until_signed(START_SECONDS)
        else:
            changer = KeeperChanger(directory / "edits.sock")
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
    parser.add_argument("--over", choices=["keeper", "api"], default="keeper", help="how changes arrive")
    arguments = parser.parse_args()
    print("| Names | Served: p50 | p99 | longest | Published: p50 | p99 | CPU of the control process |")
    print("|---|---|---|---|---|---|---|")
    for names in arguments.names.split(","):
        with tempfile.TemporaryDirectory() as directory:
            is_over_api = arguments.over == "api"
            figures = measure(Path(directory), int(names), arguments.changes, is_over_api=is_over_api)
            served, published, cpu = figures
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
