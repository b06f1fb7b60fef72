"""`signerd config check` with zone files."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from signerd.cli.main import make_app

GOOD = "$TTL 1h\n@ SOA ns admin 1 2h 1h 2w 5m\n@ NS ns\nns A 192.0.2.1\n"


def check(directory: Path, options: str, *arguments: str) -> Result:
    file = directory / "signerd.yaml"
    file.write_text(f"zone_directory: {directory}\n{options}")
    return CliRunner().invoke(make_app(), ["config", "check", str(file), *arguments])


def test_good_zones_are_counted(tmp_path: Path) -> None:
    for name in ("example.com.zone", "example.net.zone"):
        (tmp_path / name).write_text(GOOD)
    result = check(tmp_path, "")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"{tmp_path}/signerd.yaml: good: 2 zones, 1 policy, listens on 127.0.0.1@5300 ::1@5300\n"
    )


def test_an_error_in_a_zone_file_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "example.com.zone").write_text(GOOD + "www A 192.0.2.300\n")
    result = check(tmp_path, "")
    assert result.exit_code == 1
    assert f"{tmp_path}/example.com.zone:5: error: " in result.stderr


def test_a_policy_that_cannot_keep_a_zone_valid_is_refused_with_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "example.com.zone").write_text(GOOD)
    result = check(tmp_path, "policies: {default: {refresh_margin: 14d}}\n")
    assert result.exit_code == 1
    assert (
        "policy 'default' is impossible for zone example.com: refresh_margin: 14d is not larger"
        in result.stderr
    )
    assert "(14d + 1h = 14d1h)" in result.stderr


def test_a_margin_that_was_cut_off_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "example.com.zone").write_text(GOOD.replace("2w", "10w"))
    result = check(tmp_path, "")
    assert result.exit_code == 0
    assert "warning: the largest automatic refresh margin, 45d, does not cover" in result.stdout
    assert "warning" not in check(tmp_path, "", "--quiet").stdout


def test_a_listed_zone_without_file_is_an_error(tmp_path: Path) -> None:
    result = check(tmp_path, "zones: [{name: example.org}]\n")
    assert result.exit_code == 1
    assert "example.org.zone" in result.stderr
    assert "cannot be read: No such file" in result.stderr


@pytest.mark.parametrize("name", ["a..b.zone", "example.com.zone"])
def test_files_that_make_no_zone_are_errors(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("nonsense\n")
    result = check(tmp_path, "")
    assert result.exit_code == 1
    assert name in result.stderr


def test_name_servers_that_were_forgotten_are_a_warning(tmp_path: Path) -> None:
    for options, is_told in (("", False), ("api_zones: {mailbox: admin@example.net}\n", True)):
        result = check(tmp_path, options)
        assert result.exit_code == 0
        assert ("warning: api_zones.name_servers is not stated" in result.stdout) is is_told
