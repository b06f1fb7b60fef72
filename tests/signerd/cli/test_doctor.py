"""`signerd doctor`: on files, on a process that tests lay out, and on a whole server."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from daemon_process import run_daemon
from signerd.cli.doctor_finding import Finding, Verdict
from signerd.cli.doctor_process import ServerProcess
from signerd.cli.main import make_app

SAFE_STATUS = "Name:\tsignerd\nUid:\t990\t990\t990\t990\nNoNewPrivs:\t1\nVmSwap:\t       0 kB\n"
SAFE_LIMITS = (
    "Limit  Soft Limit  Hard Limit  Units\nMax core file size        0                    0          bytes\n"
)
NO_SWAP = "Filename\tType\tSize\tUsed\tPriority\n"
SAFE_UNIT = {"MemoryDenyWriteExecute": "yes", "ProtectSystem": "strict"}


def make_state(directory: Path) -> Path:
    """Make a state directory as a server leaves it; gives the configuration."""
    state = directory / "state"
    state.mkdir(mode=0o700)
    for name in ("signerd.db", "signerd.db-wal", "root.key", "admin.token"):
        (state / name).write_text("x")
        (state / name).chmod(0o600)
    config = directory / "signerd.yaml"
    config.write_text(f"state_directory: {state}\n")
    config.chmod(0o644)
    return config


def run_doctor(config: Path) -> Result:
    return CliRunner().invoke(make_app(), ["doctor", "--config", str(config)])


def test_safe_files_are_good_and_what_nobody_sees_is_said(tmp_path: Path) -> None:
    result = run_doctor(make_state(tmp_path))
    assert result.exit_code == 0, result.output
    assert not [line for line in result.stdout.splitlines() if line.startswith("bad")]
    for what in ("state directory", "database", "administrator's token", "seal file", "configuration"):
        assert re.search(f"^good +{what}: ", result.stdout, re.MULTILINE), what
    for what in ("process", "backups", "disks", "audit.pub", "network"):
        assert re.search(f"^not seen +{re.escape(what)}: ", result.stdout, re.MULTILINE), what
    assert re.search("^weak +seals: only one", result.stdout, re.MULTILINE)
    assert re.search("^weak +api_zones.name_servers: not stated", result.stdout, re.MULTILINE)
    assert re.search("^weak +webhooks: none", result.stdout, re.MULTILINE)
    assert "refresh_margin" not in result.stdout


def test_a_margin_that_a_sealed_kms_outlasts_is_weak(tmp_path: Path) -> None:
    config = make_state(tmp_path)
    with config.open("a") as file:
        file.write(
            "policies: {default: {refresh_margin: 2d}}\napi_zones: {name_servers: [ns1.example.net]}\n"
        )
    result = run_doctor(config)
    assert re.search("^weak +policies.default.refresh_margin: 2d: ", result.stdout, re.MULTILINE)
    assert "api_zones.name_servers" not in result.stdout


@pytest.mark.parametrize(
    ("name", "mode", "what"),
    [
        ("state", 0o770, "state directory"),
        ("state/signerd.db", 0o640, "database"),
        ("state/signerd.db-wal", 0o604, "database"),
        ("state/root.key", 0o440, "seal file"),
        ("state/admin.token", 0o644, "administrator's token"),
        ("signerd.yaml", 0o666, "configuration"),
    ],
)
def test_a_file_that_others_may_read_or_change_is_bad(
    tmp_path: Path, name: str, mode: int, what: str
) -> None:
    config = make_state(tmp_path)
    (tmp_path / name).chmod(mode)
    result = run_doctor(config)
    assert result.exit_code == 1
    assert re.search(f"^bad +{what}: .*{name} has mode {mode:04o}; chmod ", result.stdout, re.MULTILINE)


def test_a_state_directory_that_others_may_only_look_into_is_weak(tmp_path: Path) -> None:
    config = make_state(tmp_path)
    (tmp_path / "state").chmod(0o755)
    result = run_doctor(config)
    assert result.exit_code == 0
    assert re.search("^weak +state directory: ", result.stdout, re.MULTILINE)


def test_options_that_risk_something_are_named(tmp_path: Path) -> None:
    config = make_state(tmp_path)
    secret = tmp_path / "metrics.token"
    secret.write_text("x")
    secret.chmod(0o644)
    config.write_text(
        config.read_text()
        + f"admin: {{trusted_proxies: ['0.0.0.0/0'], metrics_token: {secret}}}\n"
        + "kms: {import_sha1: true}\n"
        + "webhooks: [{url: 'http://10.0.0.1/x', name: ops, allow_http: true}]\n"
        + "seals: [{type: file}, {type: environment, variable: SIGNERD_KEY}]\n"
    )
    result = run_doctor(config)
    assert result.exit_code == 1
    for line in (
        "bad +admin.trusted_proxies: 0.0.0.0/0",
        "bad +token for /metrics: ",
        "weak +kms.import_sha1: ",
        "weak +webhook ops: not https",
        "weak +seals: a key in the environment",
        "good +seals: 2, of which any",
    ):
        assert re.search(f"^{line}", result.stdout, re.MULTILINE), line


def look(
    directory: Path,
    *,
    status: str = SAFE_STATUS,
    limits: str = SAFE_LIMITS,
    swaps: str = NO_SWAP,
    swap_max: str | None = None,
    unit: dict[str, str] | None = SAFE_UNIT,
) -> dict[str, Finding]:
    proc, group = directory / "proc", directory / "cgroup" / "system.slice" / "signerd.service"
    proc.mkdir()
    group.mkdir(parents=True)
    (proc / "status").write_text(status)
    (proc / "limits").write_text(limits)
    (proc / "cgroup").write_text("0::/system.slice/signerd.service\n")
    (directory / "swaps").write_text(swaps)
    if swap_max is not None:
        (group / "memory.swap.max").write_text(swap_max + "\n")

    def show(name: str) -> dict[str, str] | None:
        assert name == "signerd.service"
        return unit

    process = ServerProcess(proc, directory / "swaps", directory / "cgroup", show)
    return {finding.what: finding for finding in process.check()}


def test_a_process_with_all_limits_is_good(tmp_path: Path) -> None:
    found = look(tmp_path)
    for what in ("user", "NoNewPrivileges", "LimitCORE", "swap", "MemoryDenyWriteExecute", "ProtectSystem"):
        assert found[what].verdict is Verdict.GOOD, found[what]


@pytest.mark.parametrize(
    ("what", "status", "limits", "swaps", "unit"),
    [
        ("user", SAFE_STATUS.replace("990", "0"), SAFE_LIMITS, NO_SWAP, SAFE_UNIT),
        ("NoNewPrivileges", SAFE_STATUS.replace("Privs:\t1", "Privs:\t0"), SAFE_LIMITS, NO_SWAP, SAFE_UNIT),
        ("LimitCORE", SAFE_STATUS, SAFE_LIMITS.replace(" 0 ", " unlimited "), NO_SWAP, SAFE_UNIT),
        ("swap", SAFE_STATUS, SAFE_LIMITS, NO_SWAP + "/dev/sda2\tpartition\t1\t0\t-2\n", SAFE_UNIT),
        ("ProtectSystem", SAFE_STATUS, SAFE_LIMITS, NO_SWAP, {**SAFE_UNIT, "ProtectSystem": "full"}),
        (
            "MemoryDenyWriteExecute",
            SAFE_STATUS,
            SAFE_LIMITS,
            NO_SWAP,
            {**SAFE_UNIT, "MemoryDenyWriteExecute": "no"},
        ),
    ],
)
def test_a_limit_that_is_missing_is_bad_and_alone(
    tmp_path: Path, what: str, status: str, limits: str, swaps: str, unit: dict[str, str]
) -> None:
    found = look(tmp_path, status=status, limits=limits, swaps=swaps, unit=unit)
    bad = {name for name, finding in found.items() if finding.verdict is Verdict.BAD}
    assert bad - {"dumpable"} == {what}


def test_swap_forbidden_by_the_control_group_is_good(tmp_path: Path) -> None:
    swaps = NO_SWAP + "/dev/sda2\tpartition\t1\t0\t-2\n"
    assert look(tmp_path, swaps=swaps, swap_max="0")["swap"].verdict is Verdict.GOOD


def test_without_systemd_its_directives_are_not_seen(tmp_path: Path) -> None:
    found = look(tmp_path, unit=None)
    assert {found[name].verdict for name in SAFE_UNIT} == {Verdict.UNSEEN}


def test_a_running_server_is_looked_at(tmp_path: Path) -> None:
    with run_daemon(tmp_path, {}, "responders: {count: 1}\n") as daemon:
        said = daemon.run_command("doctor").stdout
    assert re.search("^good +LimitCORE: 0", said, re.MULTILINE), "the server sets it itself"
    assert re.search("^(good|bad) +NoNewPrivileges: ", said, re.MULTILINE)
    assert re.search("^(good|bad) +user: ", said, re.MULTILINE)
    assert re.search("^good +database: .*0600", said, re.MULTILINE)


def test_a_state_directory_that_others_may_change_is_refused_at_start(tmp_path: Path) -> None:
    config = make_state(tmp_path)
    (tmp_path / "state").chmod(0o777)
    command = [sys.executable, "-P", "-m", "signerd.cli", "run", "--config", str(config)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 1
    assert "has mode 0777" in result.stderr
