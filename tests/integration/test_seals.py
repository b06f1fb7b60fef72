"""Seals and rotation on a whole server: what the operator types, and what is served meanwhile."""

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import httpx
import pytest

from daemon_process import DaemonProcess, run_daemon
from softhsm import MODULE, PIN, make_token

ZONE = """$TTL 300
@ SOA ns hostmaster 1 7200 3600 1209600 300
@ NS ns
ns A 192.0.2.53
www A {address}
"""
PASSPHRASE = "correct horse battery"  # noqa: S105  # of the tests


FIRST = {"small.test.zone": ZONE.format(address="192.0.2.1")}


def write_zone(daemon: DaemonProcess, address: str) -> None:
    (daemon.zones / "small.test.zone").write_text(ZONE.format(address=address))


def run(daemon: DaemonProcess, *arguments: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "signerd.cli",
            *arguments,
            "--config",
            str(daemon.directory / "signerd.yaml"),
        ],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(daemon: DaemonProcess, *arguments: str, lines: str = "") -> str:
    done = run(daemon, *arguments, lines=lines)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fail(daemon: DaemonProcess, *arguments: str, lines: str = "") -> str:
    done = run(daemon, *arguments, lines=lines)
    assert done.returncode == 1, done.stdout
    return done.stderr


def kms_state(report: dict[str, object] | None) -> object:
    assert report is not None
    return cast("dict[str, object]", report["kms"])["state"]


def list_holders(daemon: DaemonProcess) -> dict[str, int]:
    status = json.loads(succeed(daemon, "kms", "status", "--json"))
    return {seal["id"]: seal["root_generation"] for seal in status["seals"] if seal["holds_root_key"]}


def ask_summary(daemon: DaemonProcess) -> int:
    report = daemon.status()
    assert report is not None
    token = (daemon.state / "admin.token").read_text().strip()
    url = f"http://{str(report['admin']).replace('@', ':')}/v1/kms/summary"
    headers = {"Authorization": f"Bearer {token}", "X-Organisation": "local"}
    return httpx.get(url, headers=headers).status_code


def publish(daemon: DaemonProcess, address: str) -> None:
    """Have a new version signed and served: the zone's keys open."""
    write_zone(daemon, address)
    daemon.wait_for(lambda _: daemon.ask_address("www.small.test") == address)
    assert daemon.zone("small.test")["last_error"] is None


def test_sealed_by_command_zones_are_served_and_not_signed(tmp_path: Path) -> None:
    with run_daemon(tmp_path, FIRST) as daemon:
        assert ask_summary(daemon) != 503
        assert "sealed" in succeed(daemon, "seal")
        assert kms_state(daemon.status()) == "sealed"
        assert "KMS sealed" in succeed(daemon, "status")
        assert "the KMS is sealed: sealed by command" in succeed(daemon, "kms", "status")
        assert ask_summary(daemon) == 503
        write_zone(daemon, "192.0.2.2")
        daemon.wait_for(lambda _: "sealed" in str(daemon.zone("small.test")["last_error"]))
        assert daemon.ask_address("www.small.test") == "192.0.2.1"
        for command in ("rotate-root", "rotate-kek", "rewrap", "reseal"):
            assert "sealed" in fail(daemon, "kms", command)
        assert "unsealed" in succeed(daemon, "unseal")
        daemon.wait_for(lambda _: daemon.ask_address("www.small.test") == "192.0.2.2")
        assert ask_summary(daemon) != 503
        assert "unsealed already" in succeed(daemon, "unseal")


def test_with_a_passphrase_only_the_server_starts_sealed_and_serves_what_is_published(tmp_path: Path) -> None:
    with run_daemon(tmp_path, FIRST, options="seals: [{type: passphrase}]\n") as daemon:
        assert kms_state(daemon.status()) == "uninitialised"
        assert "12 characters" in fail(daemon, "unseal", "--fd", "0", lines="short\n")
        assert "no line" in fail(daemon, "unseal", "--fd", "0")
        succeed(daemon, "unseal", "--fd", "0", lines=f"{PASSPHRASE}\n")
        daemon.wait_for(lambda _: daemon.zone("small.test")["state"] == "published")
        assert not (daemon.state / "root.key").exists()
        daemon.kill_control()
        daemon.start()
        assert kms_state(daemon.status()) == "sealed"
        assert daemon.ask_address("www.small.test") == "192.0.2.1"
        assert ask_summary(daemon) == 503
        assert "passphrase is wrong" in fail(daemon, "unseal", "--fd", "0", lines="wrong horse battery\n")
        assert kms_state(daemon.status()) == "sealed"
        succeed(daemon, "unseal", "--fd", "0", lines=f"{PASSPHRASE}\n")
        publish(daemon, "192.0.2.2")
        assert PASSPHRASE not in daemon.log


def test_a_seal_is_added_used_and_the_old_one_removed(tmp_path: Path) -> None:
    with run_daemon(tmp_path, FIRST) as daemon:
        assert "there is no other" in fail(daemon, "kms", "reseal", "--remove", "file")
        daemon.stop()
        daemon.options = "seals: [{type: file}, {type: passphrase, id: break-glass}]\n"
        daemon.start()
        assert list_holders(daemon) == {"file": 1}
        assert "no: reseal" in succeed(daemon, "kms", "status")
        assert "new: break-glass" in succeed(daemon, "kms", "reseal", "--fd", "0", lines=f"{PASSPHRASE}\n")
        assert list_holders(daemon) == {"break-glass": 1, "file": 1}
        wrong = fail(daemon, "kms", "rotate-root", "--fd", "0", lines="wrong horse battery\n")
        assert "passphrase is wrong" in wrong
        succeed(daemon, "kms", "rotate-root", "--fd", "0", lines=f"{PASSPHRASE}\n")
        assert list_holders(daemon) == {"break-glass": 2, "file": 2}
        (daemon.state / "root.key").rename(daemon.state / "lost.key")
        daemon.kill_control()
        daemon.start()
        assert kms_state(daemon.status()) == "sealed"
        succeed(daemon, "unseal", "--fd", "0", lines=f"{PASSPHRASE}\n")
        publish(daemon, "192.0.2.2")
        assert "break-glass" in fail(
            daemon, "kms", "reseal", "--remove", "file", "--fd", "0", lines="wrong one\n"
        )
        succeed(daemon, "kms", "reseal", "--remove", "file", "--fd", "0", lines=f"{PASSPHRASE}\n")
        assert list_holders(daemon) == {"break-glass": 2}


def test_rotated_keys_sign_and_tokens_stay_good(tmp_path: Path) -> None:
    with run_daemon(tmp_path, FIRST) as daemon:
        before = ask_summary(daemon)
        assert before != 401
        assert "generation 2" in succeed(daemon, "kms", "rotate-root")
        said = succeed(daemon, "kms", "rotate-kek")
        assert "1 new key-encryption keys; 2 keys rewrapped" in said  # the KSK in the KMS, and the ZSK
        assert "1 old key-encryption keys kept" in succeed(daemon, "kms", "rewrap")
        assert "has no key-encryption key" in fail(daemon, "kms", "rotate-kek", "--organisation", "o-none")
        publish(daemon, "192.0.2.2")
        daemon.kill_control()
        daemon.start()
        publish(daemon, "192.0.2.3")
        assert ask_summary(daemon) == before
        assert list_holders(daemon) == {"file": 2}


def test_a_token_that_is_away_at_the_start_opens_the_kms_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hsm = make_token(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(hsm.configuration))
    seal = {
        "type": "pkcs11",
        "module": str(MODULE),
        "token": hsm.token,
        "pin_file": str(hsm.pin_file),
        "make_key": True,
    }
    with run_daemon(tmp_path / "server", FIRST, options=f"seals: [{json.dumps(seal)}]\n") as daemon:
        assert list_holders(daemon) == {"pkcs11": 1}
        assert not (daemon.state / "root.key").exists()
        hsm.take_away()
        daemon.kill_control()
        daemon.start()
        assert kms_state(daemon.status()) == "sealed"
        assert daemon.ask_address("www.small.test") == "192.0.2.1"
        assert "not there" in fail(daemon, "unseal")
        hsm.bring_back()
        daemon.wait_for(lambda report: kms_state(report) == "unsealed")
        publish(daemon, "192.0.2.2")


def test_the_pin_of_a_token_is_asked_for_at_each_unseal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hsm = make_token(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(hsm.configuration))
    seal = {"type": "pkcs11", "module": str(MODULE), "token": hsm.token, "make_key": True}
    with run_daemon(tmp_path / "server", FIRST, options=f"seals: [{json.dumps(seal)}]\n") as daemon:
        assert kms_state(daemon.status()) == "uninitialised"
        assert "PIN" in fail(daemon, "unseal", "--fd", "0", lines="000000\n")
        succeed(daemon, "unseal", "--fd", "0", lines=f"{PIN}\n")
        assert list_holders(daemon) == {"pkcs11": 1}
        daemon.wait_for(lambda _: daemon.zone("small.test")["state"] == "published")
        daemon.kill_control()
        daemon.start()
        assert kms_state(daemon.status()) == "sealed"
        assert daemon.ask_address("www.small.test") == "192.0.2.1"
        succeed(daemon, "unseal", "--fd", "0", lines=f"{PIN}\n")
        publish(daemon, "192.0.2.2")


def test_all_keys_of_an_organisation_are_destroyed_once_its_identity_was_given(tmp_path: Path) -> None:
    with run_daemon(tmp_path, FIRST) as daemon:
        refusal = fail(daemon, "kms", "shred", "--organisation", "local")
        assert "small.test" in refusal  # what it would end
        assert "--confirm" in refusal
        identity = refusal.split("of organisation ")[1].split(",")[0]
        assert identity.startswith("o-")
        assert "not confirmed" in fail(
            daemon, "kms", "shred", "--organisation", "local", "--confirm", "local"
        )
        publish(daemon, "192.0.2.2")  # all is there
        assert "no key of organisation other" in fail(daemon, "kms", "shred", "--organisation", "other")
        done = succeed(daemon, "kms", "shred", "--organisation", "local", "--confirm", identity)
        assert "are destroyed" in done
        write_zone(daemon, "192.0.2.3")
        daemon.wait_for(lambda _: "no keys" in str(daemon.zone("small.test")["last_error"]))
        assert daemon.ask_address("www.small.test") == "192.0.2.2"
