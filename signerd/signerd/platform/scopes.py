"""Scopes of credentials as clients name them."""

from collections.abc import Iterable
from typing import Final

from signerd.platform.errors import InvalidValue
from signerd.platform.principal import TokenScope

KNOWN_SCOPES: Final = frozenset(scope.value for scope in TokenScope)


def check_scopes(field: str, scopes: Iterable[str]) -> tuple[str, ...]:
    """Check that all scopes are known, and drop repeated ones.

    Raises:
        InvalidValue: One is not known.
    """
    wanted = tuple(dict.fromkeys(scopes))
    if not KNOWN_SCOPES.issuperset(wanted):
        raise InvalidValue(field, f"known scopes are {', '.join(sorted(KNOWN_SCOPES))}")
    return wanted


def narrow_scopes(granted: Iterable[str], asked: Iterable[str]) -> tuple[str, ...] | None:
    """Give what is left when only some of the granted scopes are asked for.

    Args:
        granted: Empty for no limit.
        asked: Empty for all that are granted.

    Returns:
        The scopes, in the order asked for; None if one is asked for that is unknown or not granted.
    """
    granted, asked = tuple(granted), tuple(dict.fromkeys(asked))
    if not asked:
        return granted
    if not KNOWN_SCOPES.issuperset(asked):
        return None
    if granted and not set(asked).issubset(granted):
        return None
    return asked
