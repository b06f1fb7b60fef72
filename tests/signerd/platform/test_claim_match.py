import re

from hypothesis import given
from hypothesis import strategies as st

from signerd.platform.claim_match import matches_pattern

texts = st.text("ab:", max_size=8)
patterns = st.text("ab:*", max_size=8)


@given(patterns, texts)
def test_stars_stand_for_any_run_of_characters(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text) is not None
    assert matches_pattern(pattern, text) is expected


@given(texts)
def test_a_pattern_without_star_is_the_text_itself(text: str) -> None:
    assert matches_pattern(text, text)
    assert not matches_pattern(text, text + "x")


def test_overlapping_ends_do_not_match() -> None:
    assert not matches_pattern("ab*ba", "aba")
    assert matches_pattern("ab*ba", "abba")


def test_many_stars_take_no_more_work_than_the_text_is_long() -> None:
    assert not matches_pattern("*a" * 500 + "b", "a" * 1000)  # a search that goes back would never end
