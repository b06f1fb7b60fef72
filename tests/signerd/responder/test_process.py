"""The responder as a process of its own."""

import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.query
import pytest

from answering import read_zone, to_name
from signerd.responder.sockets import Address, bind_tcp, bind_udp
from signerd.zones.manifest import write_manifest
from signerd.zones.publication import Publication
from signerd.zones.zone_directory import zone_directory_name


@pytest.fixture
def published(tmp_path: Path, zone_text: str) -> Path:
    zone = read_zone(zone_text, "example.")
    directory = tmp_path / "published dir"
    Publication(directory / zone_directory_name(zone.origin)).publish(zone, None)
    write_manifest(directory, [zone.origin, to_name("empty.test")])
    return directory


@contextmanager
def run_responder(*arguments: str, pass_fds: tuple[int, ...] = ()) -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "signerd.responder", *arguments],
        pass_fds=pass_fds,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_serves_on_inherited_sockets_until_told_to_end(published: Path) -> None:
    with bind_udp(Address("127.0.0.1", 0)) as udp, bind_tcp(Address("127.0.0.1", 0)) as tcp:
        udp_port, tcp_port = udp.getsockname()[1], tcp.getsockname()[1]
        arguments = [
            "--published",
            str(published),
            "--udp-fd",
            str(udp.fileno()),
            "--tcp-fd",
            str(tcp.fileno()),
        ]
        with run_responder(*arguments, pass_fds=(udp.fileno(), tcp.fileno())) as process:
            query = dns.message.make_query("www.example", "A")
            # asked before the process is up: the socket keeps the query
            assert dns.query.udp(query, "127.0.0.1", port=udp_port, timeout=20).answer
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGHUP)
            query = dns.message.make_query("big.example", "TXT")
            assert dns.query.tcp(query, "127.0.0.1", port=tcp_port, timeout=20).answer
            query = dns.message.make_query("empty.test", "A")
            assert dns.query.udp(query, "127.0.0.1", port=udp_port, timeout=20).rcode() == 2
            limits = Path(f"/proc/{process.pid}/limits").read_text()
            assert "Max core file size        0                    0" in limits
            with socket.create_connection(("127.0.0.1", tcp_port), 20):
                process.terminate()
                assert process.wait(20) == 0


def test_binds_its_own_addresses(published: Path) -> None:
    with bind_udp(Address("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1@{probe.getsockname()[1]}"
    with run_responder("--published", str(published), "--listen", address) as process:
        assert process.stderr is not None
        ready = next(line for line in process.stderr if b"answering on" in line)
        assert address.encode() in ready
        query = dns.message.make_query("www.example", "A")
        assert dns.query.udp(query, "127.0.0.1", port=int(address.partition("@")[2]), timeout=20).answer


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "nothing to answer on"),
        (["--listen", "127.0.0.1"], "'127.0.0.1' is not of the form ADDRESS@PORT"),
        (["--listen", "localhost@5300"], "'localhost' is not a numeric address"),
        (["--listen", "192.0.2.1@5300"], "Cannot assign requested address"),
        (["--listen", "127.0.0.1@0", "--udp-octets", "100"], "--udp-octets must be 512 to 4096"),
        (["--listen", "127.0.0.1@0", "--identity", "x" * 256], "is longer than 255 octets"),
    ],
)
def test_wrong_arguments_are_explained(tmp_path: Path, arguments: list[str], reason: str) -> None:
    with run_responder("--published", str(tmp_path), *arguments) as process:
        _, errors = process.communicate(timeout=20)
        assert process.returncode in (1, 2)
        assert reason in errors.decode()
        assert "Traceback" not in errors.decode()
