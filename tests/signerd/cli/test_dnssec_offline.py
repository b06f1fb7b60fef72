"""`signerd zone` and `signerd dnssec` against the database, while no server runs."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signerd.cli.main import make_app

Command = Callable[..., str]
CONFIG = """state_directory: state
zone_directory: zones
admin: {listen: 127.0.0.1@0}
"""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "signerd.db").touch(mode=0o600)
    (tmp_path / "zones").mkdir()
    file = tmp_path / "signerd.yaml"
    file.write_text(CONFIG)

    def run(*arguments: str, fails: bool = False, options: str = "") -> str:
        file.write_text(CONFIG + options)
        result = CliRunner().invoke(make_app(), [*arguments, "--config", str(file)])
        assert (result.exit_code != 0) is fails, result.output
        return result.output

    return run


def read_probe(command: Command) -> bool:
    status: dict[str, object] = json.loads(command("dnssec", "status", "shop.example", "--json"))
    delegation = status["delegation"]
    assert isinstance(delegation, dict)
    return "keyPublished" in delegation  # of a zone that is to be signed before its DS is at the parent


@pytest.mark.parametrize(("options", "is_signed_first"), [("", True), ("dnssec: {order: vendor}", False)])
def test_the_order_is_the_configured_one(command: Command, options: str, is_signed_first: bool) -> None:
    command("zone", "create", "shop.example")
    command("dnssec", "enable", "shop.example", options=options)
    assert read_probe(command) is is_signed_first


def test_a_dead_server_of_the_parent_is_ignored_and_heeded(command: Command) -> None:
    command("zone", "create", "shop.example")
    command("dnssec", "enable", "shop.example")
    assert "no server of the parent was asked" in command("dnssec", "parent-server", "shop.example")
    ignored = command("dnssec", "parent-server", "shop.example", "--ignore", "192.0.2.1", "--until", "+3d")
    assert "192.0.2.1#53 is ignored until" in ignored
    assert "ignored: 192.0.2.1#53" in command("dnssec", "status", "shop.example")
    command("dnssec", "parent-server", "shop.example", "--ignore", "2001:db8::1@5353")
    assert "2001:db8::1#5353" in command("dnssec", "parent-server", "shop.example")
    command("dnssec", "parent-server", "shop.example", "--heed", "192.0.2.1")
    assert "192.0.2.1" not in command("dnssec", "parent-server", "shop.example")
    for wrong in (["--until", "+3d"], ["--ignore", "192.0.2.1", "--heed", "192.0.2.1"], ["--ignore", "ns1"]):
        command("dnssec", "parent-server", "shop.example", *wrong, fails=True)


def test_a_parent_is_asked_when_a_server_runs(command: Command) -> None:
    command("zone", "create", "shop.example")
    assert "is off" in command("dnssec", "probe", "shop.example", fails=True)
    command("dnssec", "enable", "shop.example")
    assert "no server runs" in command("dnssec", "probe", "shop.example")


def test_a_new_ds_is_not_to_be_added_before_a_version_has_its_key(command: Command) -> None:
    command("zone", "create", "shop.example")
    assert "do not add it yet" in command("dnssec", "enable", "shop.example")


def test_a_zone_whose_first_version_cannot_be_signed_is_not_called_signed(
    command: Command, tmp_path: Path
) -> None:
    command("zone", "create", "shop.example")
    command("dnssec", "enable", "shop.example")
    with sqlite3.connect(tmp_path / "state" / "signerd.db") as database:
        database.execute("UPDATE dns_dnssec SET sign_error = 'no room', sign_error_since = 1800000000")
    database.close()
    told = command("dnssec", "status", "shop.example")
    assert "shop.example: on, but not signed yet\n" in told
    assert "cannot be signed: no room" in told


def test_check_tells_mistakes_of_what_is_stored_where_no_server_runs(command: Command) -> None:
    assert "warning: no name servers are configured" in command("zone", "create", "shop.example")
    told = command("zone", "check", "shop.example")
    assert "warning: no name servers are configured" in told
    assert "not in service" in told


def test_a_large_file_is_merged_in_pieces_of_whole_record_sets(command: Command, tmp_path: Path) -> None:
    command("zone", "create", "shop.example")
    file = tmp_path / "large.zone"
    lines = [f"n{number} 60 A 192.0.2.{number % 250}\n" for number in range(12_000)]
    file.write_text("$TTL 300\n" + "".join(lines) + "n0 A 192.0.2.251\n")
    assert "without it they are merged" in command(
        "zone", "import", "shop.example", str(file), "--replace", fails=True
    )
    told = command("zone", "import", "shop.example", str(file))
    assert "10000 of 12001 records are taken in" in told
    assert "12000 created, 0 updated, 0 deleted, 0 skipped" in told
    assert "0 created, 0 updated" in command("zone", "import", "shop.example", str(file))
    shown: dict[str, list[dict[str, object]]] = json.loads(command("zone", "show", "shop.example", "--json"))
    records = {str(record["name"]): record for record in shown["records"]}
    assert (records["n0"]["ttl"], records["n0"]["values"]) == (60, ["192.0.2.0", "192.0.2.251"])
    file.write_text("".join(lines) + "bad A nonsense\n")
    assert "line 12001: " in command("zone", "import", "shop.example", str(file), fails=True)


def test_a_file_that_is_not_utf_8_is_refused_with_the_line(command: Command, tmp_path: Path) -> None:
    command("zone", "create", "shop.example")
    file = tmp_path / "bad.zone"
    file.write_bytes(b"a A 192.0.2.1\nb TXT \xff\n")
    assert "line 2: not UTF-8" in command("zone", "import", "shop.example", str(file), fails=True)
