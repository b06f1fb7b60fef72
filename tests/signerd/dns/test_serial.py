import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.dns.serial import add, is_newer

serials = st.integers(0, 2**32 - 1)


@given(serials, serials)
def test_never_each_newer_than_the_other(a: int, b: int) -> None:
    assert not (is_newer(a, b) and is_newer(b, a))


@given(serials, st.integers(1, 2**31 - 1))
def test_a_sum_is_newer_than_what_was_added_to(serial: int, increment: int) -> None:
    assert is_newer(add(serial, increment), serial)


@given(serials)
def test_a_serial_is_not_newer_than_itself(serial: int) -> None:
    assert not is_newer(serial, serial)


@pytest.mark.parametrize("increment", [-1, 2**31])
def test_an_increment_without_defined_meaning_is_refused(increment: int) -> None:
    with pytest.raises(ValueError, match="increment"):
        add(1, increment)
