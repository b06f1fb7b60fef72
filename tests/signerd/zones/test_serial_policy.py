import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.dns.serial import add, is_newer
from signerd.zones.serial_policy import SerialPolicy, decide_serial

NOON = 1_700_049_600  # 2023-11-15 12:00 UTC
serials = st.integers(0, 2**32 - 1)
policies = st.sampled_from(SerialPolicy)


@given(policies, serials, serials, st.integers(0, 2**33))
def test_a_serial_is_always_newer_than_the_published_one(
    policy: SerialPolicy, published: int, source: int, now: int
) -> None:
    assert is_newer(decide_serial(policy, published=published, source=source, now=now), published)


@given(policies, serials, st.integers(0, 2**33))
def test_the_first_serial_is_newer_than_that_of_the_file(policy: SerialPolicy, source: int, now: int) -> None:
    assert is_newer(decide_serial(policy, published=None, source=source, now=now), source)


@pytest.mark.parametrize(
    ("policy", "published", "source", "expected"),
    [
        (SerialPolicy.UNIXTIME, None, 5, NOON),
        (SerialPolicy.UNIXTIME, NOON, 5, NOON + 1),  # twice in one second
        (SerialPolicy.UNIXTIME, None, 2_023_111_500, 2_023_111_501),  # a date serial, ahead of the clock
        (SerialPolicy.INCREMENT, None, 5, 6),
        (SerialPolicy.INCREMENT, 6, 5, 7),
        (SerialPolicy.INCREMENT, 6, 20, 20),
        (SerialPolicy.INCREMENT, 2**32 - 1, 5, 5),  # the file wrapped round: 5 is newer
        (SerialPolicy.DATE, None, 5, 2_023_111_500),
        (SerialPolicy.DATE, 2_023_111_500, 5, 2_023_111_501),
        (SerialPolicy.DATE, 2_023_111_599, 5, 2_023_111_600),  # a hundred and first version of a day
    ],
)
def test_decisions(policy: SerialPolicy, published: int | None, source: int, expected: int) -> None:
    assert decide_serial(policy, published=published, source=source, now=NOON) == expected


def test_serials_grow_past_the_wrap_round() -> None:
    serial = 2**32 - 3
    for _ in range(6):
        after = decide_serial(SerialPolicy.INCREMENT, published=serial, source=1, now=NOON)
        assert is_newer(after, serial)
        serial = after
    assert is_newer(serial, add(2**32 - 3, 5))
