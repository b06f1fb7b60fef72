import json
from pathlib import Path

import pytest

from signerd.dns.name import ROOT, parse_name
from signerd.zones.manifest import BadManifest, ManifestZone, read_manifest, write_manifest

GOOD = {"name": "example.com.", "directory": "example.com"}


def test_gives_back_all_zones_in_canonical_order(tmp_path: Path) -> None:
    names = [parse_name("b.example."), parse_name("a\\.b.example."), ROOT, parse_name("b.example.")]
    write_manifest(tmp_path / "published", names)
    assert read_manifest(tmp_path / "published") == (
        ManifestZone(ROOT, "@"),
        ManifestZone(parse_name("a\\.b.example."), "a%2Eb.example"),
        ManifestZone(parse_name("b.example."), "b.example"),
    )


def test_no_zones_is_a_manifest_too(tmp_path: Path) -> None:
    write_manifest(tmp_path, [])
    assert read_manifest(tmp_path) == ()


def test_is_readable_by_responders_of_another_user(tmp_path: Path) -> None:
    write_manifest(tmp_path / "published", [])
    assert (tmp_path / "published").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "published" / "manifest.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff\xff", "not JSON"),
        ([], "not an object"),
        ({"format": 1}, "not an object of format, zones"),
        ({"format": 1, "zones": [], "more": 1}, "not an object of format, zones"),
        ({"format": 2, "zones": []}, "format 2; this program reads 1"),
        ({"format": True, "zones": []}, "format True"),
        ({"format": 1, "zones": {}}, "'zones' is not a list"),
        ({"format": 1, "zones": ["example."]}, "not an object of directory, name"),
        ({"format": 1, "zones": [{"name": 1, "directory": "a"}]}, "must be strings"),
        ({"format": 1, "zones": [GOOD, GOOD]}, "named twice"),
        ({"format": 1, "zones": [GOOD | {"directory": "../x"}]}, "expected the directory 'example.com'"),
        ({"format": 1, "zones": [GOOD | {"name": "Example.com."}]}, "expected the directory"),
        ({"format": 1, "zones": [GOOD | {"name": "example.com"}]}, "no trailing dot"),
    ],
)
def test_refuses_anything_else_and_says_why(tmp_path: Path, content: object, reason: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(BadManifest, match=reason) as caught:
        read_manifest(tmp_path)
    assert str(path) in str(caught.value)


def test_a_missing_manifest_is_no_empty_manifest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path)
