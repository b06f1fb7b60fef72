"""What the README says of backups: the root key and the database are enough to go on with the same keys."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

from daemon_process import DaemonProcess, run_daemon

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
