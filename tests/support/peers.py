"""Other name servers and resolvers, run on a loopback port of their own for as long as a test needs them."""

import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.query

SBIN = "/usr/sbin:/sbin:/usr/local/sbin"
START_SECONDS = 30.0

Running = Generator[subprocess.Popen[bytes]]


class ToolMissing(Exception):
    """A program that the test compares with is not installed; `.ci/run` installs it."""


def find_tool(name: str) -> str:
    """Give the path of a program, also of those that Debian keeps in sbin."""
    path = shutil.which(name) or shutil.which(name, path=SBIN)
    if path is None:
        raise ToolMissing(f"{name} is not installed; .ci/run installs what the tests need")
    return path


def find_free_port() -> int:
    """Give a port that is free for UDP and TCP on 127.0.0.1 at this moment."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port: int = udp.getsockname()[1]
            try:
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_for_answer(port: int, name: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers a SOA query other than with SERVFAIL or REFUSED."""
    query = dns.message.make_query(name, "SOA")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode}")
        try:
            if dns.query.udp(query, "127.0.0.1", port=port, timeout=0.5).rcode() in (0, 3):
                return
        except (dns.exception.DNSException, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not answer on port {port}")


@contextmanager
def _running(command: list[str], log: Path, port: int, name: str) -> Running:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)
        try:
            wait_for_answer(port, name, process)
            yield process
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{log.read_text(errors='replace')[-2000:]}") from error
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def run_named(directory: Path, zones: dict[str, Path], port: int, threads: int = 1) -> Running:
    """Serve zone files with BIND's named."""
    with run_named_with(directory, zones, port, threads=threads) as process:
        yield process


@contextmanager
def run_named_with(
    directory: Path,
    zones: dict[str, Path],
    port: int,
    *,
    threads: int = 1,
    statements: str = "",
    zone_options: str = "",
) -> Running:
    """Serve zone files with BIND's named as configured.

    Args:
        directory: For its files.
        zones: Zone name to its master file.
        port: Where it answers.
        threads: Of its own.
        statements: Further statements of the configuration.
        zone_options: Further options of each zone.
    """
    directory.mkdir(parents=True, exist_ok=True)
    statements += "\n".join(
        f'zone "{name}" {{ type primary; file "{file}"; notify no; {zone_options} }};'
        for name, file in zones.items()
    )
    configuration = directory / "named.conf"
    configuration.write_text(
        f"""options {{
            directory "{directory}"; pid-file "{directory}/named.pid";
            session-keyfile "{directory}/session.key";
            listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
            recursion no; minimal-responses yes; allow-transfer {{ any; }}; dnssec-validation no;
            check-names primary ignore; check-integrity no;
            check-mx ignore; check-srv-cname ignore; check-wildcard no;
            querylog no; max-udp-size 1232; edns-udp-size 1232; rate-limit {{ responses-per-second 0; }};
        }};
        controls {{ }};
        {statements}
        """
    )
    command = [find_tool("named"), "-g", "-n", str(threads), "-c", str(configuration)]
    with _running(command, directory / "named.log", port, next(iter(zones))) as process:
        yield process


@contextmanager
def run_nsd(directory: Path, zones: dict[str, Path], port: int, servers: int = 1) -> Running:
    """Serve zone files with NSD."""
    directory.mkdir(parents=True, exist_ok=True)
    statements = "\n".join(f'zone:\n  name: "{name}"\n  zonefile: "{file}"' for name, file in zones.items())
    configuration = directory / "nsd.conf"
    configuration.write_text(
        f"""server:
  server-count: {servers}
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: ""
  database: ""
  pidfile: "{directory}/nsd.pid"
  xfrdfile: "{directory}/xfrd.state"
  zonelistfile: "{directory}/zone.list"
  xfrdir: "{directory}"
  logfile: "{directory}/nsd.out"
  minimal-responses: yes
  rrl-ratelimit: 0
  ipv4-edns-size: 1232
  ipv6-edns-size: 1232
remote-control:
  control-enable: no
{statements}
"""
    )
    command = [find_tool("nsd"), "-d", "-c", str(configuration)]
    with _running(command, directory / "nsd.log", port, next(iter(zones))) as process:
        yield process


@contextmanager
def run_knotd(directory: Path, zones: dict[str, Path], port: int, workers: int = 1) -> Running:
    """Serve zone files with Knot DNS."""
    directory.mkdir(parents=True, exist_ok=True)
    statements = "\n".join(f'  - domain: "{name}"\n    file: "{file}"' for name, file in zones.items())
    configuration = directory / "knot.conf"
    configuration.write_text(
        f"""server:
  rundir: "{directory}"
  listen: 127.0.0.1@{port}
  udp-max-payload: 1232
  udp-workers: {workers}
  tcp-workers: {workers}
  background-workers: 1
database:
  storage: "{directory}/db"
log:
  - target: stdout
    any: warning
template:
  - id: default
    storage: "{directory}"
    semantic-checks: off
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
{statements}
"""
    )
    command = [find_tool("knotd"), "-c", str(configuration)]
    with _running(command, directory / "knotd.log", port, next(iter(zones))) as process:
        yield process


@contextmanager
def run_unbound(
    directory: Path, zones: dict[str, int], anchors: list[str], port: int, *, is_caching: bool = False
) -> Running:
    """Validate with unbound: zones come from servers on loopback ports, trust from DS records.

    Args:
        directory: For its files.
        zones: Zone name to the port of its authoritative server.
        anchors: DS records in zone-file form.
        port: Where unbound answers.
        is_caching: Whether it keeps records for their TTL, as resolvers do, or asks for each all the time.
    """
    directory.mkdir(parents=True, exist_ok=True)
    without, messages = ("no", "4m") if is_caching else ("yes", "0")
    stubs = "\n".join(
        f'stub-zone:\n  name: "{name}"\n  stub-addr: 127.0.0.1@{server_port}\n  stub-no-cache: {without}'
        for name, server_port in zones.items()
    )
    trust = "\n".join(f'  trust-anchor: "{anchor}"' for anchor in anchors)
    configuration = directory / "unbound.conf"
    configuration.write_text(
        f"""server:
  interface: 127.0.0.1
  port: {port}
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: "{directory}/unbound.pid"
  use-syslog: no
  verbosity: 1
  do-not-query-localhost: no
  module-config: "validator iterator"
  val-log-level: 2
  do-ip6: no
  num-threads: 1
  msg-cache-size: {messages}
  rrset-cache-size: 16m
  outgoing-range: 512
  local-zone: "test." nodefault
  local-zone: "example." nodefault
  root-hints: ""
{trust}
{stubs}
remote-control:
  control-enable: no
"""
    )
    command = [find_tool("unbound"), "-d", "-p", "-c", str(configuration)]
    with _running(command, directory / "unbound.log", port, next(iter(zones))) as process:
        yield process
