"""`signerd org|user|project|region|role|token` without a server, and against a running one."""

import json
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from certificate import make_certificate
from daemon_process import DaemonProcess, run_daemon
from signerd.cli.main import make_app
from signerd.config.state_directory import StateDirectory
from signerd.platform.audit_log import verify_chain
from signerd.state_lock import lock_state
from signerd.store.engine import open_database

Json = dict[str, object]
Command = Callable[..., str]
ZONE = "$ORIGIN example.com.\n$TTL 300\n@ SOA ns admin 1 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.1\n"


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """A state directory that was never used."""
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    directory = StateDirectory(path)
    directory.database.touch(mode=0o600)
    return directory


def run_offline(state: StateDirectory, *arguments: str, fails: bool = False) -> str:
    result = CliRunner().invoke(make_app(), [*arguments, "--state", str(state.path)])
    assert (result.exit_code != 0) is fails, result.output
    return result.output


@pytest.fixture
def command(state: StateDirectory) -> Command:
    return lambda *arguments, **options: run_offline(state, *arguments, **options)


def read(output: str) -> Json:
    content: Json = json.loads(output)
    return content


def test_organisations_users_and_gates_offline(command: Command) -> None:
    assert "local" in command("org", "list")
    made = read(command("org", "create", "Second Tenant"))
    assert made["slug"] == "second-tenant"
    assert "already" in command("org", "create", "second tenant", fails=True)
    assert read(command("org", "show", "second-tenant")) == made
    assert "dns is off for second-tenant" in command("org", "gate", "second-tenant", "dns", "off")
    gates: list[Json] = json.loads(command("org", "gates", "second-tenant", "--json"))
    assert {str(gate["gate"]): gate["enabled"] for gate in gates} == {
        "kms": True,
        "secrets": True,
        "dns": False,
        "projects": True,
    }
    assert "neither" in command("org", "gate", "second-tenant", "dns", "maybe", fails=True)
    assert "not found" in command("org", "gate", "second-tenant", "moon", "on", fails=True)
    user = read(command("user", "create", "Grace", "--email", "grace@example.com", "--org", "second-tenant"))
    assert str(user["subject"]) in command("user", "list")


def test_regions_offline(command: Command) -> None:
    assert "local" in command("region", "list")
    made = read(command("region", "create", "nl-02", "--name", "Utrecht", "--zone", "nl-02a"))
    assert (made["slug"], made["name"]) == ("nl-02", "Utrecht")
    assert read(command("region", "show", "nl-02")) == made
    command("region", "kms", "nl-02", "off")
    assert "nl-02a" in command("region", "list")
    assert "slug" in command("region", "create", "NL 02", fails=True)


def test_projects_and_roles_offline(command: Command) -> None:
    read(command("project", "create", "One"))
    child = read(command("project", "create", "Two", "--parent", "one"))
    assert child["parentProject"]["slug"] == "one"  # type: ignore[index]
    assert "below" in command("project", "delete", "one", fails=True)
    assert "two" in command("project", "list")
    command("project", "delete", "two")
    command("project", "delete", "one")
    role = read(command("role", "create", "Signers", "--rule", "kms_key:sign,verify:kms-a"))
    assert role["rules"][0]["resourceIdentities"] == ["kms-a"]  # type: ignore[index]
    user = read(command("user", "create", "Grace"))
    binding = read(command("role", "bind", "signers", "--user", str(user["subject"])))
    assert "one of" in command("role", "bind", "signers", fails=True)
    assert "is removed" in command("role", "unbind", "signers", str(binding["identity"]))
    assert "built in" in command("role", "delete", "org-admin", fails=True)
    assert "no rule" in command("role", "create", "x", "--rule", "kms_key", fails=True)
    command("role", "delete", "signers")
    assert "signers" not in command("role", "list")


def test_tokens_offline_and_the_file_of_the_administrator(command: Command, state: StateDirectory) -> None:
    (first,) = json.loads(command("token", "list", "--json"))
    old = state.admin_token.read_text()
    new = command("token", "rotate", str(first["identity"])).splitlines()[-1]
    assert state.admin_token.read_text() == new + "\n" != old
    assert state.admin_token.stat().st_mode & 0o777 == 0o600
    state.admin_token.chmod(0o644)
    command("token", "list")
    assert state.admin_token.stat().st_mode & 0o777 == 0o600
    made = command("token", "create", "laptop", "--expires", "12h", "--scope", "api:read").strip()
    assert made.startswith("tc_pat_")
    command("token", "revoke", made.split("_")[2])
    assert "not found" in command("token", "revoke", made.split("_")[2], fails=True)
    assert "--expires" in command("token", "create", "x", "--expires", "soon", fails=True)
    tokens: list[Json] = json.loads(command("token", "list", "--json"))
    assert [token["name"] for token in tokens if "revokedAt" not in token] == ["administrator"]


def test_changes_on_the_machine_are_in_the_audit_and_its_chains_hold(
    command: Command, state: StateDirectory
) -> None:
    command("project", "create", "One")
    engine = open_database(state.database)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT chain, actor FROM audit_entries WHERE action = 'project.create'")
        ).all()
        assert [row.actor for row in rows] == ["user:local"]
        verify_chain(connection, rows[0].chain)
    engine.dispose()


def test_without_a_database_or_beside_a_silent_process_nothing_is_done(
    state: StateDirectory, tmp_path: Path
) -> None:
    empty = StateDirectory(tmp_path / "empty")
    assert "no database" in run_offline(empty, "org", "list", fails=True)
    state.run.mkdir()
    with lock_state(state):
        assert "another signerd" in run_offline(state, "org", "list", fails=True)


@pytest.fixture
def daemon(tmp_path: Path) -> Generator[DaemonProcess]:
    with run_daemon(tmp_path / "daemon", {"example.com.zone": ZONE}) as running:
        yield running


def test_the_same_commands_ask_the_server_that_runs(daemon: DaemonProcess) -> None:
    def run(*arguments: str) -> str:
        done = daemon.run_command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "local" in run("org", "list")
    read(run("project", "create", "One"))
    (token,) = json.loads(run("token", "list", "--json"))
    old = (daemon.state / "admin.token").read_text()
    run("token", "rotate", str(token["identity"]))
    assert (daemon.state / "admin.token").read_text() != old
    assert "one" in run("project", "list")
    refused = daemon.run_command("project", "create", "one")
    assert refused.returncode == 1
    assert "already" in refused.stderr
    assert "Traceback" not in refused.stderr
    daemon.stop()
    assert "one" in run("project", "list")


@pytest.mark.parametrize("way", ["tls", "socket"])
def test_the_running_server_is_reached_by_tls_and_by_its_socket(tmp_path: Path, way: str) -> None:
    certificate, key = make_certificate(tmp_path, "signerd.example.com")
    admin = f"  certificate: {certificate}\n  key: {key}\n"
    if way == "socket":
        admin += f"  socket: {tmp_path}/api.sock\n"
    with run_daemon(tmp_path / "daemon", {"example.com.zone": ZONE}, admin_options=admin) as daemon:
        done = daemon.run_command("org", "list")
        assert (done.returncode, done.stderr) == (0, "")
        assert "local" in done.stdout
        if way == "tls":
            other = tmp_path / "other"
            other.mkdir()
            config = (daemon.directory / "signerd.yaml").read_text()
            wrong = config.replace(str(certificate), str(make_certificate(other, "other.example.com")[0]))
            (other / "signerd.yaml").write_text(wrong)
            arguments = ["org", "list", "--config", str(other / "signerd.yaml")]
            result = CliRunner().invoke(make_app(), arguments)
            assert result.exit_code == 1
            assert "CERTIFICATE_VERIFY_FAILED" in result.output
