import threading

import pytest

from signerd.dns import rdatatype as rt
from signerd.dns.name import parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.algorithm import ECDSAP256SHA256
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key import DnsKey
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.policy import SigningPolicy
from signerd.dnssec.signature_plan import SigningPlan, plan_signatures
from signerd.dnssec.signed_zone import assemble
from signerd.signer.bulk_signing import CHUNK_JOBS, carry_out
from signerd.signer.signing_keys import LocalSigningKey, generate_private_key, read_public_half
from signerd.validator.zone_validation import validate

NOW = 1_800_000_000
POLICY = SigningPolicy()
ORIGIN = parse_name("bulk.test.")
NAMES = 4 * CHUNK_JOBS


def make_key(flags: int) -> LocalSigningKey:
    private_key = generate_private_key(ECDSAP256SHA256)
    return LocalSigningKey(private_key, read_public_half(private_key, flags))


KSK, ZSK = make_key(257), make_key(256)
KEY_SET = KeySet.from_keys([KSK.dnskey, ZSK.dnskey])


class FailingKey:
    """Signs a number of times, then fails."""

    def __init__(self, key: LocalSigningKey, times: int) -> None:
        self._key = key
        self.left = times
        self._lock = threading.Lock()

    @property
    def dnskey(self) -> DnsKey:
        return self._key.dnskey

    def sign(self, data: bytes, /) -> bytes:
        with self._lock:
            self.left -= 1
        if self.left < 0:
            raise ConnectionError("the key is gone")
        return self._key.sign(data)


def make_zone(names: int = NAMES) -> Zone:
    soa = (
        b"\x02ns"
        + ORIGIN
        + b"\x04host"
        + ORIGIN
        + b"".join(n.to_bytes(4) for n in (1, 7200, 900, 604800, 600))
    )
    apex = {
        rt.SOA: RRset(ORIGIN, rt.SOA, 3600, (soa,)),
        rt.NS: RRset(ORIGIN, rt.NS, 3600, (parse_name("ns.elsewhere.example."),)),
    }
    zone = {ORIGIN: apex}
    for number in range(names):
        owner = parse_name(f"host{number}.bulk.test.")
        zone[owner] = {rt.A: RRset(owner, rt.A, 300, (number.to_bytes(4),))}
    return Zone(ORIGIN, zone)


def make_plan(zone: Zone, previous: Zone | None = None, *, serial: int = 1, now: int = NOW) -> SigningPlan:
    return plan_signatures(
        assemble(zone, keys=KEY_SET, policy=POLICY, serial=serial), previous, KEY_SET, POLICY, now
    )


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("names", [0, 3, NAMES])
def test_everything_is_signed_whatever_the_number_of_workers(workers: int, names: int) -> None:
    signed = carry_out(make_plan(make_zone(names)), [KSK, ZSK], workers=workers)
    assert len(signed.names) == names + 1
    assert len(signed.nsec3) == names + 1
    assert all(len(rrset.signatures) == 1 for rrset in signed.iterate_rrsets())
    report = validate(signed, ds=make_ds_set(ORIGIN, KSK.dnskey), now=NOW, workers=2)
    assert not report.findings


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_grows_to_the_whole_in_the_callers_thread(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    threads: set[int] = set()

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        threads.add(threading.get_ident())

    plan = make_plan(make_zone())
    total = len(plan.jobs) + len(plan.key_set_jobs)
    carry_out(plan, [KSK, ZSK], workers=workers, progress=progress)
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)
    assert {of for _, of in seen} == {total}
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("times", [0, CHUNK_JOBS + 7])
def test_a_failing_key_fails_the_signing_and_leaves_no_thread(workers: int, times: int) -> None:
    key = FailingKey(ZSK, times)
    before = threading.active_count()
    with pytest.raises(ConnectionError, match="the key is gone"):
        carry_out(make_plan(make_zone()), [KSK, key], workers=workers)
    assert threading.active_count() == before


def test_the_ksk_signs_first_so_that_its_failure_costs_nothing() -> None:
    untouched = FailingKey(ZSK, 0)
    with pytest.raises(ConnectionError):
        carry_out(make_plan(make_zone()), [FailingKey(KSK, 0), untouched], workers=2)
    assert untouched.left == 0


def test_a_missing_key_fails_the_signing() -> None:
    with pytest.raises(KeyError):
        carry_out(make_plan(make_zone(3)), [KSK], workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_of_progress_ends_the_signing(workers: int) -> None:
    class Cancelled(BaseException):
        pass

    calls = 0

    def progress(_done: int, _total: int) -> None:
        nonlocal calls
        calls += 1
        raise Cancelled

    before = threading.active_count()
    with pytest.raises(Cancelled):
        carry_out(make_plan(make_zone()), [KSK, ZSK], workers=workers, progress=progress)
    assert calls == 1
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [1, 2])
def test_good_signatures_stay_and_only_changes_are_signed(workers: int) -> None:
    zone = make_zone()
    signed = carry_out(make_plan(zone), [KSK, ZSK], workers=workers)
    owner = parse_name("host7.bulk.test.")
    names = dict(zone.names)
    names[owner] = {rt.A: RRset(owner, rt.A, 300, (b"\xff\xff\xff\xff",))}
    plan = make_plan(Zone(ORIGIN, names), signed, serial=2, now=NOW + 3600)
    assert len(plan.jobs) == 2  # the changed address and the SOA
    again = carry_out(plan, [FailingKey(KSK, 0), FailingKey(ZSK, 2)], workers=workers)
    changed = {
        (new.owner, new.type)
        for old, new in zip(signed.iterate_rrsets(), again.iterate_rrsets(), strict=True)
        if old != new
    }
    assert changed == {(owner, rt.A), (ORIGIN, rt.SOA)}
    report = validate(again, ds=make_ds_set(ORIGIN, KSK.dnskey), now=NOW + 3600, previous=signed)
    assert not report.findings
