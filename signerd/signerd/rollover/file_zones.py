"""How the keys of zones of files stand, read from the database for those who show it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, Row, select

from signerd.delegation.delegation_state import Intent, ZoneDsSets, judge
from signerd.dns.name import Name, format_name
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key import DnsKey
from signerd.rollover.timetable_record import read_record
from signerd.signer.zone_key_store import POINTED_TO, RETIRED, read_dnskey
from signerd.store.engine import connect_to_read
from signerd.store.zone_tables import zone_events, zone_signing_keys
from signerd.timetable.beginnings import find_staying
from signerd.timetable.presence import Trace
from signerd.timetable.state import TimetableKey, TimetableState
from signerd.zone_dnssec.file_zone_status import FileZoneStatus
from signerd.zone_dnssec.ignored_servers import list_ignored

_SIGNED: Final = "signed"  # stage of a version


class ParentQuestions(Protocol):
    """Asks the parents of zones of files. Its functions are for any thread, and do not block."""

    def find_next_probe(self, name: Name) -> int | None:
        """Say when the parent of a zone is asked next, epoch seconds; None if that is not known."""
        ...

    def ask_soon(self, name: Name) -> bool:
        """Have the parent of a zone asked now; say if it is asked at all."""
        ...


class NoQuestions:
    """Stands where no server runs: nobody asks."""

    def find_next_probe(self, name: Name) -> int | None:
        """Give nothing."""
        del name
        return None

    def ask_soon(self, name: Name) -> bool:
        """Do nothing."""
        del name
        return False


@dataclass(frozen=True, slots=True)
class FileZoneKeys:
    """The keys of zones of files. Blocks.

    Attributes:
        engine: The database.
        now: The wall clock.
        region: Identity of the region where their KMS keys are.
        questions: Asks their parents.
    """

    engine: Engine
    now: Callable[[], int]
    region: str
    questions: ParentQuestions

    def show(self, apex: Name, *, has_ds: bool) -> FileZoneStatus | None:
        """Say how DNSSEC of a zone stands; None if it has no key timetable, so that it is not signed.

        Args:
            apex: The zone.
            has_ds: Whether its parent is to have a DS, as the policy says.

        Raises:
            BadStateRecord: Its timetable cannot be read.
        """
        record = read_record(self.engine, apex)
        if record is None:
            return None
        now = self.now()
        text = format_name(apex).removesuffix(".")
        with connect_to_read(self.engine) as connection:
            rows = _read_rows(connection, apex)
            ignored = list_ignored(connection, text, now)
            last_signed_at = _find_last_signed(connection, text)
        state = record.state
        points = [key for key in state.keys if key.role.signs_keys and key.name in rows]
        staying = [key for key in points if key in find_staying(state) and key.dnskey.is_wanted]
        wanted = [key for key in points if key.ds.is_wanted]
        is_first_awaited = not wanted and has_ds and not state.may_have_ds
        current = staying if is_first_awaited else wanted
        others = [key for key in points if key not in current and _may_be_pointed_to(key)]
        dnskeys = {name: read_dnskey(row) for name, row in rows.items()}
        sets = ZoneDsSets(
            _make_ds_sets(apex, [dnskeys[key.name] for key in current]),
            _make_ds_sets(apex, [dnskeys[key.name] for key in others]),
            _make_ds_sets(apex, [dnskeys[name] for name, row in rows.items() if row.state == RETIRED]),
        )
        intent = Intent.SIGNED if staying else Intent.UNSIGNED
        was_delegated = any(key.ds.is_everywhere for key in current)
        waits = _list_waits(state, current) if is_first_awaited and current else None
        first = rows[current[0].name] if current else None
        return FileZoneStatus(
            is_enabled=bool(staying),
            is_signed=state.may_have_ds or any(key.dnskey.is_wanted for key in state.keys),
            ds_keys=[dnskeys[key.name] for key in current],
            outgoing_tags=[dnskeys[key.name].key_tag for key in others],
            kms_key=None if first is None else str(first.kms_key_identity),
            region=None if first is None else str(first.kms_region or self.region),
            view=record.view,
            delegation=judge(record.view, sets, intent, was_delegated=was_delegated),
            ds_not_before=None if waits is None else _find_end(waits, now),
            is_key_published=None if waits is None else all(map(_was_seen, waits)),
            last_signed_at=last_signed_at,
            next_probe_at=self.questions.find_next_probe(apex),
            ignored=ignored,
        )


def _read_rows(connection: Connection, apex: Name) -> Mapping[str, Row[tuple[object, ...]]]:
    """Read the KSKs and CSKs that a timetable knows or knew, by its names, oldest first."""
    table = zone_signing_keys
    query = (
        select(table)
        .where(
            table.c.zone == format_name(apex),
            table.c.role.in_(POINTED_TO),
            table.c.timetable_name.is_not(None),
        )
        .order_by(table.c.created_at, table.c.id)
    )
    return {str(row.timetable_name): row for row in connection.execute(query)}


def _find_last_signed(connection: Connection, text: str) -> int | None:
    table = zone_events
    query = (
        select(table.c.at)
        .where(table.c.zone == text, table.c.stage == _SIGNED)
        .order_by(table.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar()


def _may_be_pointed_to(key: TimetableKey) -> bool:
    return key.dnskey.is_wanted or not key.ds.is_gone


def _make_ds_sets(apex: Name, keys: Sequence[DnsKey]) -> tuple[bytes, ...]:
    return tuple(ds for key in keys for ds in make_ds_set(apex, key))


def _list_waits(state: TimetableState, keys: Sequence[TimetableKey]) -> Sequence[Trace]:
    """List what must be in all caches before the parent may have a DS of some keys."""
    signatures = [state.coverage[key.algorithm] for key in keys if key.algorithm in state.coverage]
    return [*(key.dnskey for key in keys), *signatures]


def _was_seen(trace: Trace) -> bool:
    return trace.is_everywhere or trace.settles_at is not None


def _find_end(waits: Sequence[Trace], now: int) -> int | None:
    """Say when all of them are over; None as long as nobody saw one begin."""
    if not all(map(_was_seen, waits)):
        return None
    return max((trace.settles_at for trace in waits if trace.settles_at is not None), default=now)
