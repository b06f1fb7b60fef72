"""The generic audit entries: one for each request that concerns an organisation."""

from collections.abc import Sequence

from sqlalchemy import Connection

from signerd.platform.audit_entry import AuditEntry, make_left_out_entry, make_request_entry
from signerd.platform.audit_log import AuditLog
from signerd.platform.denial_limit import DenialLimit
from signerd.platform.request_record import RequestRecord
from signerd_kms.audited_store import AuditedStore
from signerd_kms.clock import Clock


class RequestLog:
    """Stores an entry for each request, many in one commit when many come at once."""

    def __init__(self, store: AuditedStore, audit: AuditLog, clock: Clock, denials: DenialLimit) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._denials = denials

    def record_request(self, record: RequestRecord) -> None:
        """Store a record; it is on disk when this returns, unless it is one of a flood of refusals.

        Raises:
            StoreUnavailable: It is not stored.
        """
        now = self._clock.now()
        is_admitted, ended = self._denials.admit(record, now)
        entries = [make_left_out_entry(left_out, now) for left_out in ended]
        if is_admitted:
            entries.append(make_request_entry(record, now))
        self._append(entries)

    def append_request(self, connection: Connection, record: RequestRecord) -> None:
        """Store a record of success in a transaction that the caller commits."""
        self._audit.add(connection, make_request_entry(record, self._clock.now()))

    def flush(self) -> None:
        """Store how many refusals were left out in minutes that are over."""
        now = self._clock.now()
        self._append([make_left_out_entry(left_out, now) for left_out in self._denials.flush(now)])

    def _append(self, entries: Sequence[AuditEntry]) -> None:
        if not entries:
            return

        def append(connection: Connection) -> None:
            for entry in entries:
                self._audit.add(connection, entry)

        self._store.write(append)
