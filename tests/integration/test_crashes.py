"""What a crash, a bad file or a lost key leaves behind: the last good version, in service."""

import os
import re
import signal
from pathlib import Path

import dns.exception
import dns.rcode
import pytest

from daemon_process import DaemonProcess, is_responder, list_items, run_daemon
from signerd.zones.pipeline import Stage

ZONE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.{}\n"
KILL_AT = """
import os, pathlib, signal, sys
from signerd.config.loader import load_config
from signerd.daemon import run
from signerd.zones.pipeline import Stage

config = pathlib.Path(sys.argv[1])

def kill(zone, stage):
    if stage == Stage("{stage}") and (config.parent / "armed").exists():
        os.kill(os.getpid(), signal.SIGKILL)

run(load_config(config), on_stage=kill)
"""

# While it stops the signal comes once more: of an impatient person, or to the process and to its group.
STOP_TWICE = """
import logging, os, pathlib, signal, sys
from signerd.config.loader import load_config
from signerd.daemon import run

class Again(logging.Handler):
    def emit(self, record):
        if record.getMessage().startswith("stopping on"):
            os.kill(os.getpid(), signal.SIGTERM)

logging.getLogger("signerd.daemon").addHandler(Again())
run(load_config(pathlib.Path(sys.argv[1])))
"""


def read_address(daemon: DaemonProcess) -> str:
    return daemon.ask_address("www.small.test")


def read_serial(daemon: DaemonProcess) -> int:
    serial = daemon.zone("small.test")["serial"]
    assert isinstance(serial, int)
    return serial


@pytest.mark.parametrize(
    "stage", [Stage.LOADED, Stage.CHECKED, Stage.SIGNED, Stage.VALIDATED, Stage.PUBLISHED]
)
def test_kill_at_each_stage_loses_nothing(tmp_path: Path, stage: Stage) -> None:
    script = KILL_AT.format(stage=stage.value)
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}, script=script) as daemon:
        assert daemon.process is not None
        before = read_serial(daemon)
        (tmp_path / "armed").touch()
        (daemon.zones / "small.test.zone").write_text(ZONE.format(2))
        assert daemon.process.wait(30) == -signal.SIGKILL
        # responders keep answering without the control process, with a whole version
        assert read_address(daemon) in {"192.0.2.1", "192.0.2.2"}
        (tmp_path / "armed").unlink()
        daemon.start()
        daemon.wait_for(lambda _: read_address(daemon) == "192.0.2.2")
        assert read_serial(daemon) > before
        assert daemon.zone("small.test")["last_error"] is None


def test_a_killed_responder_comes_back_while_the_other_one_answers(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}, "responders: {count: 2}\n") as daemon:
        report = daemon.status()
        assert report is not None
        pids = {responder["pid"] for responder in list_items(report, "responders")}
        victim = min(pid for pid in pids if isinstance(pid, int))
        os.kill(victim, signal.SIGKILL)
        answered = 0
        for _ in range(50):
            try:
                assert read_address(daemon) == "192.0.2.1"
                answered += 1
            except dns.exception.Timeout:
                continue  # it was in the socket of the one that was killed
        assert answered >= 49
        daemon.wait_for(
            lambda report: (
                len([r for r in list_items(report, "responders") if r["alive"]]) == 2
                and victim not in [r["pid"] for r in list_items(report, "responders")]
            )
        )


def test_a_restart_retires_the_responders_that_were_left(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        daemon.kill_control()
        orphans = [pid for pid in daemon.seen_pids if is_responder(pid)]
        assert orphans
        assert read_address(daemon) == "192.0.2.1"
        port = daemon.port
        daemon.start()
        assert daemon.port == port
        daemon.wait_for(lambda _: not any(is_responder(pid) for pid in orphans))
        assert read_address(daemon) == "192.0.2.1"


def test_a_change_of_zone_loses_no_query(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        seen: list[str] = []
        for number in range(2, 6):
            (daemon.zones / "small.test.zone").write_text(ZONE.format(number))
            while not seen or seen[-1] != f"192.0.2.{number}":
                seen.append(read_address(daemon))
        assert set(seen) == {f"192.0.2.{number}" for number in range(1, 6)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ZONE.format(2) + "broken A not-an-address\n", "small.test.zone:6"),
        ("$TTL 300\n@ NS ns\n", "SOA"),
        (ZONE.format(2) + "www CNAME ns\n", "small.test.zone:6: error: www.small.test. CNAME"),
    ],
)
def test_a_zone_file_with_errors_leaves_the_last_good_version(tmp_path: Path, text: str, reason: str) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        file = daemon.zones / "small.test.zone"
        file.write_text(text)
        reload = daemon.run_command("reload", "small.test")
        assert reload.returncode == 1
        assert reason in reload.stderr
        assert reason in str(daemon.zone("small.test")["last_error"])
        assert read_address(daemon) == "192.0.2.1"
        assert file.read_text() == text
        file.write_text(ZONE.format(3))
        assert daemon.run_command("reload", "small.test").returncode == 0
        daemon.wait_for(lambda _: read_address(daemon) == "192.0.2.3")
        assert daemon.zone("small.test")["last_error"] is None


def test_what_was_published_is_served_without_the_root_key(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        daemon.stop()
        key = daemon.state / "root.key"
        key.rename(tmp_path / "aside")
        (daemon.zones / "small.test.zone").write_text(ZONE.format(2))
        daemon.start()
        assert read_address(daemon) == "192.0.2.1"
        assert "root.key" in str(daemon.zone("small.test")["last_error"])
        assert not key.exists()
        (tmp_path / "aside").rename(key)
        daemon.wait_for(lambda _: read_address(daemon) == "192.0.2.2")


def test_a_corrupt_snapshot_is_set_aside_and_the_zone_published_again(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        before = read_serial(daemon)
        daemon.stop()
        folder = daemon.state / "published" / "small.test"
        for file in folder.glob("*.snapshot"):
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 0x55
            file.write_bytes(content)
        daemon.start()
        daemon.wait_for(lambda _: daemon.zone("small.test")["served_by"] != [])
        assert read_address(daemon) == "192.0.2.1"
        assert read_serial(daemon) > before
        assert list(folder.glob("*.corrupt"))


def test_new_files_are_taken_in_and_lost_files_lose_nothing(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        (daemon.zones / "other.test.zone").write_text(ZONE.format(9))
        daemon.wait_for(
            lambda report: any(
                zone["name"] == "other.test" and zone["served_by"] for zone in list_items(report, "zones")
            )
        )
        assert daemon.ask_address("www.other.test") == "192.0.2.9"
        (daemon.zones / "small.test.zone").unlink()
        daemon.wait_for(lambda _: daemon.zone("small.test")["last_error"] is not None)
        assert read_address(daemon) == "192.0.2.1"
        assert daemon.run_command("forget", "other.test").returncode == 1
        forget = daemon.run_command("forget", "small.test")
        assert forget.returncode == 0, forget.stderr
        daemon.wait_for(lambda _: daemon.ask("www.small.test", "A").rcode() == dns.rcode.REFUSED)


def test_a_second_server_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        second = daemon.run_command("run")
        assert second.returncode == 1
        assert "another signerd is running" in second.stderr
        assert "Traceback" not in second.stderr


def test_a_second_signal_to_stop_does_not_leave_responders_behind(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}, script=STOP_TWICE) as daemon:
        daemon.status()
        assert daemon.seen_pids
        daemon.stop()
        assert not any(map(is_responder, daemon.seen_pids))


def test_an_orderly_stop_is_no_reason_for_a_warning(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        said = len(daemon.log)
        daemon.stop()
        assert "stopped" in daemon.log[said:]
        assert re.findall(r"(?i).*(?:warning|error).*", daemon.log[said:]) == []
