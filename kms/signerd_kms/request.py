"""Rules of form and size for what callers pass in."""

from collections.abc import Mapping, Sequence

from signerd_kms.associated_data import MAX_FIELDS
from signerd_kms.errors import InvalidRequest
from signerd_kms.key import KeyIdentity
from signerd_kms.slug import make_slug

MAX_NAME = 255  # characters
MAX_DESCRIPTION = 1024  # characters
MAX_MESSAGE = 1 << 20  # octets; bounds the time one caller holds a worker
MAX_CONTEXT = 16  # facts; bounds the size of an audit event
MAX_CONTEXT_VALUE = 1024  # characters; a domain name in presentation form has up to 1004
MAX_ROTATION_DAYS = 3650
MIN_PENDING_DAYS = 7
MAX_PENDING_DAYS = 30
MIN_SERVICE_KEY = 16  # octets
MAX_SERVICE_KEY = 1 << 16  # octets


def check_name(name: str) -> None:
    """Raise InvalidRequest unless a key may have this name."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a key's name has 1 to {MAX_NAME} printable characters")


def check_description(description: str) -> None:
    """Raise InvalidRequest if a description is too long."""
    if len(description) > MAX_DESCRIPTION:
        raise InvalidRequest(f"a description has at most {MAX_DESCRIPTION} characters")


def make_key_slug(name: str, identity: KeyIdentity) -> str:
    """Give a key's slug; never empty, as clients rely on it."""
    return make_slug(name) or identity


def check_rotation(period_in_days: int | None, *, is_enabled: bool) -> None:
    """Raise InvalidRequest unless rotation settings go together."""
    if period_in_days is not None and not 1 <= period_in_days <= MAX_ROTATION_DAYS:
        raise InvalidRequest(f"a rotation period has 1 to {MAX_ROTATION_DAYS} days, not {period_in_days}")
    if is_enabled and period_in_days is None:
        raise InvalidRequest("rotation needs a period")


def check_pending_days(days: int) -> None:
    """Raise InvalidRequest unless a deletion may be so far ahead."""
    if not MIN_PENDING_DAYS <= days <= MAX_PENDING_DAYS:
        raise InvalidRequest(f"a deletion is {MIN_PENDING_DAYS} to {MAX_PENDING_DAYS} days ahead, not {days}")


def check_message(data: bytes) -> None:
    """Raise InvalidRequest if a message is empty or too long to sign."""
    if not 1 <= len(data) <= MAX_MESSAGE:
        raise InvalidRequest(f"a message to sign has 1 to {MAX_MESSAGE} octets, not {len(data)}")


def check_context(context: Mapping[str, str]) -> None:
    """Raise InvalidRequest unless the facts for the audit are few, short and printable ASCII."""
    if len(context) > MAX_CONTEXT:
        raise InvalidRequest(f"a context has at most {MAX_CONTEXT} facts")
    for text in (*context.keys(), *context.values()):
        if len(text) > MAX_CONTEXT_VALUE or not (text.isascii() and text.isprintable()):
            raise InvalidRequest(f"context is up to {MAX_CONTEXT_VALUE} printable ASCII characters each")


def check_service_key(octets: bytes, bound: Sequence[bytes]) -> None:
    """Raise InvalidRequest unless a service key and what it is bound to have sensible sizes."""
    if not MIN_SERVICE_KEY <= len(octets) <= MAX_SERVICE_KEY:
        raise InvalidRequest(
            f"a service key has {MIN_SERVICE_KEY} to {MAX_SERVICE_KEY} octets, not {len(octets)}"
        )
    if len(bound) > MAX_FIELDS - 8:
        raise InvalidRequest("a service key is bound to too many fields")
