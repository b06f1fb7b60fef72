"""A whole server as a process of its own, for as long as a test needs it."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import dns.message
import dns.query

from signerd.cli.command_errors import CommandFailed
from signerd.cli.control_client import send_command

START_SECONDS = 60.0
NO_SPARE_KEYS = "kms: {ready_rsa_keys: 0}\n"  # making some takes seconds of a core after each start
STEPPED_CLOCK = """
import pathlib, sys
from signerd.clock import SystemClock
from signerd.config.loader import load_config
from signerd.daemon import run

config = pathlib.Path(sys.argv[1])

class SteppedClock(SystemClock):
    def now(self):
        file = config.parent / "clock-offset"
        return super().now() + (int(file.read_text()) if file.exists() else 0)

run(load_config(config), clock=SteppedClock())
"""
"""A script for a server whose wall clock is off by what `DaemonProcess.step_clock` says."""

Report = dict[str, object]


@dataclass(slots=True)
class DaemonProcess:
    """A server on a directory of its own; may be stopped, killed and started again.

    Attributes:
        directory: Holds `zones/`, `state/`, the configuration and the log.
        options: Further lines of the configuration.
        admin_options: Further lines of its section `admin`, indented.
        script: Python code that runs instead of the command, to get between its parts; it finds the path of
            the configuration in `sys.argv[1]`.
    """

    directory: Path
    options: str = ""
    script: str | None = None
    admin_options: str = ""
    process: subprocess.Popen[bytes] | None = None
    seen_pids: set[int] = field(default_factory=set[int])

    @property
    def zones(self) -> Path:
        """The zone directory."""
        return self.directory / "zones"

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.directory / "state"

    @property
    def log(self) -> str:
        """All that the server has said."""
        return (self.directory / "log").read_text(errors="replace")

    def start(self, *, wait: bool = True) -> None:
        """Start, and wait until every zone was attempted and is loaded where it is published."""
        self.zones.mkdir(parents=True, exist_ok=True)
        config = self.write_config()
        command = [sys.executable, "-P", "-m", "signerd.cli", "run", "--config", str(config)]
        if self.script is not None:
            command = [sys.executable, "-P", "-c", self.script, str(config)]
        with (self.directory / "log").open("ab") as log:
            said = self.log.count("signerd answers on")
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        if wait:
            self.wait_for(lambda _: self.log.count("signerd answers on") > said)

    def write_config(self) -> Path:
        """Write the configuration, for the next start to read, and give its path."""
        config = self.directory / "signerd.yaml"
        new = config.with_suffix(".new")
        new.write_text(
            f"zone_directory: {json.dumps(str(self.zones))}\n"
            f"state_directory: {json.dumps(str(self.state))}\n"
            "listen: ['127.0.0.1@0']\n"
            f"admin:\n  listen: 127.0.0.1@0\n{self.admin_options}"
            "watch_interval: 0.1\n"
            f"{'' if 'kms:' in self.options else NO_SPARE_KEYS}"
            f"{self.options}"
        )
        new.replace(config)
        return config

    def status(self) -> Report | None:
        """Give the reply to `status`; None when nobody replies."""
        try:
            report = send_command(self.state / "run" / "control.sock", "status", timeout=10)
        except CommandFailed:
            return None
        self.seen_pids |= {cast("int", responder["pid"]) for responder in list_items(report, "responders")}
        return report

    def zone(self, name: str) -> Report:
        """Give what `status` says of a zone."""
        report = self.status()
        assert report is not None
        return next(zone for zone in list_items(report, "zones") if zone["name"] == name)

    def wait_for(self, condition: Callable[[Report], bool], seconds: float = START_SECONDS) -> Report:
        """Wait until the status is as wished."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            report = self.status()
            if report is not None and condition(report):
                return report
            assert self.process is not None
            assert self.process.poll() is None, self.log
            time.sleep(0.05)
        raise AssertionError(f"not reached within {seconds} s: {self.status()}\n{self.log[-3000:]}")

    @property
    def port(self) -> int:
        """Where queries are answered."""
        return int((self.state / "run" / "ports").read_text().split()[0])

    def ask(self, name: str, rdatatype: str, *, dnssec: bool = False) -> dns.message.Message:
        """Ask over UDP, and over TCP after a truncated answer."""
        query = dns.message.make_query(name, rdatatype, want_dnssec=dnssec)
        return dns.query.udp_with_fallback(query, "127.0.0.1", 5, self.port)[0]

    def ask_address(self, name: str) -> str:
        """Ask for an A record and give the address; a try fails rather than being repeated."""
        query = dns.message.make_query(name, "A")
        response = dns.query.udp(query, "127.0.0.1", 5, self.port)
        return str(next(iter(cast("list[object]", response.answer[0]))))

    def run_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the operator on this server's configuration."""
        command = [sys.executable, "-P", "-m", "signerd.cli", *arguments]
        config = str(self.directory / "signerd.yaml")
        return subprocess.run([*command, "--config", config], capture_output=True, text=True, check=False)

    def step_clock(self, seconds: int) -> None:
        """Set the wall clock of a server with the script STEPPED_CLOCK this far ahead of the machine's."""
        new = self.directory / "clock-offset.new"
        new.write_text(str(seconds))
        new.replace(self.directory / "clock-offset")

    def limit_files(self, octets: int) -> None:
        """Let no file grow beyond a size, as if the disk were full; -1 ends that."""
        assert self.process is not None
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))

    def stop(self) -> None:
        """Stop in order; responders end, too."""
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(20) == 0, self.log

    def kill_control(self) -> None:
        """Kill the control process alone, as a crash would."""
        self.status()
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Leave nothing running, orphans included."""
        if self.process is not None and self.process.poll() is None:
            self.status()
            self.process.kill()
            self.process.wait()
        for pid in self.seen_pids | find_responders(self.state):
            if is_responder(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def is_responder(pid: int) -> bool:
    """Say if a process is a running responder."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"signerd.responder" in words


def find_responders(state: Path) -> set[int]:
    """Find the responders that serve from a state directory, also those that no status has named."""
    found: set[int] = set()
    for directory in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if directory.name.isdigit() and str(state / "published").encode() in (
                (directory / "cmdline").read_bytes().split(b"\0")
            ):
                found.add(int(directory.name))
    return found


def list_items(report: Report, key: str) -> list[Report]:
    """Give a list of objects out of a report."""
    return cast("list[Report]", report[key])


@contextmanager
def run_daemon(
    directory: Path,
    zones: dict[str, str],
    options: str = "",
    script: str | None = None,
    admin_options: str = "",
) -> Generator[DaemonProcess]:
    """Run a server on zone files: file name to text."""
    daemon = DaemonProcess(directory, options, script, admin_options)
    daemon.zones.mkdir(parents=True, exist_ok=True)
    for name, text in zones.items():
        (daemon.zones / name).write_text(text)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.end()
