import os
from collections.abc import Callable
from pathlib import Path

import pytest

from signerd.config.state_directory import StateDirectory
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, count_labels, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.zones.manifest import write_manifest
from signerd.zones.publication import Publication
from signerd.zones.zone_directory import zone_directory_name

KSK = bytes.fromhex("0101030d") + bytes(range(64))
ZSK = bytes.fromhex("0100030d") + bytes(range(64, 128))
EXPIRATION = 2_000_000_000


def make_zone(
    origin: Name, dnskeys: tuple[bytes, ...] = (KSK, ZSK), cdnskeys: tuple[bytes, ...] = ()
) -> Zone:
    """Make a zone with made-up signatures: commands print it, nobody here validates it."""

    def sign(rdatatype: int) -> tuple[bytes]:
        head = rdatatype.to_bytes(2) + bytes((13, count_labels(origin))) + (3600).to_bytes(4)
        times = EXPIRATION.to_bytes(4) + (1_700_000_000).to_bytes(4)
        return (head + times + (1).to_bytes(2) + origin + bytes(64),)

    soa = parse_name("ns1.example.com.") + parse_name("admin.example.com.")
    soa += b"".join(number.to_bytes(4) for number in (2026, 7200, 3600, 1209600, 300))
    apex = {
        rt.SOA: RRset(origin, rt.SOA, 3600, (soa,), sign(rt.SOA)),
        rt.NS: RRset(origin, rt.NS, 3600, (parse_name("ns1.example.com."),), sign(rt.NS)),
    }
    if dnskeys:
        apex[rt.DNSKEY] = RRset(origin, rt.DNSKEY, 3600, tuple(sorted(dnskeys)), sign(rt.DNSKEY))
    if cdnskeys:
        apex[rt.CDNSKEY] = RRset(origin, rt.CDNSKEY, 3600, cdnskeys, sign(rt.CDNSKEY))
    return Zone(origin, {origin: apex})


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """A state directory with a published zone, one without keys, the root, and one not published yet."""
    state = StateDirectory(tmp_path / "state")
    published = [make_zone(parse_name(name)) for name in ("example.com.", ".")]
    published.append(make_zone(parse_name("unsigned.example."), dnskeys=()))
    for zone in published:
        Publication(state.published / zone_directory_name(zone.origin)).publish(zone, None)
    write_manifest(state.published, [*(zone.origin for zone in published), parse_name("pending.example.")])
    return state


@pytest.fixture
def publish_rolling(state: StateDirectory) -> Callable[[bytes | None], None]:
    """Publish rolling.example with two KSKs, one of zeros, and this CDNSKEY record, if any."""

    def publish(cdnskey: bytes | None) -> None:
        origin = parse_name("rolling.example.")
        zone = make_zone(origin, (KSK, KSK[:4] + bytes(64), ZSK), () if cdnskey is None else (cdnskey,))
        Publication(state.published / zone_directory_name(origin)).publish(zone, None)
        write_manifest(state.published, [origin])

    return publish


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SIGNERD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert os.environ.get("SIGNERD_CONFIG") is None
