"""Alarms of a whole server: what the operator is told, across a crash."""

import json
import re
from pathlib import Path
from typing import cast

import httpx

from daemon_process import DaemonProcess, Report, list_items, run_daemon
from false_parent import run_false_parent

ZONE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.{}\n"


def write_zone(daemon: DaemonProcess, text: str) -> None:
    (daemon.zones / "small.test.zone").write_text(text)


def list_alarms(daemon: DaemonProcess) -> list[dict[str, object]]:
    listed = daemon.run_command("alarm", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    return cast("list[dict[str, object]]", json.loads(listed.stdout)["alarms"])


def test_an_alarm_is_told_keeps_its_age_over_a_crash_and_ends_with_its_cause(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        assert daemon.run_command("alarm", "list").stdout == "no alarms\n"
        write_zone(daemon, ZONE.format(999))
        daemon.wait_for(lambda report: bool(list_items(report, "alarms")))
        [alarm] = list_alarms(daemon)
        assert (alarm["code"], alarm["zone"]) == ("zone.file_refused", "small.test")
        assert "zone.file_refused" in daemon.run_command("alarm", "list").stdout
        assert "\n1 alarm\n  zone.file_refused for " in daemon.run_command("status").stdout
        assert daemon.log.count("alarm: zone small.test: its file is refused") == 1

        daemon.kill_control()
        daemon.start()
        daemon.wait_for(lambda report: bool(list_items(report, "alarms")))
        [again] = list_alarms(daemon)
        assert again["since"] == alarm["since"]
        assert daemon.log.count("alarm: zone small.test: its file is refused") == 1

        write_zone(daemon, ZONE.format(2))
        daemon.wait_for(lambda report: not list_items(report, "alarms"))
        assert "alarm over after" in daemon.log


def test_the_metrics_tell_of_zones_and_alarms(tmp_path: Path) -> None:
    token = tmp_path / "metrics.token"
    token.write_text("letmein\n")
    admin = f"  metrics_token: {json.dumps(str(token))}\n"
    zones = {"small.test.zone": ZONE.format(1), "bad.test.zone": ZONE.format(999)}
    with run_daemon(tmp_path, zones, admin_options=admin) as daemon:
        report = daemon.wait_for(lambda report: len(list_items(report, "alarms")) == 1)
        figures = read_figures(report)
    assert float(figures['signerd_zone_runway_seconds{zone="small.test"}']) > 86400
    assert figures['signerd_zone_sign_error_age_seconds{zone="small.test"}'] == "0.0"
    assert 'signerd_zone_runway_seconds{zone="bad.test"}' not in figures
    assert float(figures['signerd_alarm_age_seconds{code="dnssec.sign_failed",zone="bad.test"}']) >= 0
    assert float(figures['signerd_zone_sign_error_age_seconds{zone="bad.test"}']) >= 0


def test_a_sealed_kms_is_an_alarm(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        assert daemon.run_command("seal").returncode == 0
        daemon.wait_for(lambda report: [a["code"] for a in list_items(report, "alarms")] == ["kms.sealed"])
        assert daemon.run_command("unseal").returncode == 0
        daemon.wait_for(lambda report: not list_items(report, "alarms"))


def test_a_rollover_that_waits_for_the_operator_is_an_alarm_until_it_is_approved(tmp_path: Path) -> None:
    options = (
        "policies:\n  default:\n    steps: {make: ask}\n    dnskey_ttl: 1s\n    propagation: 0s\n"
        "    parent_propagation: 0s\n    parent_lag: 0s\n"
    )
    zone = ZONE.replace("$TTL 300", "$TTL 1").replace("86400 300", "86400 1").format(1)
    with run_daemon(tmp_path, {"small.test.zone": zone}, options) as daemon:
        # the first keys of a zone take some seconds to be everywhere, and no other rollover begins before
        daemon.wait_for(
            lambda _: daemon.run_command("rollover", "start", "zsk", "small.test").returncode == 0
        )
        daemon.wait_for(lambda report: bool(list_items(report, "alarms")))
        [alarm] = list_alarms(daemon)
        assert (alarm["code"], alarm["zone"]) == ("rollover.operator_must_act", "small.test")
        waits = re.match(r"zsk rollover ([0-9]+), step make: ", str(alarm["text"]))
        assert waits is not None, alarm
        assert "[rollover.begun]" in daemon.log

        daemon.kill_control()
        daemon.start()
        daemon.wait_for(lambda report: bool(list_items(report, "alarms")))
        assert list_alarms(daemon)[0]["since"] == alarm["since"]

        approved = daemon.run_command("rollover", "approve", "small.test", waits[1])
        assert approved.returncode == 0, approved.stderr
        daemon.wait_for(lambda report: not list_items(report, "alarms"))


def list_codes(report: Report) -> set[object]:
    return {alarm["code"] for alarm in list_items(report, "alarms")}


def test_a_full_disk_is_an_alarm_that_the_operator_sees_all_the_same(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE.format(1)}) as daemon:
        daemon.limit_files(0)
        write_zone(daemon, ZONE.format(2))
        daemon.wait_for(lambda report: list_codes(report) >= {"dnssec.sign_failed", "database.failed"})
        daemon.limit_files(-1)
        daemon.wait_for(lambda report: not list_codes(report))


def read_figures(report: Report) -> dict[str, str]:
    url = f"http://{str(report['admin']).replace('@', ':')}/metrics"
    answer = httpx.get(url, headers={"Authorization": "Bearer letmein"}, trust_env=False)
    assert answer.status_code == 200
    return dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))


def test_what_the_parent_has_of_a_zone_is_told(tmp_path: Path) -> None:
    token = tmp_path / "metrics.token"
    token.write_text("letmein\n")
    admin = f"  metrics_token: {json.dumps(str(token))}\n"
    zone = ZONE.replace("$TTL 300", "$TTL 1").replace("86400 300", "86400 1").format(1)
    delegated = 'signerd_zone_ds_delegated{zone="small.test"}'
    with run_false_parent() as parent:
        parent.ds = ["7 13 2 " + "ab" * 32]
        options = (
            "dnssec:\n  probe_interval: 1s\n  waiting_probe_interval: 1s\n"
            f"  parents: {{test: ['127.0.0.1@{parent.port}']}}\n"
            "policies: {default: {dnskey_ttl: 1s, propagation: 0s, parent_propagation: 0s, parent_lag: 0s}}\n"
        )
        with run_daemon(tmp_path, {"small.test.zone": zone}, options, admin_options=admin) as daemon:
            report = daemon.wait_for(lambda report: list_codes(report) == {"dnssec.ds_stray"})
            assert read_figures(report)[delegated] == "0.0"
            parent.ds = [
                line.split("DS", 1)[1].strip()
                for line in daemon.run_command("ds", "small.test").stdout.splitlines()
            ]
            daemon.wait_for(lambda report: not list_codes(report))
            daemon.wait_for(lambda report: read_figures(report)[delegated] == "1.0")
