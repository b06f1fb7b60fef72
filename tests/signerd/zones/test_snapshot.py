import contextlib
import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signerd.dns.name import ROOT, Name, make_sort_key, parse_name
from signerd.dns.rdatatype import NSEC3, RRSIG, SOA
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.zones.snapshot import (
    CorruptSnapshot,
    UnsupportedSnapshot,
    decode_snapshot,
    encode_snapshot,
    read_snapshot,
    write_snapshot,
)

Key = TypeVar("Key")
ORIGIN = parse_name("example.")


def make_signature(rdatatype: int, octets: bytes) -> bytes:
    return struct.pack("!H", rdatatype) + bytes(16) + ORIGIN + octets


def make_soa(origin: Name, serial: int) -> RRset:
    rdata = b"\x00\x00" + struct.pack("!5I", serial, 1, 2, 3, 4)
    return RRset(origin, SOA, 60, (rdata,), (make_signature(SOA, b"soa"),))


@st.composite
def rrsets(draw: st.DrawFn, owner: Name, rdatatype: int) -> RRset:
    rdatas = draw(st.sets(st.binary(max_size=20), min_size=1, max_size=3))
    signatures = draw(st.lists(st.binary(max_size=5), max_size=3, unique=True))
    ttl = draw(st.integers(0, 2**31 - 1))
    return RRset(
        owner,
        rdatatype,
        ttl,
        tuple(sorted(rdatas)),
        tuple(make_signature(rdatatype, octets) for octets in signatures),
    )


@st.composite
def zones(draw: st.DrawFn) -> Zone:
    origin = draw(st.sampled_from([ROOT, ORIGIN, parse_name("\\000.\\255x.example.")]))
    labels = st.binary(min_size=1, max_size=3).map(bytes.lower)
    owners = draw(st.sets(labels.map(lambda label: Name(bytes([len(label)]) + label + origin)), max_size=8))
    types = st.integers(1, 65535).filter(lambda number: number not in {SOA, RRSIG, NSEC3})
    names: dict[Name, dict[int, RRset]] = {
        owner: {
            number: draw(rrsets(owner, number)) for number in draw(st.sets(types, min_size=1, max_size=3))
        }
        for owner in owners
    }
    names[origin] = {SOA: make_soa(origin, draw(st.integers(0, 2**32 - 1)))}
    hashed = draw(st.sets(st.sampled_from(sorted({*owners, Name(b"\x02h1" + origin)})), max_size=3))
    return Zone(origin, names, {owner: draw(rrsets(owner, NSEC3)) for owner in hashed})


def encode(zone: Zone) -> bytes:
    return b"".join(encode_snapshot(zone))


@given(zones())
@settings(deadline=None)
def test_reading_gives_back_what_was_written(zone: Zone) -> None:
    again = decode_snapshot(encode(zone))
    assert (again.origin, again.names, again.nsec3) == (zone.origin, zone.names, zone.nsec3)


def reverse(mapping: Mapping[Key, RRset]) -> dict[Key, RRset]:
    return {key: mapping[key] for key in reversed(list(mapping))}


@given(zones())
@settings(deadline=None)
def test_the_same_zone_gives_the_same_octets_whatever_the_order_of_its_mappings(zone: Zone) -> None:
    names = {owner: reverse(zone.names[owner]) for owner in reversed(list(zone.names))}
    assert encode(Zone(zone.origin, names, reverse(zone.nsec3))) == encode(zone)


def make_example() -> Zone:
    www = parse_name("www.example.")
    a_rrset = RRset(www, 1, 300, (b"\1\2\3\4", b"\1\2\3\5"), (make_signature(1, b"s"),))
    hashed = parse_name("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.")
    nsec3 = {hashed: RRset(hashed, NSEC3, 60, (b"nsec3",), (make_signature(NSEC3, b"s"),))}
    return Zone(ORIGIN, {www: {1: a_rrset}, ORIGIN: {SOA: make_soa(ORIGIN, 7)}}, nsec3)


def test_the_file_is_laid_out_as_documented() -> None:
    zone = make_example()
    data = encode(zone)
    octets = len(data) - 33 - len(ORIGIN) - 32
    assert data[:33] == b"SGNDSNAP" + struct.pack("!HHIIIQB", 1, 0, 7, 3, 7, octets, len(ORIGIN))
    assert data[33 : 33 + len(ORIGIN)] == ORIGIN
    assert data[-32:] == hashlib.sha256(data[:-32]).digest()
    soa = zone.soa
    first_record = ORIGIN + struct.pack("!HHIH", SOA, 1, 60, len(soa.rdatas[0])) + soa.rdatas[0]
    signature = ORIGIN + struct.pack("!HHIH", RRSIG, 1, 60, len(soa.signatures[0])) + soa.signatures[0]
    assert data[33 + len(ORIGIN) :].startswith(first_record + signature)


def test_owners_come_in_canonical_order_with_nsec3_among_them() -> None:
    zone = decode_snapshot(encode(make_example()))
    owners = sorted([*zone.names, *zone.nsec3], key=make_sort_key)
    data = encode(zone)
    positions = [data.rindex(owner) for owner in owners[1:]]
    assert positions == sorted(positions)


def test_rrsets_of_a_file_share_their_owner_names(tmp_path: Path) -> None:
    path = tmp_path / "x.snapshot"
    octets = write_snapshot(path, make_example())
    assert path.stat().st_size == octets
    for owner, types in read_snapshot(path).names.items():
        assert all(rrset.owner is owner for rrset in types.values())


@given(st.data())
def test_any_changed_octet_is_noticed(data: st.DataObject) -> None:
    octets = bytearray(encode(make_example()))
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((CorruptSnapshot, UnsupportedSnapshot)):
        decode_snapshot(bytes(octets))


@given(st.data())
def test_any_cut_and_any_addition_is_noticed(data: st.DataObject) -> None:
    octets = encode(make_example())
    with pytest.raises(CorruptSnapshot):
        decode_snapshot(octets[: data.draw(st.integers(0, len(octets) - 1))])
    with pytest.raises(CorruptSnapshot):
        decode_snapshot(octets + data.draw(st.binary(min_size=1, max_size=40)))


def seal(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    ("position", "replacement", "reason"),
    [
        (10, b"\x00\x01", "unknown flags 0x0001"),
        (12, b"\x00\x00\x00\x08", "its SOA has serial 7, its header 8"),
        (16, b"\x00\x00\x00\x09", "its header says 9 of 7"),
        (20, b"\x00\x00\x00\x09", "its header says 3 of 9"),
        (34, b"f", "no SOA at fxample"),
    ],
)
def test_a_good_checksum_does_not_excuse_a_wrong_header(
    position: int, replacement: bytes, reason: str
) -> None:
    data = encode(make_example())[:-32]
    data = data[:position] + replacement + data[position + len(replacement) :]
    with pytest.raises(CorruptSnapshot, match=reason):
        decode_snapshot(seal(data))


@given(st.integers(42, 400), st.binary(min_size=1, max_size=4))
@settings(deadline=None)
def test_records_that_make_no_sense_are_refused_or_read_never_a_crash(position: int, noise: bytes) -> None:
    data = bytearray(encode(make_example())[:-32])
    position = min(position, len(data) - len(noise))
    data[position : position + len(noise)] = noise
    with contextlib.suppress(CorruptSnapshot):
        decode_snapshot(seal(bytes(data)))


def test_another_format_version_is_refused_by_its_number() -> None:
    data = bytearray(encode(make_example()))
    data[8:10] = b"\x00\x02"
    with pytest.raises(UnsupportedSnapshot, match="format version 2; this program reads 1"):
        decode_snapshot(bytes(data))


def test_an_rrset_without_records_cannot_be_written() -> None:
    empty = RRset(ORIGIN, 1, 0, ())
    with pytest.raises(ValueError, match="has no records"):
        encode(Zone(ORIGIN, {ORIGIN: {SOA: make_soa(ORIGIN, 1), 1: empty}}))


def test_an_nsec3_rrset_among_the_names_cannot_be_written() -> None:
    misplaced = RRset(ORIGIN, NSEC3, 0, (b"x",))
    with pytest.raises(ValueError, match="misplaced NSEC3"):
        encode(Zone(ORIGIN, {ORIGIN: {SOA: make_soa(ORIGIN, 1), NSEC3: misplaced}}))


def test_progress_goes_up_to_all_of_the_records() -> None:
    owners = [parse_name(f"n{number}.example.") for number in range(20_000)]
    records = {owner: {16: RRset(owner, 16, 60, (bytes(40),))} for owner in owners}
    apex = parse_name("example.")
    soa = RRset(apex, SOA, 60, (bytes(22),))
    told: list[tuple[int, int]] = []

    def take(done: int, total: int) -> None:
        told.append((done, total))

    octets = sum(map(len, encode_snapshot(Zone(apex, {apex: {SOA: soa}, **records}), take)))
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] == pytest.approx(octets >> 10, abs=1)
