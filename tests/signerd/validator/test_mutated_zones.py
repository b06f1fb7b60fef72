"""Each mutation of a good zone is signed anew where it can be, so that it is the only fault to be found."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from signerd.dns.name import Name, parse_name
from signerd.dns.rdatatype import CDNSKEY, CDS, CNAME, DNSKEY, MX, NS, NSEC, NSEC3, NSEC3PARAM, SOA, TXT, A
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.validator.zone_validation import validate

NOW = 1_736_000_000
APEX = parse_name("example.")

Sign = Callable[..., RRset]
FindDs = Callable[[Zone], list[bytes]]
Change = Callable[[RRset, Sign], RRset | None]


@dataclass(frozen=True)
class Case:
    owner: str
    rdatatype: int
    change: Change
    reason: str


def put(zone: Zone, owner: Name, rdatatype: int, rrset: RRset | None) -> Zone:
    if rdatatype == NSEC3:
        nsec3 = {name: old for name, old in zone.nsec3.items() if name != owner}
        return Zone(zone.origin, zone.names, nsec3 if rrset is None else {**nsec3, owner: rrset})
    types = {number: old for number, old in zone.names.get(owner, {}).items() if number != rdatatype}
    if rrset is not None:
        types[rdatatype] = rrset
    return Zone(zone.origin, {**zone.names, owner: types}, zone.nsec3)


def flip(octets: bytes, at: int) -> bytes:
    position = at % len(octets)
    return octets[:position] + bytes([octets[position] ^ 1]) + octets[position + 1 :]


def flip_signature(rrset: RRset, _: Sign) -> RRset:
    return rrset._replace(signatures=(flip(rrset.signatures[0], -1),))


def edit(rrset: RRset, sign: Sign, change: Callable[[bytes], bytes]) -> RRset:
    return sign(rrset._replace(rdatas=(change(rrset.rdatas[0]),)))


def covers(rrset: RRset, rdatatype: int) -> RRset:
    head = rdatatype.to_bytes(2)
    return rrset._replace(signatures=(*rrset.signatures, head + rrset.signatures[0][2:]))


BOTH: dict[str, Case] = {
    "bad signature": Case("mail", A, flip_signature, "bad signature"),
    "stranger's key": Case(
        "mail", A, lambda r, sign: sign(r, "stranger"), "no DNSKEY of the zone may verify it"
    ),
    "missing": Case("mail", A, lambda r, _: r._replace(signatures=()), "missing RRSIG"),
    "labels": Case("mail", A, lambda r, sign: sign(r, labels=1), "wrong labels field 1 instead of 2"),
    "wildcard labels": Case("*.wild", TXT, lambda r, sign: sign(r, labels=3), "wrong labels field 3"),
    "original TTL": Case("mail", A, lambda r, sign: sign(r, ttl=60), "wrong original TTL 60 instead of 3600"),
    "signer": Case("mail", A, lambda r, sign: sign(r, signer=b"\x07exampl3\x00"), "wrong signer name"),
    "long signer": Case(
        "mail", A, lambda r, sign: sign(r, signer=b"\x01a\x07example\x00"), "wrong signer name"
    ),
    "expired": Case("mail", A, lambda r, sign: sign(r, expiration=NOW - 1), "expired"),
    "future": Case("mail", A, lambda r, sign: sign(r, inception=NOW + 1), "not yet valid"),
    "twice": Case("mail", A, lambda r, _: r._replace(signatures=r.signatures * 2), "duplicate RRSIG"),
    "two by one key": Case(
        "mail", A, lambda r, sign: r._replace(signatures=r.signatures + sign(r).signatures), "more than one"
    ),
    "stray": Case("mail", A, lambda r, _: covers(r, MX), "stray RRSIG: it covers type 15"),
    "short": Case("mail", A, lambda r, _: r._replace(signatures=(*r.signatures, b"\x00")), "too short"),
    "signed glue": Case("ns.child", A, lambda r, sign: sign(r), "has an RRSIG but is data below"),
    "signed delegation": Case("child", NS, lambda r, sign: sign(r), "has an RRSIG but is the NS RRset of"),
    "signed below DNAME": Case("below.moved", TXT, lambda r, sign: sign(r), "below a zone cut or a DNAME"),
    "two SOAs": Case(
        "@",
        SOA,
        lambda r, sign: sign(r._replace(rdatas=(r.rdatas[0], flip(r.rdatas[0], -5)))),
        "2 records where",
    ),
    "no SOA": Case("@", SOA, lambda r, _: None, "missing SOA"),
    "duplicate records": Case(
        "ns1", A, lambda r, sign: r._replace(rdatas=r.rdatas * 2), "duplicate records in the RRset"
    ),
    "DNSKEY by the ZSK": Case(
        "@", DNSKEY, lambda r, sign: sign(r, "zsk"), "not signed by a key that matches"
    ),
    "CDS": Case("@", CDS, lambda r, sign: edit(r, sign, lambda rdata: flip(rdata, -1)), "mismatching CDS"),
    "CDNSKEY": Case(
        "@", CDNSKEY, lambda r, sign: edit(r, sign, lambda rdata: flip(rdata, -1)), "mismatching CDNSKEY"
    ),
    "CDS by the ZSK": Case("@", CDS, lambda r, sign: sign(r, "zsk"), "RFC 7344"),
    "half a deletion": Case(
        "@", CDS, lambda r, sign: edit(r, sign, lambda rdata: bytes(5)), "name different keys"
    ),
    "a deletion among others": Case(
        "@",
        CDS,
        lambda r, sign: sign(r._replace(rdatas=(bytes(5), *r.rdatas))),
        "the delete form is not alone",
    ),
    "a CDNSKEY deletion among others": Case(
        "@",
        CDNSKEY,
        lambda r, sign: sign(r._replace(rdatas=(bytes((0, 0, 3, 0, 0)), *r.rdatas))),
        "the delete form is not alone",
    ),
    "a deletion in another form": Case(
        "@", CDS, lambda r, sign: edit(r, sign, lambda rdata: bytes((0, 1, 0, 0, 0))), "mismatching CDS"
    ),
}
NSEC_ONLY: dict[str, Case] = {
    "gone": Case("mail", NSEC, lambda r, _: None, "missing NSEC"),
    "bitmap": Case(
        "mail", NSEC, lambda r, s: edit(r, s, lambda d: flip(d, -1)), "wrong type bit map: lacks NSEC"
    ),
    "next": Case("mail", NSEC, lambda r, s: edit(r, s, lambda d: flip(d, 1)), "wrong next name"),
    "not closed": Case("*.wild", NSEC, lambda r, s: edit(r, s, lambda d: flip(d, 1)), "instead of example."),
    "TTL": Case(
        "mail", NSEC, lambda r, s: s(r._replace(ttl=600)), "TTL 600 of the denial record instead of 300"
    ),
    "type gone": Case("mail", A, lambda r, _: None, "extra NSEC: the name has no other data"),
    "unsigned at a cut": Case("insecure", NSEC, lambda r, _: r._replace(signatures=()), "missing RRSIG"),
}
NSEC3_ONLY: dict[str, Case] = {
    "gone": Case("mail", NSEC3, lambda r, _: None, "missing NSEC3 of mail.example."),
    "ENT gone": Case(
        "ent", NSEC3, lambda r, _: None, "missing NSEC3 of ent.example. (an empty non-terminal)"
    ),
    "inner ENT gone": Case(
        "deep.ent", NSEC3, lambda r, _: None, "missing NSEC3 of deep.ent.example. (an empty"
    ),
    "insecure gone": Case("insecure", NSEC3, lambda r, _: None, "missing NSEC3 of insecure.example."),
    "bitmap": Case("mail", NSEC3, lambda r, s: edit(r, s, lambda d: flip(d, -1)), "wrong type bit map: has"),
    "next": Case("mail", NSEC3, lambda r, s: edit(r, s, lambda d: flip(d, 6)), "wrong next hash"),
    "opt-out": Case("mail", NSEC3, lambda r, s: edit(r, s, lambda d: flip(d, 1)), "opt-out is set"),
    "hash algorithm": Case(
        "mail", NSEC3, lambda r, s: edit(r, s, lambda d: flip(d, 0)), "differ from NSEC3PARAM"
    ),
    "iterations": Case(
        "mail", NSEC3, lambda r, s: edit(r, s, lambda d: flip(d, 3)), "differ from NSEC3PARAM"
    ),
    "TTL": Case(
        "mail", NSEC3, lambda r, s: s(r._replace(ttl=600)), "TTL 600 of the denial record instead of 300"
    ),
    "no NSEC3PARAM": Case("@", NSEC3PARAM, lambda r, _: None, "missing NSEC3PARAM"),
    "NSEC3PARAM": Case(
        "@", NSEC3PARAM, lambda r, s: edit(r, s, lambda d: flip(d, 3)), "missing NSEC3 of example."
    ),
    "param flags": Case(
        "@", NSEC3PARAM, lambda r, s: edit(r, s, lambda d: flip(d, 1)), "flags 1 instead of 0"
    ),
}
CASES = [
    pytest.param(kind, case, id=f"{kind}-{name}")
    for kind, table in (("nsec", BOTH | NSEC_ONLY), ("nsec3", BOTH | NSEC3_ONLY))
    for name, case in table.items()
]


def find_nsec3(zone: Zone, name: Name) -> Name:
    """Find the NSEC3 of a name in a zone without salt and more iterations."""
    digest = hashlib.sha1(name, usedforsecurity=False).digest()
    return next(owner for owner in zone.nsec3 if int(owner[1:33], 32).to_bytes(20) == digest)


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_a_mutation_is_rejected_with_its_reason(
    kind: str, case: Case, bind_zones: dict[str, Zone], sign: Sign, find_ds: FindDs
) -> None:
    zone = bind_zones[kind]
    name = parse_name(case.owner, APEX)
    owner = find_nsec3(zone, name) if case.rdatatype == NSEC3 else name
    old = zone.nsec3[owner] if case.rdatatype == NSEC3 else zone.names[owner][case.rdatatype]
    report = validate(put(zone, owner, case.rdatatype, case.change(old, sign)), ds=find_ds(zone), now=NOW)
    assert not report.is_accepted
    assert case.reason in str(report)


def test_an_extra_nsec3_is_rejected(bind_zones: dict[str, Zone], sign: Sign, find_ds: FindDs) -> None:
    zone = bind_zones["nsec3"]
    model = next(iter(zone.nsec3.values()))
    owner = Name(b"\x20" + b"0" * 32 + APEX)
    extra = sign(model._replace(owner=owner))
    report = validate(put(zone, owner, NSEC3, extra), ds=find_ds(zone), now=NOW)
    assert [finding.reason for finding in report.findings] == [
        "extra NSEC3: no name of the chain has this hash"
    ]


def test_both_kinds_of_denial_are_rejected(bind_zones: dict[str, Zone], sign: Sign, find_ds: FindDs) -> None:
    zone = bind_zones["nsec3"]
    nsec = bind_zones["nsec"].names[APEX][NSEC]
    report = validate(put(zone, APEX, NSEC, nsec), ds=find_ds(zone), now=NOW)
    assert "both NSEC and NSEC3" in str(report)


def test_no_denial_is_rejected(bind_zones: dict[str, Zone], find_ds: FindDs) -> None:
    zone = bind_zones["nsec3"]
    report = validate(Zone(zone.origin, zone.names), ds=find_ds(zone), now=NOW)
    assert "neither NSEC nor NSEC3" in str(report)


def test_data_beside_a_cname_is_rejected(bind_zones: dict[str, Zone], sign: Sign, find_ds: FindDs) -> None:
    zone = bind_zones["nsec"]
    owner = parse_name("mail", APEX)
    alias = sign(RRset(owner, CNAME, 300, (b"\x01a\x00",)))
    assert "other data beside a CNAME" in str(
        validate(put(zone, owner, CNAME, alias), ds=find_ds(zone), now=NOW)
    )


def test_signatures_must_be_good_for_the_time_asked_for(bind_zones: dict[str, Zone], find_ds: FindDs) -> None:
    zone = bind_zones["nsec"]  # its signatures end on 2025-02-01
    ds = find_ds(zone)
    assert validate(zone, ds=ds, now=NOW, must_be_good_until=1_738_368_000).is_accepted
    report = validate(zone, ds=ds, now=NOW, must_be_good_until=1_738_368_001)
    assert "expires too soon" in str(report)


def test_findings_stop_at_a_hundred(bind_zones: dict[str, Zone], find_ds: FindDs) -> None:
    zone = bind_zones["nsec3"]
    names: dict[Name, dict[int, RRset]] = {name: dict(types) for name, types in zone.names.items()}
    for number in range(200):
        owner = parse_name(f"host{number}", APEX)
        names[owner] = {A: RRset(owner, A, 300, (bytes(4),))}
    report = validate(Zone(zone.origin, names, zone.nsec3), ds=find_ds(zone), now=NOW)
    assert len(report.findings) == 100


def make_next(zone: Zone, sign: Sign) -> Zone:
    """Make a version with the next serial and nothing else changed."""
    soa = zone.soa
    rdata = soa.rdatas[0][:-20] + (zone.serial + 1).to_bytes(4) + soa.rdatas[0][-16:]
    return put(zone, APEX, SOA, sign(soa._replace(rdatas=(rdata,))))


def test_only_what_changed_is_verified_again(
    bind_zones: dict[str, Zone], sign: Sign, find_ds: FindDs
) -> None:
    zone = bind_zones["nsec3"]
    totals: set[int] = set()
    report = validate(
        make_next(zone, sign),
        ds=find_ds(zone),
        now=NOW,
        previous=zone,
        progress=lambda done, total: totals.add(total),
    )
    assert report.is_accepted
    signed_by_ksk = sum(len(zone.names[APEX][number].signatures) for number in (DNSKEY, CDS, CDNSKEY))
    assert totals == {signed_by_ksk + 1}


def test_everything_is_verified_again_under_other_keys(
    bind_zones: dict[str, Zone], sign: Sign, find_ds: FindDs
) -> None:
    zone = bind_zones["nsec"]
    spoiled = put(
        zone, parse_name("mail", APEX), A, flip_signature(zone.names[parse_name("mail", APEX)][A], sign)
    )
    keys = zone.names[APEX][DNSKEY]
    other = put(spoiled, APEX, DNSKEY, keys._replace(rdatas=keys.rdatas[:1]))
    ds = find_ds(zone)
    assert "bad signature" in str(validate(make_next(spoiled, sign), ds=ds, now=NOW, previous=other))


def test_unchanged_signatures_still_expire(bind_zones: dict[str, Zone], find_ds: FindDs, sign: Sign) -> None:
    zone = bind_zones["nsec"]
    report = validate(make_next(zone, sign), ds=find_ds(zone), now=1_738_368_001, previous=zone)
    assert "expired" in str(report)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_find_the_same(
    workers: int, bind_zones: dict[str, Zone], sign: Sign, find_ds: FindDs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signerd.validator.signature.BATCH", 5)
    zone, owner = bind_zones["nsec"], parse_name("mail", APEX)
    spoiled = put(zone, owner, A, flip_signature(zone.names[owner][A], sign))
    steps: list[tuple[int, int]] = []
    report = validate(
        spoiled,
        ds=find_ds(zone),
        now=NOW,
        workers=workers,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [(finding.owner, finding.type) for finding in report.findings] == [(owner, A)]
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
