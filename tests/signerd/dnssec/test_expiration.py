from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from answering import to_name
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, join_labels
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.expiration import (
    ExpirationSchedule,
    find_first_expiration,
    find_next_due,
    find_runway,
)
from signerd.dnssec.policy import SigningPolicy

DAY = 86_400
NOW = 1_800_000_000
ZONE = to_name("spread.test")
POLICY = SigningPolicy()

owners = st.lists(st.binary(min_size=1, max_size=8), max_size=4).map(
    lambda labels: Name(join_labels(labels).lower())
)
policies = st.tuples(st.integers(1, 400 * DAY), st.integers(1, 400 * DAY)).map(
    lambda pair: SigningPolicy(validity_seconds=sum(pair), refresh_margin_seconds=pair[0])
)
times = st.integers(1_700_000_000, 2**33)


@given(owners, st.integers(1, 65535), policies, times)
def test_a_signature_is_never_too_long_nor_due_when_made(
    owner: Name, number: int, policy: SigningPolicy, now: int
) -> None:
    moment = ExpirationSchedule(ZONE, policy, now).expire(owner, number)
    latest = now + policy.validity_seconds
    assert latest - policy.spread_seconds - policy.batch_seconds < moment <= latest
    assert moment - now > policy.refresh_margin_seconds


@given(owners, st.integers(1, 65535), policies, times)
def test_the_same_rrset_at_the_same_time_expires_at_the_same_time(
    owner: Name, number: int, policy: SigningPolicy, now: int
) -> None:
    first = ExpirationSchedule(ZONE, policy, now).expire(owner, number)
    assert ExpirationSchedule(ZONE, policy, now).expire(owner, number) == first


@given(owners, st.integers(1, 65535), policies, times)
def test_expirations_of_a_zone_fall_on_one_grid(
    owner: Name, number: int, policy: SigningPolicy, now: int
) -> None:
    apex = ExpirationSchedule(ZONE, policy, now).expire(ZONE, rt.SOA)
    moment = ExpirationSchedule(ZONE, policy, now + 12345).expire(owner, number)
    assert (moment - apex) % policy.batch_seconds == 0


def list_moments(zone: Name, now: int = NOW, count: int = 5000) -> list[int]:
    expire = ExpirationSchedule(zone, POLICY, now).expire
    return [expire(Name(join_labels([b"host%d" % number, b"test"])), rt.A) for number in range(count)]


def test_signatures_made_together_are_due_evenly_over_the_spread() -> None:
    moments = list_moments(ZONE)
    slots = Counter(
        (NOW + POLICY.validity_seconds - moment) * 7 // POLICY.spread_seconds for moment in moments
    )
    shares = [slots[number] for number in range(7)]
    # 714 each on the average; a hash that is even at all stays within six standard deviations
    assert all(550 < share < 880 for share in shares)


def test_types_of_one_name_are_spread_too() -> None:
    expire = ExpirationSchedule(ZONE, POLICY, NOW).expire
    moments = {expire(ZONE, number) for number in (rt.SOA, rt.NS, rt.DNSKEY, rt.MX, rt.TXT, rt.NSEC3PARAM)}
    assert len(moments) > 3  # two of them may fall into one batch


def test_zones_signed_together_are_not_refreshed_together() -> None:
    phases = {
        list_moments(to_name(f"zone{number}.test"), count=1)[0] % POLICY.batch_seconds
        for number in range(200)
    }
    assert len(phases) > 180


def test_the_spread_lasts_when_a_zone_is_refreshed_for_years() -> None:
    moments = dict(enumerate(list_moments(ZONE, count=500)))
    names = [Name(join_labels([b"host%d" % number, b"test"])) for number in range(500)]
    now = NOW
    while now < NOW + 3 * 365 * DAY:
        now = min(moments.values()) - POLICY.refresh_margin_seconds
        expire = ExpirationSchedule(ZONE, POLICY, now).expire
        for number, moment in moments.items():
            if moment - now <= POLICY.refresh_margin_seconds:
                moments[number] = expire(names[number], rt.A)
    days = Counter((moment - now) // DAY for moment in moments.values())
    assert max(days.values()) < 250


def make_zone(expirations: list[int], inception: int = NOW - 1) -> Zone:
    start = (inception % 2**32).to_bytes(4) + bytes(2)
    signatures = [bytes(8) + (moment % 2**32).to_bytes(4) + start for moment in expirations]
    rrsets = {
        number: RRset(ZONE, number, 60, (b"",), (signature,))
        for number, signature in enumerate(signatures, 1)
    }
    return Zone(ZONE, {ZONE: {**rrsets, 60000: RRset(ZONE, 60000, 60, (b"",))}})


@given(st.lists(st.integers(-100 * DAY, 100 * DAY), min_size=1, max_size=5), times)
def test_the_first_expiration_is_found_also_beyond_the_year_2106(distances: list[int], now: int) -> None:
    zone = make_zone([now + distance for distance in distances], now)
    assert find_first_expiration(zone.iterate_rrsets(), now) == now + min(distances)
    assert find_runway(zone, now) == min(distances)
    assert find_next_due(zone, POLICY, now) == now + min(distances) - POLICY.refresh_margin_seconds


@given(times, st.integers(-100 * DAY, 100 * DAY))
def test_a_signature_that_is_not_valid_yet_is_due_now(now: int, distance: int) -> None:
    zone = make_zone([now + 100 * DAY], now + distance)
    due = find_next_due(zone, POLICY, now)
    assert due == (now if distance > 0 else now + 100 * DAY - POLICY.refresh_margin_seconds)


def test_an_unsigned_zone_has_no_expiration() -> None:
    zone = make_zone([])
    assert find_first_expiration(zone.iterate_rrsets(), NOW) is None
    assert find_runway(zone, NOW) is None
    assert find_next_due(zone, POLICY, NOW) is None
