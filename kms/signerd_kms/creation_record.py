"""Outcomes of creations by idempotency key: a retry finds what the first attempt made."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from signerd_kms.errors import InvalidRequest, RepeatedDifferently
from signerd_kms.key import KeyIdentity
from signerd_kms.schema import creations

KEPT_SECONDS = 86_400  # how late a retry may come
MAX_IDEMPOTENCY_KEY = 255  # characters


@dataclass(frozen=True, slots=True)
class Once:
    """What makes a creation happen once.

    Attributes:
        principal: Whose idempotency key it is.
        idempotency_key: Chosen by the client; 1 to 255 printable ASCII characters.
        request_digest: SHA-256 of all that was asked for; another request under the same key is refused.
    """

    principal: str
    idempotency_key: str
    request_digest: bytes = field(repr=False)

    def __post_init__(self) -> None:
        text = self.idempotency_key
        if not 1 <= len(text) <= MAX_IDEMPOTENCY_KEY or not (text.isascii() and text.isprintable()):
            raise InvalidRequest(
                f"an idempotency key has 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters"
            )


def find_creation(connection: Connection, organisation: str, once: Once, now: int) -> KeyIdentity | None:
    """Find what an earlier attempt of the same creation made.

    Raises:
        RepeatedDifferently: It asked for something else.
    """
    row = connection.execute(
        select(creations.c.identity, creations.c.request_digest).where(
            creations.c.organisation == organisation,
            creations.c.principal == once.principal,
            creations.c.idempotency_key == once.idempotency_key,
            creations.c.created_at > now - KEPT_SECONDS,
        )
    ).first()
    if row is None:
        return None
    if row.request_digest != once.request_digest:
        raise RepeatedDifferently("the idempotency key was used for another request")
    return KeyIdentity(row.identity)


def insert_creation(
    connection: Connection, organisation: str, once: Once, identity: KeyIdentity, now: int
) -> None:
    """Remember what a creation made, in its transaction."""
    connection.execute(  # an expired one of the same key
        delete(creations).where(
            creations.c.organisation == organisation,
            creations.c.principal == once.principal,
            creations.c.idempotency_key == once.idempotency_key,
        )
    )
    connection.execute(
        insert(creations).values(
            organisation=organisation,
            principal=once.principal,
            idempotency_key=once.idempotency_key,
            request_digest=once.request_digest,
            identity=identity,
            created_at=now,
        )
    )


def forget_creations(connection: Connection, now: int) -> None:
    """Drop those that no retry can reach."""
    connection.execute(delete(creations).where(creations.c.created_at <= now - KEPT_SECONDS))
