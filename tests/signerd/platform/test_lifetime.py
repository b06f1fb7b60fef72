import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.platform.lifetime import parse_lifetime

numbers = st.integers(0, 10**5)


@given(numbers, st.integers(0, 59), st.integers(0, 59))
def test_durations_as_go_prints_them_are_read_back(hours: int, minutes: int, seconds: int) -> None:
    total = hours * 3600 + minutes * 60 + seconds
    assert parse_lifetime(f"{hours}h{minutes}m{seconds}s") == total
    assert parse_lifetime(f"{total}s") == total
    assert parse_lifetime(str(total)) == total


@pytest.mark.parametrize(
    "text", ["", "s", "1x", "-1s", "+1s", "1 s", "1.s", ".5h", "1h-1m", "\u0661", "1" * 80 + "s"]
)
def test_other_texts_are_none(text: str) -> None:
    assert parse_lifetime(text) is None


def test_fractions_are_exact() -> None:
    assert parse_lifetime("1.5h") == 5400
    assert parse_lifetime("0.1m") == 6
    assert parse_lifetime("1500ms") == 1
