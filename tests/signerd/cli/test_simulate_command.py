"""`signerd simulate`, run in this process."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from signerd.cli.main import make_app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(), ["simulate", "--from", "2027-01-01", *arguments])


def test_three_years_with_an_outage_a_slow_parent_and_a_lost_kms() -> None:
    result = run(
        *("--until", "+3y", "--outage", "signer:3d@2027-02-01", "--parent-delay", "14d"),
        *("--kms-loss", "5d@2027-09-01"),
    )

    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "2027-02-01 00:00 UTC          trouble begins: signer" in lines
    assert "2027-09-06 00:00 UTC          trouble ends: kms" in lines
    assert any("publish-key ksk-" in line and line.startswith("2028") for line in lines)
    # the parent is asked for each new KSK, and that takes a person
    assert sum("PERSON" in line and "add the DS record of ksk-" in line for line in lines) == 2
    assert lines[-1] == "No resolver, whatever was in its cache, failed to validate."


def test_an_outage_that_outlasts_the_signatures_is_shown_as_a_failure() -> None:
    result = run("--until", "+120d", "--outage", "signer:40d@2027-02-01")

    assert result.exit_code == 1
    assert "is outside its validity" in result.output


def test_steps_that_ask_wait_for_approval() -> None:
    result = run("--until", "+60d", "--rollover", "ksk@2027-01-15", "--ask", "withdraw")

    lines = result.output.splitlines()
    asked = next(n for n, line in enumerate(lines) if "PERSON" in line and "rollover approve" in line)
    approved = next(n for n, line in enumerate(lines) if "approves the step 'withdraw'" in line)
    withdrawn = next(n for n, line in enumerate(lines) if "withdraw-key ksk-1" in line)
    assert asked < approved < withdrawn


def test_the_picture_shows_each_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.svg"
    result = run("--until", "+60d", "--change", "ecdsa-p384@+20d", "--svg", str(file))

    assert result.exit_code == 0, result.output
    texts = [element.text or "" for element in ET.parse(file).iter() if element.tag.endswith("}text")]  # noqa: S314 - made here
    for row in ("ksk-1 DNSKEY", "ksk-1 DS", "zsk-1 signatures", "ksk-2 DS", "zsk-2 signatures", "people"):
        assert row in texts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--until", "soon"], "'soon' is no moment"),
        (["--until", "2026-01-01"], "'2026-01-01' is before the start of the simulation"),
        (["--until", "+0d"], "the end must be after the start"),
        (["--outage", "signer:9d"], "is not of the form signer:9d@2027-02-01"),
        (["--outage", "moon:9d@2027-02-01"], "'moon' cannot fail here"),
        (["--rollover", "key@2027-02-01"], "'key' is no kind of rollover"),
        (["--change", "md5@2027-02-01"], "'md5' cannot be changed to"),
        (["--kms-loss", "5x@2027-02-01"], "'5x' is no duration"),
        (["--policy", "defualt"], "there is no policy 'defualt'"),
        (["--parent-delay", "many"], "'many' is no duration"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], message: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 1
    assert message in result.output
