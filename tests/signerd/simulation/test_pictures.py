"""The pictures of ROLLOVERS.md are what its commands draw."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signerd.cli.main import make_app

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "signerd/ROLLOVERS.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    signerd (simulate .*) --svg (\S+)$", PAGE, re.MULTILINE)


def test_each_picture_has_a_command() -> None:
    shown = re.findall(r"\]\((rollovers/\S+\.svg)\)", PAGE)
    assert [file for _, file in COMMANDS] == [f"signerd/{file}" for file in shown]
    assert len(shown) == 5


@pytest.mark.parametrize(("command", "file"), COMMANDS)
def test_a_picture_is_what_its_command_draws(command: str, file: str, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.svg"
    result = CliRunner().invoke(make_app(), [*shlex.split(command), "--svg", str(drawn)])

    assert result.exit_code == 0, result.output
    assert drawn.read_text(encoding="utf-8") == (ROOT / file).read_text(encoding="utf-8")
