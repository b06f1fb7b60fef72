"""Keys that sign all RRsets of a zone: what they sign, what they refuse, and what the audit says."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from kms_world import World
from signerd_kms.errors import AuditNotWritten, InvalidRequest, KeyNotUsable, StatementRefused
from signerd_kms.key import Key, KeyType
from signerd_kms.kms import Kms
from signerd_kms.merkle import compute_root
from signerd_kms.zone_signing import MAX_RRSETS
from signerd_kms.zone_statement import compute_key_tag
from zone_parts import BY, CDS, DAY, DNSKEY, NOW, OTHER, ZONE, Parts, make_bound, read_zone_key, state

A, NS, SOA, SIG, OPT, DS, RRSIG, NSEC3PARAM, AXFR = 1, 2, 6, 24, 41, 43, 46, 51, 252
WWW, WILDCARD = b"\x03www" + ZONE, b"\x01*" + ZONE


@pytest.fixture
def csk(kms: Kms, world: World) -> Key:
    return make_bound(kms, world, "csk", signs_data=True)


def make_address(kms: Kms, world: World, key: Key) -> Parts:
    """Make an A RRset of the zone, to be signed by this key."""
    tag = compute_key_tag(read_zone_key(kms, world, key).encode(257))
    return Parts((b"\x7f\0\0\1", b"\x7f\0\0\2"), covered=A, labels=3, owner=WWW, key_tag=tag)


def sign(kms: Kms, world: World, key: Key, *rrsets: Parts) -> list[bytes]:
    octets = [rrset.encode() for rrset in rrsets]
    return kms.sign_zone_rrsets(world.scope, key.identity, 1, octets, by=BY, context={"zone": "example.com"})


def check_signature(kms: Kms, world: World, key: Key, octets: bytes, made: bytes) -> None:
    public = serialization.load_der_public_key(kms.public_key(world.scope, key.identity, 1))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    r, s = int.from_bytes(made[:32]), int.from_bytes(made[32:])
    public.verify(utils.encode_dss_signature(r, s), octets, ec.ECDSA(hashes.SHA256()))


def test_a_batch_of_rrsets_is_one_event_with_count_and_merkle_root(kms: Kms, world: World, csk: Key) -> None:
    address = make_address(kms, world, csk)
    hosts = [
        replace(address, owner=b"\x04h%03d" % n + ZONE, expiration=NOW + (14 + n % 7) * DAY)
        for n in range(300)
    ]
    rrsets = [*hosts, replace(address, owner=WILDCARD, labels=2), state(kms, world, csk)]
    before = len(world.sink.events)
    made = sign(kms, world, csk, *rrsets)
    (event,) = world.sink.events[before:]
    octets = [rrset.encode() for rrset in rrsets]
    assert (event.action, event.succeeded, event.key_version) == ("kms.sign", True, 1)
    assert event.details == {
        "zone": "example.com",
        "count": 302,
        "octets": sum(map(len, octets)),
        "merkleRoot": compute_root(octets).hex(),
        "expiration": NOW + 20 * DAY,
    }
    for signed, signature in zip(octets, made, strict=True):
        check_signature(kms, world, csk, signed, signature)


@pytest.mark.parametrize(
    ("key_type", "algorithm", "octets"), [(KeyType.ECDSA_P384, 14, 96), (KeyType.RSA_2048, 8, 256)]
)
def test_other_types_sign_data_too(
    kms: Kms, world: World, key_type: KeyType, algorithm: int, octets: int
) -> None:
    key = make_bound(kms, world, "other", key_type, signs_data=True)
    (made,) = sign(kms, world, key, replace(make_address(kms, world, key), algorithm=algorithm))
    assert len(made) == octets


Edit = Callable[[Parts], Parts]
EDITS: dict[str, tuple[Edit, str]] = {
    "another zone": (lambda parts: replace(parts, signer=OTHER), "not bound"),
    "a name of another zone": (lambda parts: replace(parts, owner=b"\x03www" + OTHER), "outside"),
    "a name that ends the same": (
        lambda parts: replace(parts, owner=b"\x08xexample\x03com\x00", labels=2),
        "outside",
    ),
    "the parent": (lambda parts: replace(parts, owner=b"\x03com\x00", labels=1), "outside"),
    "upper case": (lambda parts: replace(parts, owner=b"\x03WWW" + ZONE), "lower case"),
    "a pointer": (lambda parts: replace(parts, owner=b"\xc0\x0c"), "no domain name"),
    "labels of a wildcard": (lambda parts: replace(parts, labels=2), "labels"),
    "labels of the wildcard's name": (lambda parts: replace(parts, owner=WILDCARD, labels=3), "labels"),
    "another algorithm": (lambda parts: replace(parts, algorithm=8), "algorithm 8"),
    "another key tag": (lambda parts: replace(parts, key_tag=parts.key_tag ^ 1), "key tag"),
    "another class": (lambda parts: replace(parts, record_class=3), "class"),
    "another TTL": (lambda parts: replace(parts, record_ttl=1), "TTL"),
    "another order": (lambda parts: replace(parts, rdatas=parts.rdatas[::-1]), "canonical order"),
    "no record": (lambda parts: replace(parts, rdatas=()), "no record"),
    "a signature": (lambda parts: replace(parts, covered=RRSIG), "none that zones sign"),
    "an old signature": (lambda parts: replace(parts, covered=SIG), "none that zones sign"),
    "EDNS": (lambda parts: replace(parts, covered=OPT), "none that zones sign"),
    "no type": (lambda parts: replace(parts, covered=0), "none that zones sign"),
    "a type of questions": (lambda parts: replace(parts, covered=AXFR), "none that zones sign"),
    "a SOA below": (lambda parts: replace(parts, covered=SOA), "apex only"),
    "NSEC3PARAM below": (lambda parts: replace(parts, covered=NSEC3PARAM), "apex only"),
    "keys below": (lambda parts: replace(parts, covered=DNSKEY), "apex only"),
    "the DS of the zone": (lambda parts: replace(parts, covered=DS, owner=ZONE, labels=2), "parent"),
    "a rogue CDS": (lambda parts: replace(parts, covered=CDS, owner=ZONE, labels=2), "CDS names no key"),
    "expired": (lambda parts: replace(parts, expiration=NOW - 1), "expired"),
    "in the future": (lambda parts: replace(parts, inception=NOW + DAY), "future"),
    "for too long": (lambda parts: replace(parts, expiration=NOW + 4000 * DAY), "too long"),
}


@pytest.mark.parametrize(("edit", "reason"), EDITS.values(), ids=EDITS.keys())
def test_one_rrset_that_is_not_allowed_refuses_the_batch_with_one_event(
    kms: Kms, world: World, csk: Key, edit: Edit, reason: str
) -> None:
    good = make_address(kms, world, csk)
    before = len(world.sink.events)
    with pytest.raises(StatementRefused, match=reason):
        sign(kms, world, csk, good, edit(good))
    (event,) = world.sink.events[before:]
    assert (event.action, event.succeeded, event.error) == ("kms.sign", False, "kms.statement_refused")
    assert event.details["count"] == 2


def test_delegations_and_signalling_records_below_the_apex_are_data(kms: Kms, world: World, csk: Key) -> None:
    address = make_address(kms, world, csk)
    assert (
        len(sign(kms, world, csk, *(replace(address, covered=kind) for kind in (NS, DS, CDS, 65_280)))) == 4
    )


def test_a_ksk_that_is_no_csk_signs_key_sets_only(kms: Kms, world: World, csk: Key) -> None:
    ksk = make_bound(kms, world)
    assert len(sign(kms, world, ksk, state(kms, world, ksk))) == 1
    for rrset in (
        make_address(kms, world, ksk),
        replace(make_address(kms, world, ksk), owner=ZONE, labels=2),
    ):
        with pytest.raises(StatementRefused, match=r"another owner|type 1 "):
            sign(kms, world, ksk, rrset)
        with pytest.raises(StatementRefused):
            kms.sign_zone_statement(world.scope, ksk.identity, 1, rrset.encode(), by=BY)


def test_the_last_binding_counts_and_each_change_of_it_is_an_event(kms: Kms, world: World, csk: Key) -> None:
    address = make_address(kms, world, csk)
    kms.bind_zone(world.scope, csk.identity, ZONE, by=BY, signs_data=True)
    assert sign(kms, world, csk, address)
    kms.bind_zone(world.scope, csk.identity, ZONE, by=BY)
    with pytest.raises(StatementRefused):
        sign(kms, world, csk, address)
    bound = [event.details["signsData"] for event in world.sink.events if event.action == "kms.bind_zone"]
    assert bound == ["yes", "no"]


def test_the_zone_of_one_key_is_not_that_of_another(kms: Kms, world: World, csk: Key) -> None:
    kms.bind_zone(world.scope, csk.identity, OTHER, by=BY)  # as a KSK there
    address = make_address(kms, world, csk)
    with pytest.raises(StatementRefused):
        sign(kms, world, csk, address, replace(address, signer=OTHER, owner=b"\x03www" + OTHER))


def test_batches_have_bounds(kms: Kms, world: World, csk: Key) -> None:
    address = make_address(kms, world, csk).encode()
    for rrsets in ([], [address] * (MAX_RRSETS + 1)):
        with pytest.raises(InvalidRequest):
            kms.sign_zone_rrsets(world.scope, csk.identity, 1, rrsets, by=BY)


def test_no_signature_is_returned_without_its_event(kms: Kms, world: World, csk: Key) -> None:
    address = make_address(kms, world, csk)
    world.sink.failure = OSError("disk full")
    with pytest.raises(AuditNotWritten):
        sign(kms, world, csk, address)


def test_a_key_that_was_disabled_signs_no_data(kms: Kms, world: World, csk: Key) -> None:
    address = make_address(kms, world, csk)
    kms.disable(world.scope, csk.identity, by=BY)
    with pytest.raises(KeyNotUsable):
        sign(kms, world, csk, address)
