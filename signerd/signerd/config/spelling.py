"""Near matches for misspelt words."""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_SHOWN = 3


def find_near(word: str, known: Iterable[str]) -> list[str]:
    """Give up to three known words that look like the word, the nearest first."""
    by_folded = {candidate.lower(): candidate for candidate in known}
    return [by_folded[match] for match in get_close_matches(word.lower()[:255], by_folded, MAX_SHOWN)]


def suggest(word: str, known: Iterable[str]) -> str:
    """Give `; did you mean 'x' or 'y'?`, or nothing when nothing is near."""
    near = find_near(word, known)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
