"""The generic audit entries: one for each request that concerns an organisation."""

from sqlalchemy import Connection

from signerd.platform.audit_entry import make_request_entry
from signerd.platform.audit_log import AuditLog
from signerd.platform.request_record import RequestRecord
from signerd_kms.audited_store import AuditedStore
from signerd_kms.clock import Clock


class RequestLog:
    """Stores an entry for each request, many in one commit when many come at once."""

    def __init__(self, store: AuditedStore, audit: AuditLog, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock

    def record_request(self, record: RequestRecord) -> None:
        """Store a record; it is on disk when this returns.

        Raises:
            StoreUnavailable: It is not stored.
        """
        entry = make_request_entry(record, self._clock.now())

        def append(connection: Connection) -> None:
            self._audit.append(connection, entry)

        self._store.write(append)
