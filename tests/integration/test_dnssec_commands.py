"""`signerd dnssec` against a running server."""

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from daemon_process import DaemonProcess


@pytest.fixture
def server(tmp_path: Path) -> Generator[DaemonProcess]:
    server = DaemonProcess(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def signerd(server: DaemonProcess, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "signerd.cli", *arguments],
        env={**os.environ, "SIGNERD_CONFIG": str(server.directory / "signerd.yaml")},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_a_zone_is_signed_and_no_more_with_its_ds_printed(server: DaemonProcess) -> None:
    signerd(server, "zone", "create", "shop.example")
    assert "not signed" in signerd(server, "dnssec", "status", "shop.example")
    made = signerd(server, "dnssec", "enable", "shop.example")
    (short, long) = [line.strip() for line in made.splitlines() if " IN DS " in line]
    assert short.startswith("shop.example. IN DS ")
    assert (short.split()[5], long.split()[5]) == ("2", "4")
    again = signerd(server, "dnssec", "status", "shop.example")
    assert short in again
    assert "signed, the parent has no DS of it yet" in again
    assert "off" in signerd(server, "dnssec", "disable", "shop.example")
    assert short in signerd(server, "dnssec", "enable", "shop.example"), "the same key, the same DS"
    why = signerd(server, "zone", "why", "shop.example")
    assert "dns.dnssec.enable by user:" in why
    assert "dns.dnssec.disable by user:" in why
    assert "up to date" in signerd(server, "zone", "check", "shop.example")
    assert "zone not found" in signerd(server, "dnssec", "status", "unknown.example", status=1)
