"""The word of a second person, without which a key is not given out where that is asked for."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select

from signerd_kms import key_rows
from signerd_kms.attribution import Attribution
from signerd_kms.custodian import Custodian
from signerd_kms.errors import ExportNotAllowed, ExportNotApproved, InvalidRequest
from signerd_kms.key import Key, KeyIdentity, Scope
from signerd_kms.schema import export_approvals
from signerd_kms.state import Task

MIN_SECONDS = 60
MAX_SECONDS = 86_400
_PERSON = "user:"


@dataclass(frozen=True, slots=True)
class ExportApproval:
    """Leave for one person to export a key once.

    Attributes:
        actor: Who may export.
        approved_by: Who said so.
        expires_at: Seconds since 1970, UTC.
    """

    identity: KeyIdentity
    actor: str
    approved_by: str
    expires_at: int


class ExportApprovals:
    """Takes approvals in, and lets each be used once."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian
        self._store = custodian.store

    def approve_export(
        self, scope: Scope, identity: KeyIdentity, actor: str, seconds: int, *, by: Attribution
    ) -> ExportApproval:
        """Let someone export a key once; audited. Another approval for them takes the place of the first.

        Args:
            scope: Where the key lives.
            identity: The key.
            actor: Who shall export it, such as `user:<subject>`.
            seconds: For how long, 60 to 86400.
            by: Who approves: another person.

        Raises:
            InvalidRequest: One of both is no person, they are the same, or the time is out of bounds.
            KeyUnknown: None in this scope.
            ExportNotAllowed: The key was not made exportable.
        """
        approver = by.actor or ""
        if not (approver.startswith(_PERSON) and actor.startswith(_PERSON)):
            raise InvalidRequest("an export is approved by a person, for a person")
        if approver == actor:
            raise InvalidRequest("nobody approves their own export")
        if not MIN_SECONDS <= seconds <= MAX_SECONDS:
            raise InvalidRequest(f"an approval holds {MIN_SECONDS} to {MAX_SECONDS} seconds, not {seconds}")
        self._custodian.require(Task.CHANGE_STATUS)

        def store(connection: Connection) -> ExportApproval:
            key = key_rows.read_key(connection, scope, identity)
            if not key.export_allowed:
                raise ExportNotAllowed(f"key {identity} was not made exportable")
            now = self._store.now()
            made = ExportApproval(identity, actor, approver, now + seconds)
            connection.execute(delete(export_approvals).where(*_of(key), export_approvals.c.actor == actor))
            connection.execute(
                insert(export_approvals).values(
                    organisation=scope.organisation,
                    identity=identity,
                    actor=actor,
                    approved_by=approver,
                    approved_at=now,
                    expires_at=made.expires_at,
                )
            )
            details: dict[str, str | int] = {"exporter": actor, "seconds": seconds}
            self._store.record_key_event(connection, "kms.approve_export", key, by, details=details)
            return made

        return self._store.write(store)

    def find_approval(self, scope: Scope, identity: KeyIdentity, by: Attribution) -> ExportApproval | None:
        """Find an approval that still holds.

        Raises:
            KeyUnknown: None in this scope.
        """
        with self._store.read() as connection:
            key = key_rows.read_key(connection, scope, identity)
            row = connection.execute(
                select(export_approvals).where(
                    *_of(key),
                    export_approvals.c.actor == by.actor,
                    export_approvals.c.expires_at > self._store.now(),
                )
            ).first()
        return None if row is None else ExportApproval(identity, row.actor, row.approved_by, row.expires_at)


def use_up_approval(connection: Connection, scope: Scope, approval: ExportApproval) -> None:
    """Take an approval away in the transaction of the export.

    Raises:
        ExportNotApproved: Another export took it.
    """
    done = connection.execute(
        delete(export_approvals).where(
            export_approvals.c.organisation == scope.organisation,
            export_approvals.c.identity == approval.identity,
            export_approvals.c.actor == approval.actor,
            export_approvals.c.approved_by == approval.approved_by,
            export_approvals.c.expires_at == approval.expires_at,
        )
    )
    if done.rowcount != 1:
        raise ExportNotApproved(f"the approval to export key {approval.identity} was used already")


def void_approvals(connection: Connection, actor: str) -> int:
    """Take away all approvals that a person has or gave, who is no more; give how many.

    Args:
        connection: Inside the transaction that ends the person.
        actor: Who, such as `user:<subject>`.
    """
    of_them = or_(export_approvals.c.actor == actor, export_approvals.c.approved_by == actor)
    return connection.execute(delete(export_approvals).where(of_them)).rowcount


def _of(key: Key) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (
        export_approvals.c.organisation == key.scope.organisation,
        export_approvals.c.identity == key.identity,
    )
