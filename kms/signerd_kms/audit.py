"""Audit events. The KMS says what happened; the sink decides how it is kept."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from sqlalchemy import Connection

NO_DETAILS: Mapping[str, str | int] = {}


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something that was done or refused.

    Attributes:
        at: Seconds since 1970, UTC.
        action: Such as `kms.sign`.
        succeeded: False for a refusal or failure.
        organisation: Identity; None for what concerns the instance as a whole.
        actor: The principal; None for background jobs.
        via: The service that called on the principal's behalf, such as `dns-dnssec`.
        request_id: The same in all events of one request; None if there was no request.
        credential: Id of the token or access credential that was shown.
        address: Of the client.
        error: Code of the error, when it did not succeed.
        details: Further safe facts. Never values, plaintext, ciphertext or key material.
    """

    at: int
    action: str
    succeeded: bool
    organisation: str | None
    region: str | None = None
    project: str | None = None
    actor: str | None = None
    via: str | None = None
    request_id: str | None = None
    credential: str | None = None
    address: str | None = None
    resource_type: str | None = None
    resource: str | None = None
    key_version: int | None = None
    error: str | None = None
    details: Mapping[str, str | int] = field(default_factory=lambda: NO_DETAILS)


class Gathered(Protocol):
    """Events of a transaction under way that are not in the database yet."""

    def __len__(self) -> int:
        """Say how many there are."""
        ...

    def forget(self, since: int) -> None:
        """Drop those from a number on: the work that recorded them was undone."""
        ...


class AuditSink(Protocol):
    """Stores events inside the transaction of what they record."""

    def record(self, connection: Connection, event: AuditEvent) -> None:
        """Store an event. The caller commits; raise anything to make the caller drop its result."""
        ...


@runtime_checkable
class GatheringSink(AuditSink, Protocol):
    """Stores the events of many who share a transaction together, which costs less."""

    def gather(self, connection: Connection) -> AbstractContextManager[Gathered]:
        """Keep what this thread records in a transaction until the block ends, and store it then.

        What goes wrong at storing is raised there; the transaction must not be committed.
        """
        ...
