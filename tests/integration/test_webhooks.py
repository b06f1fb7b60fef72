"""A whole server and a receiver of its events: signed, repeated, kept over crashes."""

import base64
import hashlib
import hmac
import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from daemon_process import DaemonProcess, list_items, run_daemon
from receiver import Received, Receiver, run_receiver

ZONE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.{}\n"


@pytest.fixture
def receiver() -> Generator[Receiver]:
    with run_receiver() as made:
        yield made


def write_zone(daemon: DaemonProcess, octet: int) -> None:
    """Write the zone file; an octet over 255 is an error in it."""
    (daemon.zones / "small.test.zone").write_text(ZONE.format(octet))


def read_secret(daemon: DaemonProcess) -> tuple[str, bytes]:
    given = daemon.run_command("webhook", "secret", "--json")
    assert given.returncode == 0, given.stderr
    document = json.loads(given.stdout)
    assert document["version"] == 1
    return document["key"], base64.b64decode(document["secret"])


def check(request: Received, key: str, secret: bytes) -> dict[str, object]:
    """Check the signature of a request, and give its event."""
    timestamp = request.headers["Signerd-Timestamp"]
    mac = hmac.new(secret, f"{timestamp}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert request.headers["Signerd-Signature"] == f"t={timestamp},key={key},version=1,v1={mac}"
    event: dict[str, object] = json.loads(request.body)
    assert event["id"] == request.headers["Signerd-Event-Id"]
    return event


def ask_api(daemon: DaemonProcess, request: Received) -> object:
    """Have the server itself check a signature, as WEBHOOKS.md tells receivers without the secret."""
    parts = dict(part.split("=", 1) for part in request.headers["Signerd-Signature"].split(","))
    mac = base64.b64encode(bytes.fromhex(parts["v1"])).decode()
    signed = parts["t"].encode() + b"." + request.body
    report = daemon.status()
    assert report is not None
    answer = httpx.post(
        f"http://{str(report['admin']).replace('@', ':')}/v1/kms/local/keys/{parts['key']}/verify-hmac",
        json={"input": base64.b64encode(signed).decode(), "hmac": f"thalassa:v{parts['version']}:{mac}"},
        headers={
            "Authorization": f"Bearer {(daemon.state / 'admin.token').read_text().strip()}",
            "X-Organisation-Identity": "local",
        },
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["valid"]


def test_alarms_arrive_signed_and_survive_a_receiver_that_fails_and_a_crash(
    receiver: Receiver, tmp_path: Path
) -> None:
    options = f"webhooks:\n  - url: {receiver.url}\n    name: ops\n    events: [zone, kms.sealed]\n"
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}, options) as daemon:
        tried = daemon.run_command("webhook", "test")
        assert (tried.returncode, tried.stdout) == (0, "ops: delivered\n"), tried.stderr
        key, secret = read_secret(daemon)
        assert check(receiver.take(), key, secret)["kind"] == "test"

        assert ask_api(daemon, receiver.received[0])
        assert not ask_api(daemon, replace(receiver.received[0], body=b"{}"))

        receiver.statuses = [500]
        write_zone(daemon, 999)
        first = check(receiver.take(), key, secret)
        assert (first["kind"], first["code"], first["zone"]) == ("began", "zone.file_refused", "small.test")
        daemon.kill_control()  # the event is in the outbox, and is not delivered yet
        daemon.start()
        second = check(receiver.take(), key, secret)
        assert second == first

        write_zone(daemon, 2)
        ended = check(receiver.take(), key, secret)
        assert (ended["kind"], ended["code"]) == ("ended", "zone.file_refused")
        assert ended["since"] == first["since"]
        [listed] = json.loads(daemon.run_command("webhook", "list", "--json").stdout)["webhooks"]
        assert (listed["name"], listed["waiting"], listed["last_error"]) == ("ops", 0, None)


def test_events_wait_while_the_kms_is_sealed(receiver: Receiver, tmp_path: Path) -> None:
    options = f"webhooks:\n  - url: {receiver.url}\n"
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}, options) as daemon:
        key, secret = read_secret(daemon)
        assert daemon.run_command("seal").returncode == 0
        daemon.wait_for(lambda report: [a["code"] for a in list_items(report, "alarms")] == ["kms.sealed"])
        failed = daemon.run_command("webhook", "test")
        assert failed.returncode == 1
        assert "not delivered" in failed.stdout
        assert not receiver.received
        assert daemon.run_command("unseal").returncode == 0
        assert check(receiver.take(), key, secret)["code"] == "kms.sealed"
        assert check(receiver.take(), key, secret)["kind"] == "ended"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        assert daemon.run_command("webhook", "list").stdout.startswith("no webhooks")
        refused = daemon.run_command("webhook", "test", "ops")
        assert refused.returncode == 1
        assert "no webhooks are configured; see 'webhooks' in config/signerd.yaml" in refused.stderr
