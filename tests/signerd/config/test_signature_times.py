import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.config.policy import DAY, Policy
from signerd.config.signature_times import ImpossiblePolicy, SignatureTimes, resolve_times


@pytest.mark.parametrize(
    ("soa_expire", "largest_ttl", "margin", "validity"),
    [
        (3600, 3600, 5 * DAY, 14 * DAY),  # at least five days
        (7 * DAY, DAY, 9 * DAY, 16 * DAY),
        (14 * DAY, 2 * DAY, 17 * DAY, 24 * DAY),
        (1000 * 3600, 2 * DAY, 1000 * 3600 + 3 * DAY, 1000 * 3600 + 10 * DAY),
    ],
)
def test_automatic_times_follow_from_the_zone(
    soa_expire: int, largest_ttl: int, margin: int, validity: int
) -> None:
    assert resolve_times(Policy(), soa_expire, largest_ttl) == SignatureTimes(validity, margin, 3600)


def test_an_automatic_margin_is_cut_off_with_a_warning() -> None:
    times = resolve_times(Policy(), 60 * DAY, DAY)
    assert (times.refresh_margin, times.validity) == (45 * DAY, 52 * DAY)
    assert times.warning is not None
    assert "(60d + 1d = 61d)" in times.warning


def test_a_stated_margin_must_be_larger_than_expire_and_ttl() -> None:
    with pytest.raises(
        ImpossiblePolicy, match=r"^refresh_margin: 8d is not larger than .*\(7d \+ 1d = 8d\)"
    ) as caught:
        resolve_times(Policy(refresh_margin=8 * DAY), 7 * DAY, DAY)
    assert caught.value.option == "refresh_margin"
    times = resolve_times(Policy(refresh_margin=8 * DAY + 1), 7 * DAY, DAY)
    assert times.validity == 15 * DAY + 1


def test_the_ttl_of_the_keys_counts() -> None:
    policy = Policy(refresh_margin=3 * DAY, dnskey_ttl=2 * DAY)
    with pytest.raises(ImpossiblePolicy, match=r"1d \+ 2d"):
        resolve_times(policy, DAY, 300)


def test_a_stated_validity_must_be_larger_than_the_margin() -> None:
    with pytest.raises(
        ImpossiblePolicy, match=r"signature_validity: 9d is not larger than the refresh margin \(9d\)"
    ):
        resolve_times(Policy(signature_validity=9 * DAY), 7 * DAY, DAY)
    assert resolve_times(Policy(signature_validity=10 * DAY), 7 * DAY, DAY).validity == 10 * DAY


def test_the_inception_offset_must_be_smaller_than_the_validity() -> None:
    with pytest.raises(ImpossiblePolicy, match="inception_offset: 20d"):
        resolve_times(Policy(inception_offset=20 * DAY), 3600, 3600)


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_automatic_times_fit_any_zone(soa_expire: int, largest_ttl: int) -> None:
    times = resolve_times(Policy(), soa_expire, largest_ttl)
    assert times.validity > times.refresh_margin
    assert times.warning is not None or times.refresh_margin > soa_expire + largest_ttl
