"""The options that commands of the API share."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from signerd.cli.command_errors import explain_errors
from signerd.cli.connection import Connection, takes_connection, takes_organisation

SHARED = ["--config", "--state", "--url", "--token-file"]
seen: list[tuple[Connection, str, bool]] = []


@takes_organisation
def rename(connection: Connection, zone: str, force: bool = False) -> None:
    """Give a zone another name."""
    seen.append((connection, zone, force))


@takes_connection
def remove(connection: Connection, zone: str) -> None:
    """Take a zone away."""
    seen.append((connection, zone, True))


@pytest.fixture
def app() -> typer.Typer:
    seen.clear()
    made = typer.Typer(rich_markup_mode=None)
    made.command("rename")(explain_errors(rename))
    made.command("remove")(explain_errors(remove))
    return made


def test_a_command_gets_its_own_arguments_and_the_connection(app: typer.Typer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    words = ["rename", "a.test", "--force", "--org", "acme", "--url", "http://x", "--token-file", str(token)]
    result = CliRunner().invoke(app, [*words, "--config", "c.yaml", "--state", "s"])
    assert result.exit_code == 0, result.output
    assert seen == [(Connection(Path("c.yaml"), Path("s"), "http://x", token, "acme"), "a.test", True)]
    seen.clear()
    environment = {"SIGNERD_URL": "http://y", "SIGNERD_CONFIG": "d.yaml", "SIGNERD_TOKEN_FILE": "t"}
    assert CliRunner().invoke(app, ["remove", "b.test"], env=environment).exit_code == 0
    assert seen == [(Connection(Path("d.yaml"), None, "http://y", Path("t"), None), "b.test", True)]


def test_help_names_the_shared_options_after_those_of_the_command(app: typer.Typer) -> None:
    def list_options(command: str) -> list[str]:
        text = CliRunner().invoke(app, [command, "--help"]).output
        assert "connection" not in text.lower()
        lines = (line.split() for line in text.splitlines() if line.lstrip().startswith("--"))
        return [words[0] for words in lines]

    assert list_options("rename") == ["--force", "--org", *SHARED, "--help"]
    assert list_options("remove") == [*SHARED, "--help"]


def test_an_organisation_is_none_of_the_options_where_there_is_none(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["remove", "a.test", "--org", "acme"])
    assert result.exit_code == 2
    assert seen == []
