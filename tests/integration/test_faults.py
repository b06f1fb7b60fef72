"""Faults of the machine under a whole server: its clock, its disk, its processes, its files."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import cast

import dns.exception
import dns.message
import dns.query

from daemon_process import STEPPED_CLOCK, DaemonProcess, is_responder, list_items, run_daemon
from signerd.zones.pipeline import Stage

ZONE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.{}\n"
DAY = 86_400
KILL_RESPONDERS_AT = """
import os, pathlib, signal, sys
from signerd.config.loader import load_config
from signerd.daemon import run

config = pathlib.Path(sys.argv[1])

def kill(zone, stage):
    armed = config.parent / "armed"
    if armed.exists() and armed.read_text() == stage.value:
        armed.unlink()
        for task in pathlib.Path("/proc/self/task").iterdir():
            for pid in (task / "children").read_text().split():
                os.kill(int(pid), signal.SIGKILL)

run(load_config(config), on_stage=kill)
"""


def read_address(daemon: DaemonProcess) -> str:
    return daemon.ask_address("www.small.test")


def read_serial(daemon: DaemonProcess) -> int:
    serial = daemon.zone("small.test")["serial"]
    assert isinstance(serial, int)
    return serial


def write_zone(daemon: DaemonProcess, octet: int) -> None:
    (daemon.zones / "small.test.zone").write_text(ZONE.format(octet))


def wait_for_address(daemon: DaemonProcess, octet: int) -> None:
    daemon.wait_for(lambda _: read_address(daemon) == f"192.0.2.{octet}")


MADE_AHEAD = frozenset({"DNSKEY", "CDS", "CDNSKEY"})  # their signatures are kept for the time without a KMS


def list_times(daemon: DaemonProcess, besides: frozenset[str] = frozenset()) -> list[tuple[int, int]]:
    """Give inception and expiration of the signatures in a dump, besides those of some types."""
    dump = daemon.run_command("dump", "small.test")
    assert dump.returncode == 0, dump.stderr
    fields = [words for line in dump.stdout.splitlines() if "RRSIG" in (words := line.split())[:5]]
    times: list[tuple[int, int]] = []
    for words in fields:
        at = words.index("RRSIG")
        if words[at + 1] in besides:
            continue
        expiration, inception = (
            int(time.mktime(time.strptime(words[at + number], "%Y%m%d%H%M%S")) - time.timezone)
            for number in (5, 6)
        )
        times.append((inception, expiration))
    assert times
    return times


def test_steps_of_the_clock_stop_signing_until_accepted_and_never_answering(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}, script=STEPPED_CLOCK) as daemon:
        # a step forward beyond max_jump
        first = read_serial(daemon)
        daemon.step_clock(100 * DAY)
        write_zone(daemon, 2)
        reload = daemon.run_command("reload", "small.test")
        assert reload.returncode == 1
        assert "clock jumped by +" in reload.stderr
        assert "signerd clock accept" in reload.stderr
        assert read_address(daemon) == "192.0.2.1"
        assert read_serial(daemon) == first
        assert daemon.run_command("clock", "accept").returncode == 0
        wait_for_address(daemon, 2)
        second = read_serial(daemon)
        assert second > first
        assert min(expiration for _, expiration in list_times(daemon)) > time.time() + 100 * DAY

        # and back: what was signed in the meantime is not valid yet
        daemon.step_clock(0)
        write_zone(daemon, 3)
        reload = daemon.run_command("reload", "small.test")
        assert reload.returncode == 1
        assert "went backwards" in reload.stderr
        assert read_address(daemon) == "192.0.2.2"
        assert daemon.run_command("clock", "accept").returncode == 0
        wait_for_address(daemon, 3)
        assert read_serial(daemon) > second
        assert max(inception for inception, _ in list_times(daemon)) <= time.time()


def test_signatures_of_a_time_to_come_are_replaced_though_no_zone_changed(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}, script=STEPPED_CLOCK) as daemon:
        daemon.stop()
        daemon.step_clock(20 * DAY)
        daemon.start()
        daemon.wait_for(
            lambda _: min(inception for inception, _ in list_times(daemon, MADE_AHEAD)) > time.time()
        )
        before = read_serial(daemon)
        daemon.stop()
        daemon.step_clock(0)
        daemon.start()
        assert "went backwards" in str(daemon.zone("small.test")["last_error"])
        assert read_address(daemon) == "192.0.2.1"
        assert daemon.run_command("clock", "accept").returncode == 0
        daemon.wait_for(lambda _: daemon.zone("small.test")["last_error"] is None)
        assert max(inception for inception, _ in list_times(daemon)) <= time.time()
        assert read_serial(daemon) > before


def test_a_full_disk_keeps_the_last_good_version_also_through_a_crash(tmp_path: Path) -> None:
    script = """
import pathlib, resource, sys
from signerd.config.loader import load_config
from signerd.daemon import run

config = pathlib.Path(sys.argv[1])
if (config.parent / "full").exists():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
run(load_config(config))
"""
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}, script=script) as daemon:
        before = read_serial(daemon)
        daemon.limit_files(0)
        write_zone(daemon, 2)
        reload = daemon.run_command("reload", "small.test")
        assert reload.returncode == 1
        assert read_address(daemon) == "192.0.2.1"
        assert daemon.zone("small.test")["last_error"] is not None
        assert read_serial(daemon) == before
        (daemon.zones / "other.test.zone").write_text(ZONE.format(9))
        daemon.wait_for(lambda report: len(list_items(report, "zones")) == 2)

        daemon.kill_control()
        for pid in daemon.seen_pids:
            if is_responder(pid):
                os.kill(pid, signal.SIGKILL)
        (tmp_path / "full").touch()
        daemon.start(wait=False)
        daemon.wait_for(lambda _: daemon.zone("small.test")["served_by"] != [])
        assert read_address(daemon) == "192.0.2.1"
        assert read_serial(daemon) == before
        assert daemon.zone("other.test")["last_error"] is not None

        daemon.limit_files(-1)
        wait_for_address(daemon, 2)
        daemon.wait_for(lambda _: daemon.zone("small.test")["last_error"] is None)
        assert read_serial(daemon) > before
        daemon.wait_for(lambda _: daemon.zone("other.test")["served_by"] != [])
        assert daemon.ask_address("www.other.test") == "192.0.2.9"


def test_responders_killed_at_any_stage_come_back_with_the_newest_version(tmp_path: Path) -> None:
    zones = {"small.test.zone": ZONE.format(1)}
    options = "responders: {count: 2}\n"
    with run_daemon(tmp_path, zones, options, script=KILL_RESPONDERS_AT) as daemon:
        stages = (Stage.LOADED, Stage.SIGNED, Stage.VALIDATED, Stage.PUBLISHED)
        for octet, stage in enumerate(stages, 2):
            report = daemon.status()
            assert report is not None
            killed = {responder["pid"] for responder in list_items(report, "responders")}
            (tmp_path / "armed.new").write_text(stage.value)
            (tmp_path / "armed.new").rename(tmp_path / "armed")
            write_zone(daemon, octet)

            def is_back(report: dict[str, object], gone: set[object] = killed) -> bool:
                alive = [found["pid"] for found in list_items(report, "responders") if found["alive"]]
                return len(alive) == 2 and gone.isdisjoint(alive)

            daemon.wait_for(is_back)
            daemon.wait_for(lambda _: len(list_served(daemon)) == 2)
            assert not (tmp_path / "armed").exists()
            assert read_address(daemon) == f"192.0.2.{octet}"


def list_served(daemon: DaemonProcess) -> list[object]:
    """Give the responders that have the newest version."""
    return cast("list[object]", daemon.zone("small.test")["served_by"])


def test_a_corrupt_journal_loses_no_serial_and_no_answer(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        for octet in (2, 3, 4):
            write_zone(daemon, octet)
            wait_for_address(daemon, octet)
        before = read_serial(daemon)
        daemon.stop()
        folder = daemon.state / "published" / "small.test"
        journal = folder / "journal"
        content = bytearray(journal.read_bytes())
        content[len(content) // 2] ^= 0x55
        journal.write_bytes(content)
        daemon.start()
        wait_for_address(daemon, 4)
        daemon.wait_for(lambda _: read_serial(daemon) > before)
        assert [path.read_bytes() for path in folder.glob("journal*.corrupt")] == [bytes(content)]
        assert daemon.zone("small.test")["last_error"] is None


def test_under_load_no_change_of_zone_and_no_bad_file_costs_a_query(tmp_path: Path) -> None:
    zones = {"small.test.zone": ZONE.format(1)}
    with run_daemon(tmp_path, zones, "responders: {count: 2}\n") as daemon:
        port, is_over = daemon.port, threading.Event()
        counts = [0] * 3
        problems: list[str] = []

        def ask(number: int) -> None:
            query = dns.message.make_query("www.small.test", "A", want_dnssec=True)
            while not is_over.is_set() and not problems:
                try:
                    if number:
                        response = dns.query.udp(query, "127.0.0.1", 5, port)
                    else:
                        response = dns.query.tcp(query, "127.0.0.1", 5, port)
                    if len(response.answer) != 2:
                        problems.append(response.to_text())
                except (OSError, dns.exception.DNSException) as error:
                    problems.append(repr(error))
                counts[number] += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            for octet in range(2, 7):
                write_zone(daemon, octet)
                wait_for_address(daemon, octet)
            file = daemon.zones / "small.test.zone"
            good = file.read_bytes()
            for bad in (b"", good[: len(good) // 2], b"\x00" * 100, os.urandom(200)):
                file.write_bytes(bad)
                assert daemon.run_command("reload", "small.test").returncode == 1
            file.unlink()
            file.mkdir()
            assert daemon.run_command("reload", "small.test").returncode == 1
            assert read_address(daemon) == "192.0.2.6"
            shutil.rmtree(file)
            write_zone(daemon, 7)
            wait_for_address(daemon, 7)
            daemon.wait_for(lambda _: daemon.zone("small.test")["last_error"] is None)
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
        assert problems == []
        assert min(counts) > 0
