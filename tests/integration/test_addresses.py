"""Addresses that responders share with each other, and with nobody else."""

import itertools
import json
import os
from pathlib import Path

from daemon_process import is_responder, list_items, run_daemon

ZONE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.{}\n"


def test_a_second_server_does_not_share_the_address_of_the_first(tmp_path: Path) -> None:
    with (
        run_daemon(tmp_path / "one", {"small.test.zone": ZONE.format(1)}) as one,
        run_daemon(tmp_path / "two", {"small.test.zone": ZONE.format(2)}) as two,
    ):
        address = f"127.0.0.1@{one.port}"
        two.stop()
        config = (tmp_path / "two" / "signerd.yaml").read_text().replace("127.0.0.1@0", address, 1)
        (tmp_path / "two" / "signerd.yaml").write_text(config)
        for control_is_dead in (False, True):
            if control_is_dead:  # those that it left are no less strangers
                one.kill_control()
                assert any(map(is_responder, one.seen_pids))
            refused = two.run_command("run")
            assert refused.returncode == 1
            assert f"cannot answer on {address}: Address already in use; `ss -lnutp`" in refused.stderr
            assert one.ask_address("www.small.test") == "192.0.2.1"


def test_a_port_remembered_for_port_0_is_given_up_when_others_have_it(tmp_path: Path) -> None:
    with (
        run_daemon(tmp_path / "one", {"small.test.zone": ZONE.format(1)}) as one,
        run_daemon(tmp_path / "two", {"small.test.zone": ZONE.format(2)}) as two,
    ):
        two.stop()
        (two.state / "run" / "ports").write_text(str(one.port))
        two.start()
        assert two.port != one.port
        assert two.ask_address("www.small.test") == "192.0.2.2"


def test_responders_have_the_options_that_are_theirs(tmp_path: Path) -> None:
    options = (
        "responders: {count: 1, answer_cache_size: 3M, edns_udp_size: 1400,\n"
        "             identity: a b, version: v, nsid: n}\n"
        "tcp: {idle_timeout: 7s, max_connections: 11, max_connections_per_address: 5, query_limit: 9}\n"
        "log: {level: warning, format: json}\n"
    )
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}, options) as daemon:
        report = daemon.status()
        assert report is not None
        [responder] = list_items(report, "responders")
        words = Path(f"/proc/{responder['pid']}/cmdline").read_bytes().decode().split("\0")
        given = dict(itertools.pairwise(words))
        wanted = {
            "--cache-octets": str(3 << 20),
            "--udp-octets": "1400",
            "--identity": "a b",
            "--version-text": "v",
            "--nsid": "n",
            "--tcp-idle-seconds": "7.0",
            "--tcp-connections": "11",
            "--tcp-connections-per-client": "5",
            "--tcp-queries": "9",
            "--log-level": "WARNING",
            "--log-format": "json",
        }
        assert {name: given.get(name) for name in wanted} == wanted


def test_a_log_in_json_is_json_in_every_line_of_every_process(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}, "log: {format: json}\n") as daemon:
        report = daemon.status()
        assert report is not None
        pids = {responder["pid"] for responder in list_items(report, "responders")}
        welcome = daemon.log.index("\nsignerd answers on")
        records = [json.loads(line) for line in daemon.log[:welcome].splitlines() if line]
        said = [record["process"] for record in records if record["event"].startswith("answering on")]
        assert set(said) == pids
        assert all(record["timestamp"] and record["level"] for record in records)
        assert os.getpid() not in pids
