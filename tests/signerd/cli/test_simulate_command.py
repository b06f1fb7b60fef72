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
        *("--kms-loss", "5d@2027-09-01", "--ksk-period", "1y"),
    )

    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "2027-02-01 00:00 UTC          trouble begins: signer" in lines
    assert "2027-09-06 00:00 UTC          trouble ends: kms" in lines
    assert any("publish-key ksk-" in line and line.startswith("2028") for line in lines)
    # the parent is asked for the first KSK and for each new one, and that takes a person
    assert sum("PERSON" in line and "the parent has no DS record of ksk-1 yet" in line for line in lines) == 1
    assert sum("PERSON" in line and "add the DS record of ksk-" in line for line in lines) == 2
    assert "A person had to act 3 times." in lines
    assert lines[-1] == "No resolver, whatever was in its cache, failed to validate."


def test_an_outage_that_outlasts_the_signatures_is_shown_as_a_failure() -> None:
    result = run("--until", "+120d", "--outage", "signer:40d@2027-02-01")

    assert result.exit_code == 1
    assert "is outside its validity" in result.output
    lines = result.output.splitlines()
    asked = next(n for n, line in enumerate(lines) if "PERSON" in line and "signerd clock accept" in line)
    assert lines[asked + 1] == "2027-03-14 00:00 UTC          the operator accepts the clock"
    assert "Signed with ksk-1" in lines[-8], "all goes on then"


def test_what_no_option_says_is_as_in_the_policy(tmp_path: Path) -> None:
    config = tmp_path / "signerd.yaml"
    config.write_text(
        "policies:\n"
        "  slow: {csk: true, ksk_period: 20d, steps: {delegate: ask}, propagation: 2h, parent_lag: 1h}\n"
    )
    result = run("--until", "+40d", "--config", str(config), "--policy", "slow")

    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "2027-01-21 00:00 UTC          csk rollover 2 begins" in lines
    assert any("PERSON" in line and "the step 'delegate' awaits" in line for line in lines)
    assert "2027-01-22 03:00 UTC          the operator approves the step 'delegate'" in lines
    by_default = run("--until", "+3y")
    assert "ksk rollover" not in by_default.output, "ksk_period: never"


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        (["insecure@+20d"], "The zone is not signed."),
        (["insecure@+20d", "secure@+60d"], "Signed with ksk-3 and zsk-3"),
        (["csk@+20d", "two-keys@+60d"], "Signed with ksk-3 and zsk-3"),
        (["nsec@+20d", "nsec3@+60d"], "Signed with ksk-1 and zsk-1"),
        (["no-ds@+20d", "ds@+60d"], "Signed with ksk-1 and zsk-1"),
    ],
)
def test_a_change_can_be_taken_back_by_another(changes: list[str], end: str) -> None:
    options = [word for change in changes for word in ("--change", change)]
    result = run("--until", "+80d", *options)

    assert result.exit_code == 0, result.output
    assert f"At the end: {end}" in result.output


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
        (["--outage", "signer@2027-02-01"], "'signer@2027-02-01' is not of the form signer:9d@2027-02-01"),
        (["--kms-loss", "5d"], "'5d' is not of the form 5d@2027-02-01"),
        (["--outage", "signer:9d@2040-01-01"], "'2040-01-01' is not before the end of the simulation"),
        (["--change", "csk@+4y"], "'+4y' is not before the end of the simulation"),
        (["--outage", "moon:9d@2027-02-01"], "'moon' cannot fail here"),
        (["--rollover", "key@2027-02-01"], "'key' is no kind of rollover"),
        (["--change", "md5@2027-02-01"], "'md5' cannot be changed to"),
        (["--kms-loss", "5x@2027-02-01"], "'5x' is no duration"),
        (["--ask", "confirm"], "--ask confirm: nothing is done in this step"),
        (["--policy", "defualt"], "there is no policy 'defualt'"),
        (["--parent-delay", "many"], "'many' is no duration"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], message: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 1
    assert message in result.output
