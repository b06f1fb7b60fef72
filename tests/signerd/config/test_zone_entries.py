from pathlib import Path

from signerd.config.loader import parse_config
from signerd.config.options import Config
from signerd.config.zone_entries import list_entries, make_limits
from signerd.zones.master_file import Limits
from signerd.zones.zone_list import ZoneEntry, parse_zone_name


def test_zones_come_from_the_list_and_the_directory(tmp_path: Path) -> None:
    for name in ("root.zone", "a.example.zone", "listed.example.zone", "elsewhere", "bad..name.zone"):
        (tmp_path / name).touch()
    config = parse_config(
        f"""\
zone_directory: {tmp_path}
policies: {{quick: {{}}, slow: {{}}}}
zone_defaults: {{policy: slow}}
zones:
  - {{name: listed.example, policy: quick, kms_key: my key}}
  - {{name: other.example, file: elsewhere}}
  - {{name: far.example, file: /srv/far}}
""".encode(),
        "f.yaml",
    )
    entries, notices = list_entries(config)

    def entry(name: str, file: str, policy: str, kms_key: str | None = None) -> ZoneEntry:
        return ZoneEntry(parse_zone_name(name), tmp_path / file, policy, kms_key)

    assert {found.text: found for found in entries.values()} == {
        ".": entry(".", "root.zone", "slow"),
        "a.example": entry("a.example", "a.example.zone", "slow"),
        "listed.example": entry("listed.example", "listed.example.zone", "quick", "my key"),
        "other.example": entry("other.example", "elsewhere", "slow"),
        "far.example": entry("far.example", "/srv/far", "slow"),
    }
    assert [notice.file for notice in notices] == [str(tmp_path / "bad..name.zone")]


def test_limits_are_those_of_the_reader_by_default() -> None:
    assert make_limits(Config()) == Limits()
    assert make_limits(parse_config(b"limits: {file_size: 64k}", "f.yaml")).file_size == 65536
