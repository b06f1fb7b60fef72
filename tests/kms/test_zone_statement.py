import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kms_world import World
from signerd_kms.errors import KeyNotUsable, KeyUnknown, OperationUnsupported, StatementRefused
from signerd_kms.key import Key, KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.signature import SignatureForm
from signerd_kms.zone_statement import ZoneKey, compute_key_tag, make_zone_key
from zone_parts import (
    BY,
    CDNSKEY,
    CDS,
    DAY,
    DNSKEY,
    NOW,
    OTHER,
    ZONE,
    Parts,
    make_bound,
    make_foreign_key,
    read_zone_key,
    state,
)


def sign(kms: Kms, world: World, key: Key, octets: bytes) -> bytes:
    return kms.sign_zone_statement(world.scope, key.identity, 1, octets, by=BY)


@pytest.fixture
def ksk(kms: Kms, world: World) -> Key:
    return make_bound(kms, world)


def test_a_key_set_of_the_zone_is_signed_with_one_event(kms: Kms, world: World, ksk: Key) -> None:
    parts = state(kms, world, ksk)
    assert len(sign(kms, world, ksk, parts.encode())) == 64
    event = world.sink.events[-1]
    assert (event.action, event.succeeded, event.key_version) == ("kms.sign", True, 1)
    assert event.details == {
        "octets": len(parts.encode()),
        "rrtype": "DNSKEY",
        "records": 2,
        "expiration": NOW + 14 * DAY,
    }


@pytest.mark.parametrize(("key_type", "octets"), [(KeyType.ECDSA_P384, 96), (KeyType.RSA_2048, 256)])
def test_other_types_sign_in_the_form_of_an_rrsig(
    kms: Kms, world: World, key_type: KeyType, octets: int
) -> None:
    key = make_bound(kms, world, "other", key_type)
    assert len(sign(kms, world, key, state(kms, world, key).encode())) == octets


Edit = Callable[[Parts], Parts]
EDITS: dict[str, tuple[Edit, str]] = {
    "another zone": (lambda parts: replace(parts, signer=OTHER, owner=OTHER), "not bound"),
    "a name below": (lambda parts: replace(parts, owner=b"\x01a" + ZONE, labels=3), "another owner"),
    "upper case": (lambda parts: replace(parts, signer=ZONE.upper()), "lower case"),
    "no name": (lambda parts: replace(parts, signer=b"\xc0\x0c"), "no domain name"),
    "an address": (lambda parts: replace(parts, covered=1), "type 1"),
    "a DS": (lambda parts: replace(parts, covered=43), "type 43"),
    "another algorithm": (lambda parts: replace(parts, algorithm=8), "algorithm 8"),
    "labels of a wildcard": (lambda parts: replace(parts, labels=1), "labels"),
    "another class": (lambda parts: replace(parts, record_class=3), "class"),
    "records of another type": (lambda parts: replace(parts, record_type=1), "another type"),
    "records of another TTL": (lambda parts: replace(parts, record_ttl=1), "TTL"),
    "another key tag": (lambda parts: replace(parts, key_tag=parts.key_tag ^ 1), "key tag"),
    "no records": (lambda parts: replace(parts, rdatas=()), "no record"),
    "another order": (lambda parts: replace(parts, rdatas=parts.rdatas[::-1]), "canonical order"),
    "one twice": (lambda parts: replace(parts, rdatas=(parts.rdatas[0], *parts.rdatas)), "canonical order"),
    "the zone key missing": (
        lambda parts: replace(parts, rdatas=tuple(item for item in parts.rdatas if item[1] == 0)),
        "not in the set",
    ),
    "a rogue secure entry point": (
        lambda parts: replace(parts, rdatas=tuple(sorted([*parts.rdatas, make_foreign_key().encode(257)]))),
        "no key of this KMS",
    ),
    "a key that is no zone key": (
        lambda parts: replace(parts, rdatas=tuple(sorted([*parts.rdatas, make_foreign_key().encode(0)]))),
        "flags",
    ),
    "another protocol": (
        lambda parts: replace(parts, rdatas=tuple(sorted([*parts.rdatas, b"\x01\x00\x04\x0dx"]))),
        "no DNSKEY",
    ),
    "an empty key": (
        lambda parts: replace(parts, rdatas=tuple(sorted([*parts.rdatas, b"\x01\x00\x03\x0d"]))),
        "no DNSKEY",
    ),
    "too many keys": (
        lambda parts: replace(
            parts,
            rdatas=tuple(sorted([*parts.rdatas, *(b"\x01\x00\x03\x0d%03d" % n for n in range(64))])),
        ),
        "more than 64",
    ),
    "expired": (lambda parts: replace(parts, expiration=NOW - 1), "expired"),
    "in the future": (lambda parts: replace(parts, inception=NOW + DAY), "future"),
    "for too long": (
        lambda parts: replace(parts, inception=NOW - 2000 * DAY, expiration=NOW + 2000 * DAY),
        "too long",
    ),
    "octets behind": (lambda parts: replace(parts, tail=b"\x00"), "another owner"),
    "a cut record": (lambda parts: replace(parts, tail=ZONE + b"\x00"), "cut"),
    "a record longer than it is": (
        lambda parts: replace(parts, tail=ZONE + struct.pack("!HHIH", DNSKEY, 1, 3600, 9) + b"x"),
        "cut",
    ),
}


@pytest.mark.parametrize(("edit", "reason"), EDITS.values(), ids=EDITS.keys())
def test_everything_else_is_refused_and_the_refusal_recorded(
    kms: Kms, world: World, ksk: Key, edit: Edit, reason: str
) -> None:
    with pytest.raises(StatementRefused, match=reason):
        sign(kms, world, ksk, edit(state(kms, world, ksk)).encode())
    event = world.sink.events[-1]
    assert (event.action, event.succeeded, event.error) == ("kms.sign", False, "kms.statement_refused")


def test_a_second_ksk_of_this_kms_may_stand_in_the_set(kms: Kms, world: World, ksk: Key) -> None:
    second = make_bound(kms, world, "second")
    parts = state(kms, world, ksk)
    both = (*parts.rdatas, read_zone_key(kms, world, second).encode(257))
    assert sign(kms, world, ksk, replace(parts, rdatas=tuple(sorted(both))).encode())
    unbound = kms.create_key(world.scope, "unbound", KeyType.ECDSA_P256, by=BY)
    third = (*parts.rdatas, read_zone_key(kms, world, unbound).encode(257))
    with pytest.raises(StatementRefused, match="no key of this KMS"):
        sign(kms, world, ksk, replace(parts, rdatas=tuple(sorted(third))).encode())


def make_cds(key: ZoneKey, number: int = 2) -> bytes:
    dnskey = key.encode(257)
    digest = {2: hashlib.sha256, 4: hashlib.sha384}[number](ZONE + dnskey).digest()
    return struct.pack("!HBB", compute_key_tag(dnskey), key.algorithm, number) + digest


def test_cds_and_cdnskey_name_keys_of_the_kms(kms: Kms, world: World, ksk: Key) -> None:
    parts = state(kms, world, ksk)
    own, foreign = read_zone_key(kms, world, ksk), make_foreign_key()
    allowed = [
        replace(parts, covered=CDS, rdatas=tuple(sorted([make_cds(own), make_cds(own, 4)]))),
        replace(parts, covered=CDNSKEY, rdatas=(own.encode(257),)),
    ]
    for statement in allowed:
        assert sign(kms, world, ksk, statement.encode())
    refused = [
        replace(parts, covered=CDS, rdatas=(make_cds(foreign),)),
        replace(parts, covered=CDS, rdatas=tuple(sorted([make_cds(own), make_cds(foreign)]))),
        replace(parts, covered=CDS, rdatas=(bytes(5), make_cds(own))),
        replace(parts, covered=CDS, rdatas=(make_cds(own)[:-1],)),
        replace(parts, covered=CDNSKEY, rdatas=(foreign.encode(257),)),
        replace(parts, covered=CDNSKEY, rdatas=(own.encode(256),)),
    ]
    for statement in refused:
        with pytest.raises(StatementRefused):
            sign(kms, world, ksk, statement.encode())


@pytest.mark.parametrize(("covered", "rdata"), [(CDS, bytes(5)), (CDNSKEY, bytes((0, 0, 3, 0, 0)))])
def test_the_parent_is_asked_for_removal_only_where_the_caller_expects_it(
    kms: Kms, world: World, ksk: Key, covered: int, rdata: bytes
) -> None:
    octets = replace(state(kms, world, ksk), covered=covered, rdatas=(rdata,)).encode()
    with pytest.raises(StatementRefused, match="not said to go insecure"):
        sign(kms, world, ksk, octets)
    assert kms.sign_zone_statement(world.scope, ksk.identity, 1, octets, by=BY, allows_removal=True)
    assert world.sink.events[-1].details["asksRemoval"] == 1


def test_an_expected_removal_allows_nothing_else(kms: Kms, world: World, ksk: Key) -> None:
    parts = state(kms, world, ksk)
    for covered, rdatas in ((CDS, (bytes(5), make_cds(make_foreign_key()))), (CDNSKEY, (bytes(5),))):
        octets = replace(parts, covered=covered, rdatas=tuple(sorted(rdatas))).encode()
        with pytest.raises(StatementRefused):
            kms.sign_zone_statement(world.scope, ksk.identity, 1, octets, by=BY, allows_removal=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 400), change=st.integers(1, 255), cut=st.booleans())
def test_no_changed_statement_names_another_secure_entry_point(
    kms: Kms, world: World, position: int, change: int, cut: bool
) -> None:
    key = kms.find_key(world.scope, "ksk") or make_bound(kms, world)
    octets = bytearray(state(kms, world, key).encode())
    if cut:
        octets = octets[: position % len(octets) or 1]
    else:
        octets[position % len(octets)] ^= change
    own = read_zone_key(kms, world, key).encode(257)
    try:
        sign(kms, world, key, bytes(octets))
    except StatementRefused:
        return
    assert own in bytes(octets)  # what was changed is a TTL, a time, or the ZSK
    assert bytes(octets).count(b"\x01\x01\x03\x0d") >= 1


def test_a_key_signs_only_for_zones_it_is_bound_to_and_only_active(kms: Kms, world: World) -> None:
    key = kms.create_key(world.scope, "ksk", KeyType.ECDSA_P256, by=BY)
    octets = state(kms, world, key).encode()
    with pytest.raises(StatementRefused, match="not bound"):
        sign(kms, world, key, octets)
    kms.bind_zone(world.scope, key.identity, ZONE, by=BY)
    kms.bind_zone(world.scope, key.identity, ZONE, by=BY)
    assert world.sink.actions().count("kms.bind_zone") == 1
    assert sign(kms, world, key, octets)
    kms.disable(world.scope, key.identity, by=BY)
    with pytest.raises(KeyNotUsable):
        sign(kms, world, key, octets)


def test_zones_and_keys_that_make_no_sense_are_not_bound(kms: Kms, world: World) -> None:
    key = kms.create_key(world.scope, "ksk", KeyType.ECDSA_P256, by=BY)
    for zone in (b"", b"\x07example", b"example.com", ZONE + b"x", ZONE.upper(), b"\x40" + b"a" * 64 + b"\0"):
        with pytest.raises(StatementRefused):
            kms.bind_zone(world.scope, key.identity, zone, by=BY)
    aes = kms.create_key(world.scope, "aes", KeyType.AES256_GCM96, by=BY)
    for wrong in (aes, kms.create_key(world.scope, "p521", KeyType.ECDSA_P521, by=BY)):
        with pytest.raises(OperationUnsupported):
            kms.bind_zone(world.scope, wrong.identity, ZONE, by=BY)
    with pytest.raises(KeyUnknown):
        kms.bind_zone(Scope("o-two", "reg-one"), key.identity, ZONE, by=BY)
    kms.bind_zone(world.scope, key.identity, b"\0", by=BY)  # the root zone


def test_the_bindings_of_another_organisation_count_for_nothing(kms: Kms, world: World, ksk: Key) -> None:
    other = Scope("o-two", "reg-one")
    foreign = kms.create_key(other, "ksk", KeyType.ECDSA_P256, by=BY)
    kms.bind_zone(other, foreign.identity, ZONE, by=BY)
    zone_key = make_zone_key(KeyType.ECDSA_P256, kms.public_key(other, foreign.identity, 1))
    assert zone_key is not None
    parts = state(kms, world, ksk)
    both = tuple(sorted([*parts.rdatas, zone_key.encode(257)]))
    with pytest.raises(StatementRefused, match="no key of this KMS"):
        sign(kms, world, ksk, replace(parts, rdatas=both).encode())


def test_plain_signing_is_no_way_round(kms: Kms, world: World, ksk: Key) -> None:
    parts = state(kms, world, ksk)
    statements = [
        parts,
        replace(parts, covered=CDS, rdatas=(make_cds(make_foreign_key()),)),
        replace(parts, covered=CDNSKEY, rdatas=(make_foreign_key().encode(257),)),
        replace(parts, signer=ZONE.upper(), owner=ZONE.upper()),
        replace(parts, covered=1, rdatas=(bytes(4),)),  # resolvers take a KSK's signature over data, too
        replace(parts, covered=1, owner=b"\x03www" + ZONE, labels=3, rdatas=(bytes(4),)),
    ]
    for statement in statements:
        octets = statement.encode()
        with pytest.raises(StatementRefused):
            kms.sign(world.scope, ksk.identity, None, octets, by=BY)
        digest = hashlib.sha256(octets).digest()
        with pytest.raises(StatementRefused, match="digests"):
            kms.sign(world.scope, ksk.identity, 1, digest, by=BY, form=SignatureForm(is_prehashed=True))
    assert kms.sign(world.scope, ksk.identity, None, b"anything else", by=BY)
    free = kms.create_key(world.scope, "free", KeyType.ECDSA_P256, by=BY)
    assert kms.sign(world.scope, free.identity, None, parts.encode(), by=BY)
