"""Signatures made ahead: how many, which is used, and what happens when the key is lost."""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select

from kms_world import World, make_world
from signerd.dns.name import parse_name
from signerd.dns.rdatatype import DNSKEY
from signerd.dns.rrset import RRset
from signerd.dnssec.key import DnsKey
from signerd.dnssec.policy import SigningPolicy
from signerd.dnssec.signature_plan import SignatureJob
from signerd.signer.key_set_signatures import KeySetSignatures
from signerd.signer.signing_keys import LocalSigningKey, read_public_half
from signerd.store.zone_tables import zone_key_signatures
from signerd_kms.errors import Sealed

ZONE = parse_name("example.com.")
NOW = 1_800_000_000
DAY = 86_400
POLICY = SigningPolicy(validity_seconds=14 * DAY, refresh_margin_seconds=7 * DAY)


@dataclass
class LosableKey:
    """A KSK whose KMS can be lost."""

    inner: LocalSigningKey
    is_lost: bool = False
    asked: list[bytes] = field(default_factory=list[bytes])

    @property
    def dnskey(self) -> DnsKey:
        return self.inner.dnskey

    def sign(self, data: bytes) -> bytes:
        if self.is_lost:
            raise Sealed("the KMS is sealed")
        self.asked.append(data)
        return self.inner.sign(data)


@pytest.fixture
def world(tmp_path: Path) -> Generator[World]:
    with make_world(tmp_path) as made:
        yield made


@pytest.fixture
def key() -> LosableKey:
    private = ec.generate_private_key(ec.SECP256R1())
    return LosableKey(LocalSigningKey(private, read_public_half(private, 257)))


def make_job(key: LosableKey, now: int, ttl: int = 3600) -> SignatureJob:
    rrset = RRset(ZONE, DNSKEY, ttl, (key.dnskey.rdata,))
    return SignatureJob(rrset, now + POLICY.validity_seconds, (key.dnskey,), ())


def sign(made: KeySetSignatures, key: LosableKey, now: int, ttl: int = 3600) -> tuple[int, int]:
    """Give inception and expiration of the signature chosen."""
    (rrset,) = made.sign(ZONE, [make_job(key, now, ttl)], [key], POLICY, now)
    (rrsig,) = rrset.signatures
    assert rrset[:4] == make_job(key, now, ttl).rrset[:4]
    return int.from_bytes(rrsig[12:16]), int.from_bytes(rrsig[8:12])


def test_a_row_reaches_beyond_the_runway_and_the_first_is_used(world: World, key: LosableKey) -> None:
    made = KeySetSignatures(world.engine, 15 * DAY)
    assert sign(made, key, NOW) == (NOW - 3600, NOW + 14 * DAY)
    with world.engine.connect() as connection:
        expirations = connection.execute(
            select(zone_key_signatures.c.expiration).order_by(zone_key_signatures.c.expiration)
        ).scalars()
        assert [(at - NOW) // DAY for at in expirations] == [14, 21, 28, 35]


def test_without_a_runway_one_signature_is_made(world: World, key: LosableKey) -> None:
    sign(KeySetSignatures(world.engine, 0), key, NOW)
    assert len(key.asked) == 1


@pytest.mark.parametrize("days", [15, 30, 90])
def test_a_lost_key_costs_nothing_for_the_runway(world: World, key: LosableKey, days: int) -> None:
    made = KeySetSignatures(world.engine, days * DAY)
    _, expiration = sign(made, key, NOW)
    now = NOW
    while expiration - now > POLICY.refresh_margin_seconds:  # the worst moment: right before a refresh
        now += DAY
    lost_at, key.is_lost = now - DAY, True
    while now <= lost_at + days * DAY:
        if expiration - now <= POLICY.refresh_margin_seconds:  # due: the plan asks for a signature
            inception, expiration = sign(made, key, now)
            assert inception <= now
        assert expiration - now > POLICY.refresh_margin_seconds
        now += DAY


def test_after_the_runway_the_last_one_is_used_as_long_as_it_holds(world: World, key: LosableKey) -> None:
    made = KeySetSignatures(world.engine, 15 * DAY)
    sign(made, key, NOW)
    key.is_lost = True
    assert sign(made, key, NOW + 34 * DAY)[1] == NOW + 35 * DAY
    with pytest.raises(Sealed):
        sign(made, key, NOW + 35 * DAY)


def test_it_is_told_when_the_one_used_is_due_itself(world: World, key: LosableKey) -> None:
    made = KeySetSignatures(world.engine, 15 * DAY)
    sign(made, key, NOW)
    key.is_lost = True
    told: list[str] = []
    for days, expected in ((20, 0), (34, 1)):
        now = NOW + days * DAY
        made.sign(ZONE, [make_job(key, now)], [key], POLICY, now, told.append)
        assert len(told) == expected
    assert f"KSK {key.dnskey.key_tag} cannot sign" in told[0]


def test_a_key_that_comes_back_makes_what_is_missing(world: World, key: LosableKey) -> None:
    made = KeySetSignatures(world.engine, 15 * DAY)
    sign(made, key, NOW)
    key.is_lost = True
    sign(made, key, NOW + 15 * DAY)
    key.is_lost = False
    before = len(key.asked)
    sign(made, key, NOW + 16 * DAY)
    assert len(key.asked) > before
    key.is_lost = True
    assert sign(made, key, NOW + 38 * DAY)[1] > NOW + 45 * DAY


def test_a_weekly_refresh_asks_the_kms_for_one_more(world: World, key: LosableKey) -> None:
    made = KeySetSignatures(world.engine, 15 * DAY)
    sign(made, key, NOW)
    for week in range(1, 5):
        before = len(key.asked)
        sign(made, key, NOW + week * 7 * DAY)
        assert len(key.asked) == before + 1
    with world.engine.connect() as connection:
        count = connection.execute(select(func.count()).select_from(zone_key_signatures)).scalar_one()
    assert count <= 6  # what has expired is dropped


def test_another_rrset_has_a_row_of_its_own(world: World, key: LosableKey) -> None:
    made = KeySetSignatures(world.engine, 15 * DAY)
    sign(made, key, NOW)
    key.is_lost = True
    with pytest.raises(Sealed):
        sign(made, key, NOW, ttl=60)


def test_a_restart_finds_them(world: World, key: LosableKey) -> None:
    sign(KeySetSignatures(world.engine, 15 * DAY), key, NOW)
    key.is_lost = True
    assert sign(KeySetSignatures(world.engine, 15 * DAY), key, NOW + 7 * DAY)[1] == NOW + 21 * DAY
