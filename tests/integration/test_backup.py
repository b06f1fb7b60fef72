"""What the README says of backups: the root key and the database are enough to go on with the same keys."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

from daemon_process import DaemonProcess, list_items, run_daemon

ZONE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\n"


def export(daemon: DaemonProcess) -> str:
    exported = daemon.run_command("ds", "small.test")
    assert exported.returncode == 0, exported.stderr
    return exported.stdout


def test_a_backup_made_while_the_server_runs_has_the_keys(tmp_path: Path) -> None:
    with run_daemon(tmp_path / "old", {"small.test.zone": ZONE}) as old:
        ds = export(old)
        restored = tmp_path / "new" / "state"
        restored.mkdir(parents=True, mode=0o700)
        with (
            contextlib.closing(sqlite3.connect(old.state / "signerd.db")) as running,
            contextlib.closing(sqlite3.connect(restored / "signerd.db")) as copy,
        ):
            running.backup(copy)  # as `sqlite3 signerd.db '.backup FILE'` does
        (restored / "signerd.db").chmod(0o600)
        shutil.copy2(old.state / "root.key", restored)
    with run_daemon(tmp_path / "new", {"small.test.zone": ZONE}) as new:
        assert export(new) == ds
        assert new.zone("small.test")["last_error"] is None
        assert new.ask("small.test", "DNSKEY").answer


def test_a_lost_database_does_not_give_a_published_zone_another_ksk(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE}) as daemon:
        ds = export(daemon)
        serial = daemon.zone("small.test")["serial"]
        daemon.stop()
        (daemon.state / "signerd.db").rename(tmp_path / "aside")
        (daemon.state / "audit.checkpoints").unlink(missing_ok=True)  # so that only the zone tells
        (daemon.zones / "small.test.zone").write_text(ZONE + "www A 192.0.2.2\n")
        daemon.start()
        assert daemon.zone("small.test")["serial"] == serial
        assert "which is not in the database" in str(daemon.zone("small.test")["last_error"])
        assert export(daemon) == ds
        daemon.stop()

        # the database comes back: all goes on with the same keys
        (daemon.state / "audit.checkpoints").unlink(missing_ok=True)
        (tmp_path / "aside").replace(daemon.state / "signerd.db")
        daemon.start()
        assert daemon.ask_address("www.small.test") == "192.0.2.2"
        assert export(daemon) == ds


def test_a_zone_whose_keys_are_lost_begins_anew_once_it_was_forgotten(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {"small.test.zone": ZONE}) as daemon:
        ds = export(daemon)
        daemon.stop()
        (daemon.state / "signerd.db").unlink()
        (daemon.state / "audit.checkpoints").unlink(missing_ok=True)
        daemon.start()
        assert export(daemon) == ds
        file = daemon.zones / "small.test.zone"
        file.rename(tmp_path / "aside")
        daemon.wait_for(lambda _: daemon.run_command("forget", "small.test").returncode == 0)
        (tmp_path / "aside").rename(file)
        daemon.wait_for(
            lambda report: bool(list_items(report, "zones")[0].get("serial")) if report["zones"] else False
        )
        assert export(daemon) != ds
