"""`signerd secret` against a running server."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from daemon_process import DaemonProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[DaemonProcess]:
    """One server for all tests: each has paths of its own."""
    server = DaemonProcess(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


def signerd(
    server: DaemonProcess, *arguments: str, given: bytes = b"", status: int = 0
) -> subprocess.CompletedProcess[bytes]:
    config = server.directory / "signerd.yaml"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "signerd.cli", *arguments],
        input=given,
        capture_output=True,
        env={"SIGNERD_CONFIG": str(config), "PATH": "/usr/bin:/bin"},
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def key(server: DaemonProcess) -> str:
    report = server.status()
    assert report is not None
    host, _, port = str(report["admin"]).rpartition("@")
    token = (server.state / "admin.token").read_text().strip()
    headers = {"Authorization": f"Token {token}", "X-Organisation-Identity": "local"}
    url = f"http://{host}:{port}/v1/kms/local/keys"
    response = httpx.post(url, json={"name": "for secrets"}, headers=headers, trust_env=False)
    response.raise_for_status()
    return str(response.json()["identity"])


def test_values_go_in_and_out_unchanged_and_reach_one_command(
    server: DaemonProcess, key: str, tmp_path: Path
) -> None:
    value = bytes(range(256))
    signerd(server, "secret", "put", "/app/blob", "--key", key, given=value)
    assert signerd(server, "secret", "get", "/app/blob").stdout == value
    (tmp_path / "pair.json").write_text('{"USER": "shop", "PASS": "p w"}')
    signerd(
        server,
        "secret",
        "put",
        "/app/pair",
        "--key",
        key,
        "--key-values",
        "--file",
        str(tmp_path / "pair.json"),
    )
    signerd(server, "secret", "put", "/app/db-password", "--key", key, given=b"first")
    assert b"version 2" in signerd(server, "secret", "put", "/app/db-password", given=b"second").stdout
    script = 'printf "%s,%s,%s,%s" "$DB_PASSWORD" "$USER" "$PASS" "$SHOP_USER"'
    done = signerd(
        server,
        *("secret", "exec", "/app/db-password", "/app/pair", "SHOP=/app/pair", "--"),
        *("sh", "-c", script),
    )
    assert done.stdout == b"second,shop,p w,shop"
    assert signerd(server, "secret", "exec", "/app/pair", "--", "sh", "-c", "exit 7", status=7).stdout == b""


def test_refusals_are_one_line_and_hold_no_value(server: DaemonProcess, key: str) -> None:
    for arguments, given in (
        (["put", "/app/x"], b"value-of-x"),
        (["put", "/app/x", "--key", key, "--key-values"], b"value-of-x"),
        (["put", "app/x", "--key", key], b"value-of-x"),
        (["put", "/app/../x", "--key", key], b"value-of-x"),
        (["get", "/app/x"], b""),
        (["exec", "/app/x", "--", "true"], b""),
        (["exec", "true"], b""),
        (["destroy", "/app/x", "1"], b""),
        (["policy", "/app/x", "--clear"], b""),
    ):
        error = signerd(server, "secret", *arguments, given=given, status=1).stderr
        assert error.count(b"\n") == 1, error
        assert error.startswith(b"signerd: ")
        assert b"value-of-x" not in error
    signerd(server, "secret", "put", "/app/nul", "--key", key, given=b"a\0b")
    error = signerd(server, "secret", "exec", "/app/nul", "--", "true", status=1).stderr
    assert b"NUL" in error


def talk_on_terminal(server: DaemonProcess, answer: bytes, *arguments: str) -> bytes:
    """Run a command on a terminal of its own, answer its question, and give what was shown."""
    environment = {"SIGNERD_CONFIG": str(server.directory / "signerd.yaml"), "PATH": "/usr/bin:/bin"}
    controller, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "signerd.cli", *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal ends with the process
        while part := os.read(controller, 4096):
            if b"terminal?" in shown + part and b"terminal?" not in shown:
                os.write(controller, answer + b"\n")
            shown += part
    os.close(controller)
    process.wait(timeout=60)
    return shown


def test_a_terminal_shows_a_value_only_after_a_yes(server: DaemonProcess, key: str) -> None:
    signerd(server, "secret", "put", "/app/shown", "--key", key, given=b"value-of-x")
    assert b"value-of-x" not in talk_on_terminal(server, b"n", "secret", "get", "/app/shown")
    assert b"value-of-x" in talk_on_terminal(server, b"y", "secret", "get", "/app/shown")
    assert b"value-of-x" in talk_on_terminal(server, b"", "secret", "get", "/app/shown", "--show")
