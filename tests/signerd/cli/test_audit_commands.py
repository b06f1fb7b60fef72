"""`signerd audit` on the database of a server that does not run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner, Result

from deployment import Deployment, make_deployment
from signerd.cli.main import make_app
from signerd.platform.audit_log import AuditLog
from signerd.platform.checkpoint_keeper import CheckpointKeeper, Due
from signerd_kms.root_key import Label


@pytest.fixture
def app() -> typer.Typer:
    return make_app()


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with make_deployment(tmp_path) as deployment:
        CheckpointKeeper(
            deployment.engine,
            deployment.kms.custodian.store,
            AuditLog(),
            lambda: deployment.kms.derive_key(Label.AUDIT_SIGN),
            deployment.clock,
            Due(),
        ).sign_due()
        yield deployment


def run(app: typer.Typer, directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", *arguments, "--state", str(directory)])


def test_a_log_in_order_verifies_and_names_its_chains(
    app: typer.Typer, deployment: Deployment, tmp_path: Path
) -> None:
    result = run(app, tmp_path, "verify")
    assert result.exit_code == 0, result.output
    assert "audit chain instance: entries 1 to " in result.stdout
    assert f"audit chain {deployment.platform.organisation}: " in result.stdout
    assert "1 checkpoints fit" in result.stdout


def test_an_export_verifies_with_the_printed_key_and_not_without(
    app: typer.Typer, deployment: Deployment, tmp_path: Path
) -> None:
    del deployment
    export, key = tmp_path / "audit.jsonl", tmp_path / "kept.pub"
    export.write_text(run(app, tmp_path, "export").stdout)
    key.write_text(run(app, tmp_path, "key").stdout)
    assert CliRunner().invoke(app, ["audit", "verify", str(export)]).exit_code == 1
    checked = CliRunner().invoke(app, ["audit", "verify", str(export), "--public-key", str(key)])
    assert checked.exit_code == 0, checked.output
    piped = CliRunner().invoke(
        app, ["audit", "verify", "-", "--public-key", str(key)], input=export.read_text()
    )
    assert piped.exit_code == 0, piped.output
    export.write_text(export.read_text().replace('"action":"organisation.', '"action":"other.'))
    changed = CliRunner().invoke(app, ["audit", "verify", str(export), "--public-key", str(key)])
    assert changed.exit_code == 1


def test_a_removed_entry_is_named_and_the_command_fails(
    app: typer.Typer, deployment: Deployment, tmp_path: Path
) -> None:
    with deployment.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_entries WHERE chain = 'instance' AND sequence = 2"))
    result = run(app, tmp_path, "verify")
    assert result.exit_code == 1
    assert "audit chain instance: entry 2 was removed" in result.output


def test_checkpoints_can_be_taken_along(app: typer.Typer, deployment: Deployment, tmp_path: Path) -> None:
    result = run(app, tmp_path, "checkpoint", "--chain", deployment.platform.organisation)
    assert result.stdout.startswith("signerd/kmsi-")
    assert f"/{deployment.platform.organisation}\n" in result.stdout
    assert "\u2014 signerd/kmsi-" in result.stdout
    assert run(app, tmp_path, "checkpoint", "--chain", "none").exit_code == 1


def test_without_a_database_the_command_says_so(app: typer.Typer, tmp_path: Path) -> None:
    result = run(app, tmp_path / "none", "verify")
    assert result.exit_code == 1
    assert "there is no database" in result.output
