import gc
import sqlite3
import weakref
from contextlib import closing

import dns.dnssec
import dns.name
import dns.node
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from key_world import KeyWorld, sign_key_set
from signerd.dns.name import Name, parse_name
from signerd.dns.rdatatype import CDNSKEY, CDS, DNSKEY, RRSIG
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.algorithm import ECDSAP256SHA256, ECDSAP384SHA384, RSASHA256
from signerd.dnssec.ds import DELETE_CDNSKEY, DELETE_CDS, make_ds_set
from signerd.dnssec.key import DnsKey, clashes
from signerd.dnssec.rrsig import make_signer
from signerd.rollover.beginning import begin, name_keys
from signerd.signer import zone_key_store
from signerd.signer.served_keys import ServedKeys
from signerd.signer.signing_keys import encode_private_key, generate_private_key, read_public_half
from signerd.signer.timetable_keys import KskSource, TimetableKeys
from signerd.signer.zone_key_store import ACTIVE, INCOMING, OUTGOING, KeyUnusable
from signerd.store.zone_tables import zone_signing_keys
from signerd.timetable.arrangement import arrange
from signerd.timetable.policy import TimetablePolicy
from signerd.timetable.state import KeyRole
from signerd_kms.attribution import Attribution
from signerd_kms.errors import KeyNotUsable, Sealed, StatementRefused, UnwrapFailed
from signerd_kms.key import Key, KeyType, Scope
from signerd_kms.schema import keys as kms_keys

ZONE = parse_name("example.com.")
NOW = 1_800_000_000
P256 = KeyType.ECDSA_P256


def make_key(key_world: KeyWorld, name: str, key_type: KeyType = P256) -> Key:
    return key_world.kms.create_key(key_world.world.scope, name, key_type, by=Attribution("someone"))


def disable(key_world: KeyWorld, key: Key) -> None:
    key_world.kms.disable(key_world.world.scope, key.identity, by=Attribution("someone"))


def list_key_names(key_world: KeyWorld) -> list[str]:
    return [key.name for key in key_world.kms.list_keys(key_world.world.scope)]


@pytest.mark.parametrize(
    ("zone", "name"),
    [(ZONE, "DNSSEC example.com"), (parse_name("."), "DNSSEC ."), (parse_name("b."), "DNSSEC b")],
)
def test_a_zone_without_keys_gets_a_key_named_after_it(key_world: KeyWorld, zone: Name, name: str) -> None:
    keys = key_world.store.ensure(zone, P256, None)
    assert list_key_names(key_world) == [name]
    key = key_world.kms.find_key(key_world.world.scope, name)
    assert key is not None
    assert key.key_type is P256
    (ksk,), (zsk,) = keys.key_set.ksks, keys.key_set.zsks
    assert (ksk.flags, zsk.flags) == (257, 256)
    assert ksk.algorithm == zsk.algorithm == ECDSAP256SHA256
    assert keys.key_set.announced == (ksk,)
    assert keys.ds == make_ds_set(zone, ksk)
    assert [ds[3] for ds in keys.ds] == [2, 4]
    assert keys.kms_keys == {ksk.key_tag: key.identity}


@pytest.mark.parametrize(
    ("key_type", "algorithm"), [(KeyType.ECDSA_P384, ECDSAP384SHA384), (KeyType.RSA_2048, RSASHA256)]
)
def test_the_zsk_has_the_algorithm_of_the_ksk(key_world: KeyWorld, key_type: KeyType, algorithm: int) -> None:
    keys = key_world.store.ensure(ZONE, key_type, None)
    assert {key.dnskey.algorithm for key in keys.signing_keys} == {algorithm}
    rrsig = sign_key_set(keys, ZONE)
    assert rrsig[2] == algorithm
    assert keys.signing_keys[1].sign(b"data")


def test_a_restart_finds_the_same_keys(key_world: KeyWorld) -> None:
    first = key_world.store.ensure(ZONE, P256, None)
    assert key_world.store.ensure(ZONE, P256, None) is first
    again = key_world.restart().ensure(ZONE, P256, None)
    assert again is not first
    assert (again.key_set, again.ds, again.kms_keys) == (first.key_set, first.ds, first.kms_keys)
    assert list_key_names(key_world) == ["DNSSEC example.com"]


def test_the_ksk_signs_in_the_kms_with_an_audit_event(key_world: KeyWorld) -> None:
    keys = key_world.store.ensure(ZONE, P256, None)
    ksk = keys.signing_keys[0]
    sign_key_set(keys, ZONE)
    event = key_world.world.sink.events[-1]
    assert event.action == "kms.sign"
    assert event.via == "dns-dnssec"
    assert event.details["zone"] == "example.com"
    assert event.details["keyTag"] == str(ksk.dnskey.key_tag)
    assert event.details["rrtype"] == "DNSKEY"
    count = len(key_world.world.sink.events)
    keys.signing_keys[1].sign(b"data")
    assert len(key_world.world.sink.events) == count


@pytest.mark.parametrize(
    ("key_type", "algorithm"),
    [
        (P256, ECDSAP256SHA256),
        (KeyType.ECDSA_P384, ECDSAP384SHA384),
        (KeyType.RSA_2048, RSASHA256),
        (KeyType.RSA_3072, RSASHA256),
    ],
)
def test_another_library_verifies_the_key_set_for_each_key_type(
    key_world: KeyWorld, key_type: KeyType, algorithm: int
) -> None:
    keys = key_world.store.ensure(ZONE, key_type, None)
    rrsig = sign_key_set(keys, ZONE)
    dnskeys = [key.rdata for key in (*keys.key_set.ksks, *keys.key_set.zsks)]
    origin = dns.name.from_wire(ZONE, 0)[0]

    def to_set(rdatatype: int, *rdatas: bytes) -> dns.rrset.RRset:
        made = [
            dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType(rdatatype), rdata, 0, len(rdata))
            for rdata in rdatas
        ]
        return dns.rrset.from_rdata_list(origin, 3600, made)

    keyring: dict[dns.name.Name, dns.rdataset.Rdataset | dns.node.Node] = {
        origin: to_set(DNSKEY, keys.key_set.ksks[0].rdata)
    }
    dns.dnssec.validate(  # pyright: ignore[reportUnknownMemberType]
        to_set(DNSKEY, *dnskeys), to_set(RRSIG, rrsig), keyring, None, 1_800_000_000
    )
    assert rrsig[2] == algorithm


def test_the_ksk_signs_nothing_but_the_key_set_of_its_zone(key_world: KeyWorld) -> None:
    keys = key_world.store.ensure(ZONE, P256, None)
    other = parse_name("example.net.")
    with pytest.raises(StatementRefused, match="not bound to this zone"):
        sign_key_set(keys, other)
    with pytest.raises(StatementRefused, match="no RRset"):
        keys.signing_keys[0].sign(b"data")
    refused = key_world.world.sink.events[-1]
    assert (refused.action, refused.error) == ("kms.sign", "kms.statement_refused")


def test_an_active_key_of_the_zones_name_is_taken(key_world: KeyWorld) -> None:
    key = make_key(key_world, "DNSSEC example.com")
    keys = key_world.store.ensure(ZONE, P256, None)
    assert list(keys.kms_keys.values()) == [key.identity]


def test_unusable_keys_of_the_zones_name_are_passed_over(key_world: KeyWorld) -> None:
    disable(key_world, make_key(key_world, "DNSSEC example.com"))
    make_key(key_world, "DNSSEC example.com 2", KeyType.ECDSA_P384)
    keys = key_world.store.ensure(ZONE, P256, None)
    third = key_world.kms.find_key(key_world.world.scope, "DNSSEC example.com 3")
    assert third is not None
    assert list(keys.kms_keys.values()) == [third.identity]


def test_zones_whose_names_give_one_slug_get_keys_of_their_own(key_world: KeyWorld) -> None:
    dots, hyphen = parse_name("a.b.com."), parse_name("a-b.com.")
    first = key_world.store.ensure(dots, P256, None)
    second = key_world.store.ensure(hyphen, P256, None)
    assert sorted(list_key_names(key_world)) == ["DNSSEC a-b.com 2", "DNSSEC a.b.com"]
    assert set(first.kms_keys.values()).isdisjoint(second.kms_keys.values())


def test_a_configured_key_is_found_by_identity_and_by_name(key_world: KeyWorld) -> None:
    key = make_key(key_world, "my key")
    by_identity = key_world.store.ensure(ZONE, P256, key.identity)
    by_name = key_world.store.ensure(parse_name("example.org."), P256, "my key")
    assert by_identity.key_set.ksks == by_name.key_set.ksks
    assert set(by_identity.kms_keys.values()) == set(by_name.kms_keys.values()) == {key.identity}
    assert list_key_names(key_world) == ["my key"]


def test_the_configured_key_decides_the_algorithm(key_world: KeyWorld) -> None:
    key = make_key(key_world, "my key", KeyType.ECDSA_P384)
    keys = key_world.store.ensure(ZONE, P256, key.identity)
    assert {key.algorithm for key in keys.key_set.published} == {ECDSAP384SHA384}


def test_a_configured_key_that_cannot_sign_zones_is_refused(key_world: KeyWorld) -> None:
    disable(key_world, make_key(key_world, "off"))
    curve = make_key(key_world, "curve")  # of a type that the KMS makes none of yet
    with key_world.world.engine.begin() as connection:
        connection.execute(
            update(kms_keys).where(kms_keys.c.identity == curve.identity).values(key_type="ed25519")
        )
    for kms_key, reason in (
        ("kms-00000000000000000000", "there is no KMS key 'kms-00000000000000000000'"),
        ("off", "the KMS key 'off' is disabled"),
        ("curve", "a KMS key of type ed25519 cannot sign zones"),
    ):
        with pytest.raises(KeyUnusable) as caught:
            key_world.store.ensure(ZONE, P256, kms_key)
        assert str(caught.value) == reason
    assert key_world.store.ensure(ZONE, P256, None)  # nothing is left of the attempts


def test_a_zone_keeps_its_ksk_when_another_is_asked_for(key_world: KeyWorld) -> None:
    first = key_world.store.ensure(ZONE, P256, None)
    other = make_key(key_world, "other")
    assert key_world.restart().ensure(ZONE, P256, other.identity).key_set == first.key_set
    assert key_world.restart().ensure(ZONE, KeyType.RSA_2048, None).key_set == first.key_set


def test_a_disabled_ksk_stays_the_zones_key_but_signs_no_more(key_world: KeyWorld) -> None:
    first = key_world.store.ensure(ZONE, P256, None)
    key = key_world.kms.find_key(key_world.world.scope, "DNSSEC example.com")
    assert key is not None
    disable(key_world, key)
    again = key_world.restart().ensure(ZONE, P256, None)
    assert again.key_set == first.key_set
    with pytest.raises(KeyNotUsable):
        sign_key_set(again, ZONE)


def test_the_tag_of_the_zsk_never_clashes_with_that_of_the_ksk(
    key_world: KeyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key(key_world, "my key")
    spki = key_world.kms.public_key(key_world.world.scope, key.identity, 1)
    ksk = DnsKey.from_spki(spki, 257)
    made: list[ec.EllipticCurvePrivateKey] = []
    clashing = 0

    def generate(algorithm: int) -> ec.EllipticCurvePrivateKey:
        private_key = generate_private_key(algorithm)
        assert isinstance(private_key, ec.EllipticCurvePrivateKey)
        made.append(private_key)
        return private_key

    def pretend_clash(one: DnsKey, other: DnsKey) -> bool:
        nonlocal clashing
        assert other == ksk
        clashing += 1
        return clashing <= 3 or clashes(one, other)

    monkeypatch.setattr(zone_key_store, "generate_private_key", generate)
    monkeypatch.setattr(zone_key_store, "clashes", pretend_clash)
    keys = key_world.store.ensure(ZONE, P256, key.identity)
    assert len(made) >= 4
    assert keys.key_set.zsks == (read_public_half(made[-1], 256),)


def test_making_a_zsk_gives_up_when_no_tag_is_free(
    key_world: KeyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretend_clash(one: DnsKey, other: DnsKey) -> bool:
        return one != other

    monkeypatch.setattr(zone_key_store, "clashes", pretend_clash)
    with pytest.raises(KeyUnusable, match=r"no key tag is free in zone example.com"):
        key_world.store.ensure(ZONE, P256, None)
    monkeypatch.undo()
    assert key_world.store.ensure(ZONE, P256, None)
    assert list_key_names(key_world) == ["DNSSEC example.com"]


@pytest.fixture
def private_keys(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Note the secret numbers of the ZSKs that are made."""
    made: list[bytes] = []

    def generate(algorithm: int) -> ec.EllipticCurvePrivateKey:
        private_key = generate_private_key(algorithm)
        assert isinstance(private_key, ec.EllipticCurvePrivateKey)
        made.append(private_key.private_numbers().private_value.to_bytes(32))
        return private_key

    monkeypatch.setattr(zone_key_store, "generate_private_key", generate)
    return made


def test_no_private_key_is_in_the_files(key_world: KeyWorld, private_keys: list[bytes]) -> None:
    key_world.store.ensure(ZONE, P256, None)
    directory = key_world.world.directory
    with closing(sqlite3.connect(directory / "signerd.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(FULL)")
    files = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    with key_world.world.engine.connect() as connection:
        stored = connection.execute(select(zone_signing_keys.c.public_key)).scalars().all()
    assert all(public_key in files for public_key in stored)  # so these are the right files
    (secret,) = private_keys
    assert secret not in files
    assert encode_private_key(ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1())) not in files


def test_a_wrapped_key_opens_in_its_own_row_alone(key_world: KeyWorld) -> None:
    other = parse_name("example.org.")
    key_world.store.ensure(ZONE, P256, None)
    key_world.store.ensure(other, P256, None)
    table = zone_signing_keys
    with key_world.world.engine.begin() as connection:
        rows = connection.execute(select(table).where(table.c.role == "zsk")).all()
        for row, wrapped in zip(rows, [row.wrapped for row in reversed(rows)], strict=True):
            connection.execute(update(table).where(table.c.id == row.id).values(wrapped=wrapped))
    store = key_world.restart()
    for zone in (ZONE, other):
        with pytest.raises(UnwrapFailed):
            store.ensure(zone, P256, None)


@pytest.mark.parametrize("column", ["zone", "public_key", "flags", "id"])
def test_a_changed_row_does_not_open(key_world: KeyWorld, column: str) -> None:
    key_world.store.ensure(ZONE, P256, None)
    values: dict[str, str | bytes | int] = {
        "zone": "example.org.",
        "public_key": read_public_half(generate_private_key(ECDSAP256SHA256), 256).public_key,
        "flags": 257,
        "id": "zsk-00000000000000000000",
    }
    table = zone_signing_keys
    with key_world.world.engine.begin() as connection:
        connection.execute(update(table).where(table.c.role == "zsk").values({column: values[column]}))
    zone = parse_name("example.org.") if column == "zone" else ZONE
    with pytest.raises(UnwrapFailed):
        key_world.restart().ensure(zone, P256, None)


def test_forgotten_keys_are_loaded_again_unless_the_kms_is_sealed(key_world: KeyWorld) -> None:
    first = key_world.store.ensure(ZONE, P256, None)
    key_world.store.forget_loaded()
    assert key_world.store.ensure(ZONE, P256, None).key_set == first.key_set
    key_world.kms.seal()
    key_world.store.forget_loaded()
    with pytest.raises(Sealed):
        key_world.store.ensure(ZONE, P256, None)


def test_a_zsk_that_is_given_up_is_held_in_memory_no_more(key_world: KeyWorld) -> None:
    store = key_world.store
    timetable_keys = TimetableKeys(store, key_world.world.engine, key_world.kms)
    stored = timetable_keys.make_first(ZONE, KskSource(P256), is_csk=False)
    timetable_keys.name_keys(name_keys(stored))
    policy = TimetablePolicy()
    nothing_served = ServedKeys(frozenset(), frozenset(), frozenset(), None, 0, 0)
    wanted = arrange(begin(stored, nothing_served, policy, NOW), policy)
    held = [
        weakref.ref(keys.signing_keys[-1])
        for keys in (
            store.ensure(ZONE, P256, None),
            timetable_keys.load(ZONE, wanted, ["ksk-1"]),
        )
    ]
    (zsk,) = (key for key in timetable_keys.list_keys(ZONE) if key.role is KeyRole.ZSK)
    signers = [signer() for signer in held]
    assert [signer is not None and signer.dnskey for signer in signers] == [zsk.dnskey] * 2
    del signers
    timetable_keys.forget(ZONE, zsk)
    gc.collect()
    assert [signer() for signer in held] == [None] * 2


def test_the_ksk_signs_the_removal_of_its_ds_only_for_a_zone_that_asks_for_it(key_world: KeyWorld) -> None:
    keys = key_world.store.ensure(ZONE, P256, None)
    removal = RRset(ZONE, CDS, 3600, (DELETE_CDS,))
    with pytest.raises(StatementRefused, match="not said to go insecure"):
        make_signer(keys.signing_keys[0], ZONE, NOW)(removal, NOW + 86400)
    leaving = keys.ask_removal()
    assert (leaving.key_set.announced, leaving.key_set.asks_removal) == ((), True)
    assert make_signer(leaving.signing_keys[0], ZONE, NOW)(removal, NOW + 86400)
    assert [key.dnskey for key in leaving.signing_keys] == [key.dnskey for key in keys.signing_keys]


def test_what_a_version_announces_is_announced_whatever_else_the_keys_are_for(key_world: KeyWorld) -> None:
    key_world.store.ensure(ZONE, P256, None)
    key_world.store.store_kms_key(ZONE, "ksk", make_key(key_world, "next"))
    keys = key_world.restart().ensure(ZONE, P256, None)
    first, second = keys.key_set.ksks

    def announce(*cdnskeys: bytes) -> tuple[DnsKey, ...]:
        rrsets = {CDNSKEY: RRset(ZONE, CDNSKEY, 3600, cdnskeys)} if cdnskeys else {}
        return keys.announce_as(Zone(ZONE, {ZONE: rrsets})).key_set.announced

    assert keys.key_set.announced == (first, second)
    assert announce(first.rdata) == (first,)
    assert announce(second.rdata, bytes(40)) == (second,)
    assert announce(DELETE_CDNSKEY) == announce() == keys.announce_as(None).key_set.announced == ()


def list_keys(key_world: KeyWorld, role: str) -> list[tuple[int, str]]:
    """Give algorithm and state of the keys of the zone that have a role."""
    rows = key_world.store.read_rows(ZONE)
    return sorted((row.algorithm, row.state) for row in rows if row.role == role)


def test_each_algorithm_of_a_ksk_gets_one_zsk(key_world: KeyWorld) -> None:
    store = key_world.store
    store.make_lacking_zsks(ZONE)
    assert store.read_rows(ZONE) == [], "a zone without a KSK has no keys"
    store.store_kms_key(ZONE, "ksk", make_key(key_world, "first"))
    store.store_kms_key(ZONE, "ksk", make_key(key_world, "second"), state=INCOMING)
    store.store_kms_key(ZONE, "ksk", make_key(key_world, "third", KeyType.ECDSA_P384), state=OUTGOING)
    for _ in range(2):
        store.make_lacking_zsks(ZONE)
        assert list_keys(key_world, "zsk") == [(ECDSAP256SHA256, ACTIVE), (ECDSAP384SHA384, ACTIVE)]
    assert list_keys(key_world, "ksk") == [
        (ECDSAP256SHA256, ACTIVE),
        (ECDSAP256SHA256, INCOMING),
        (ECDSAP384SHA384, OUTGOING),
    ]


def test_a_csk_needs_no_zsk(key_world: KeyWorld) -> None:
    key_world.store.store_kms_key(ZONE, "csk", make_key(key_world, "all"))
    key_world.store.make_lacking_zsks(ZONE)
    assert list_keys(key_world, "zsk") == []


def test_lacking_zsks_cannot_be_made_while_the_kms_is_sealed(key_world: KeyWorld) -> None:
    key_world.store.store_kms_key(ZONE, "ksk", make_key(key_world, "first"))
    key_world.kms.seal()
    with pytest.raises(Sealed):
        key_world.store.make_lacking_zsks(ZONE)
    assert list_keys(key_world, "zsk") == []


@pytest.mark.parametrize("state", [INCOMING, OUTGOING])
def test_a_key_that_comes_or_goes_signs_and_is_not_announced(key_world: KeyWorld, state: str) -> None:
    key_world.store.ensure(ZONE, P256, None)
    key = make_key(key_world, "another")
    key_world.store.store_kms_key(ZONE, "ksk", key, state=state)
    keys = key_world.restart().ensure(ZONE, P256, None)
    other = key_world.store.read_newest_version(key)
    assert other in keys.key_set.ksks
    assert other in [signing_key.dnskey for signing_key in keys.signing_keys]
    assert [known for known in keys.key_set.ksks if known != other] == list(keys.key_set.announced)


def test_keys_of_another_scope_are_found_made_and_taken_there(key_world: KeyWorld) -> None:
    elsewhere = Scope("org-elsewhere", key_world.world.scope.region, "prj-shop")
    store = key_world.store
    made = store.provide_key(ZONE, P256, scope=elsewhere)
    assert (made.scope, made.name) == (elsewhere, "DNSSEC example.com")
    assert store.provide_key(ZONE, P256, scope=elsewhere) == made
    for name in (made.identity, made.name):
        assert store.find_named(name) is None
        assert store.find_named(name, elsewhere) == store.take_key(name, elsewhere) == made
        with pytest.raises(KeyUnusable, match="there is no KMS key"):
            store.take_key(name)
    assert list_key_names(key_world) == []
    store.store_kms_key(ZONE, "ksk", made)
    (row,) = store.read_rows(ZONE)
    assert store.find_scope(row) == elsewhere
    keys = key_world.restart().ensure(ZONE, P256, None)
    assert sign_key_set(keys, ZONE)
