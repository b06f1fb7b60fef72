"""Joins the pipeline of each zone to what signs and validates it."""

import logging
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from signerd.api_zones import ApiZones
from signerd.chosen_signer import ChosenSigner
from signerd.clock import Clock, read_boot_identity
from signerd.config.options import Config
from signerd.config.policy import CdsPublication, Policy
from signerd.config.signature_times import ImpossiblePolicy, resolve_times
from signerd.config.state_directory import StateDirectory
from signerd.config.zone_entries import make_limits
from signerd.custody import Custody, CustodyHolder, CustodyUnavailable
from signerd.delegation.bootstrap_signal import list_signals
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone
from signerd.dnssec.expiration import find_next_due
from signerd.dnssec.key_set import UnusableKeySet
from signerd.dnssec.nsec3 import HashCollision, NameHashes
from signerd.dnssec.policy import Denial, SigningPolicy
from signerd.dnssec.signature_plan import SigningPlan, plan_signatures
from signerd.dnssec.signed_zone import NO_ADDITIONS, ZoneAdditions, assemble
from signerd.dnssec.zone_update import SignedState, prepare_update, remember
from signerd.rollover.desk import RolloverDesk
from signerd.rollover.owner_wishes import NoOwners, OwnerWishes
from signerd.rollover.zone_timetable import StepReport, TimetableParts
from signerd.signer.bulk_signing import carry_out
from signerd.signer.clock_watch import ClockBounds, ClockSuspect, ClockWatch
from signerd.signer.key_set_signatures import KeySetSignatures
from signerd.signer.signing_keys import WrongPrivateKey
from signerd.signer.timetable_keys import TimetableKeys
from signerd.signer.zone_key_store import KeyUnusable, ZoneKeys, ZoneKeyStore
from signerd.store.engine import connect_to_read
from signerd.store.zone_tables import clock_marks
from signerd.version_gate import Trust, VersionGate
from signerd.zones.checks import find_soa_expire
from signerd.zones.dnssec_settings import DnssecSettings, NoSigningLog, SignFiles, SigningLog
from signerd.zones.largest_ttl import LargestTtl
from signerd.zones.pipeline import (
    EventSink,
    PipelineParts,
    Progress,
    SignedVersion,
    SigningImpossible,
    ZonePipeline,
    ZoneSigner,
    ZoneValidator,
)
from signerd.zones.publication import Publication
from signerd.zones.zone_directory import zone_directory_name
from signerd.zones.zone_list import Source, ZoneEntry
from signerd_kms.audit import AuditEvent
from signerd_kms.errors import KmsError
from signerd_kms.key import Scope
from signerd_kms.state import State

logger = logging.getLogger(__name__)

_CLOCK_MARK = "wall"
_MARK_SECONDS = 30  # the time seen is stored no more often: every commit waits for the disk


class ZoneWorkshop:
    """Makes pipelines, and holds what their signers share: keys, the watch over the clock, cores."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        holder: CustodyHolder,
        record: EventSink,
        progress: Progress,
        workers: int,
        dnssec: DnssecSettings | None = None,
        api_zones: ApiZones | None = None,
        signing_log: SigningLog | None = None,
        wishes: OwnerWishes | None = None,
        find_additions: Callable[[Name], ZoneAdditions] = lambda name: NO_ADDITIONS,
    ) -> None:
        """Prepare; nothing is opened.

        Args:
            config: Policies and limits.
            clock: Tells the time of signatures.
            holder: Where keys come from.
            record: Takes in the stages of versions.
            progress: Shows long work.
            workers: Threads that sign and validate.
            dnssec: Knows which zones are signed; those of files if None.
            api_zones: Where the data of zones of the API is.
            signing_log: Takes note of how zones of the API are signed; nobody if None.
            wishes: Knows what the owners of zones of the API decided; nobody if None.
            find_additions: Gives what is added to the data of a zone.
        """
        self.find_additions = find_additions
        self._api_zones = api_zones
        self.signing_log = signing_log or NoSigningLog()
        self._dnssec = dnssec or SignFiles()
        self._config = config
        self._clock = clock
        self._holder = holder
        self._workers = workers
        self._state = StateDirectory(config.state_directory)
        self.parts = PipelineParts(
            clock,
            config.zone_directory,
            self._state.rejected,
            make_limits(config),
            record,
            progress,
            api_zones,
        )
        self._lock = threading.Lock()
        self._key_store: ZoneKeyStore | None = None
        self._timetable_keys: TimetableKeys | None = None
        self.find_published: Callable[[Name], Zone | None] = lambda name: None
        self.on_step: Callable[[StepReport], None] = lambda report: None
        parts = TimetableParts(
            clock,
            read_boot_identity(),
            self.open_timetable_keys,
            lambda: holder.custody.engine,
            lambda: holder.state is State.UNSEALED,
            self.read_signing_time,
            config.dnssec.probe_interval,
            wishes or NoOwners(),
        )
        self.rollovers = RolloverDesk(
            config.policies,
            parts,
            lambda name: self.find_published(name),
            lambda report: self.on_step(report),
            self._record_command,
        )
        self._clock_watch: ClockWatch | None = None
        self._clock_doubt: str | None = None
        self._stored_mark: int | None = None
        self.kms_key_of: dict[tuple[str, int], str] = {}

    def make_pipeline(self, entry: ZoneEntry) -> ZonePipeline:
        """Make the pipeline of a zone."""
        policy = self._config.policies[entry.policy]
        publication = Publication(self._state.published / zone_directory_name(entry.name))
        signer = self.make_signer(entry)
        return ZonePipeline(entry, publication, signer, self.make_gate(entry), policy.serial, self.parts)

    def make_signer(self, entry: ZoneEntry) -> ZoneSigner:
        """Make what signs the versions of a zone."""
        signer = _Signer(self, entry, self._config.policies[entry.policy])
        return ChosenSigner(entry, self._is_signed, signer, self._is_api_zone, self.signing_log, self._clock)

    def _is_signed(self, entry: ZoneEntry, published: Zone | None) -> bool:
        """Say if the next version of a zone is to be signed.

        Raises:
            SigningImpossible: That cannot be found out now.
        """
        if not self._dnssec.is_signed(entry):
            return False
        with _explaining_failures(entry):
            return self.rollovers.open(entry).is_signed(published)

    def _is_api_zone(self, name: Name) -> bool:
        return self._api_zones is not None and self._api_zones.is_known(name)

    def make_gate(self, entry: ZoneEntry) -> ZoneValidator:
        """Make what accepts or rejects the versions of a zone."""
        policy = self._config.policies[entry.policy]
        return VersionGate(self._clock, self._workers, lambda zone: self._find_trust(entry, policy, zone))

    # What signers need

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self._clock

    @property
    def workers(self) -> int:
        """Threads that sign."""
        return self._workers

    def get_keys(self, entry: ZoneEntry, policy: Policy, published: Zone | None = None) -> ZoneKeys:
        """Give the keys of a zone, as its timetable says, which makes the first ones.

        Raises:
            SigningImpossible: They cannot be had.
        """
        with _explaining_failures(entry):
            keys = self.rollovers.load_keys(entry, published)
        self.kms_key_of.update({(entry.text, tag): identity for tag, identity in keys.kms_keys.items()})
        return keys

    def _find_trust(self, entry: ZoneEntry, policy: Policy, zone: Zone) -> Trust:
        """Say what the validator is to expect of the published version: keys made only now would say nothing.

        Raises:
            SigningImpossible: They cannot be had.
        """
        try:
            has_keys = self._open_key_store().has_ksk(entry.name)
        except (CustodyUnavailable, SQLAlchemyError) as error:
            raise SigningImpossible(f"no keys for zone {entry.text}: {error}") from error
        if not has_keys:
            raise SigningImpossible(f"no keys for zone {entry.text}: it has none in the database")
        keys = self.get_keys(entry, policy, zone)
        # A step just taken publishes a key, or lets it sign no more: what is in service follows later.
        signers = [key.rdata for key in self.rollovers.open(entry).list_signers()]
        published = zone.names[zone.origin].get(rt.DNSKEY)
        known = frozenset(published.rdatas if published else ())
        unpublished = dict.fromkeys(key for key in (*keys.unpublished, *signers) if key not in known)
        return Trust(keys.ds, tuple(unpublished))

    def _open_key_store(self) -> ZoneKeyStore:
        with self._lock:
            if self._key_store is None:
                custody = self._holder.custody
                scope = Scope(custody.platform.organisation, custody.platform.region)
                self._key_store = ZoneKeyStore(custody.engine, custody.kms, scope, self._clock)
            return self._key_store

    def open_timetable_keys(self) -> TimetableKeys:
        """Give the keys of zones by the names of their timetables.

        Raises:
            CustodyUnavailable: The database is not open.
        """
        store = self._open_key_store()
        with self._lock:
            if self._timetable_keys is None:
                custody = self._holder.custody
                self._timetable_keys = TimetableKeys(store, custody.engine, custody.kms)
            return self._timetable_keys

    def open_key_set_signatures(self) -> KeySetSignatures:
        """Give the signatures of key sets that were made ahead.

        Raises:
            CustodyUnavailable: The database is not open.
        """
        return KeySetSignatures(self._holder.custody.engine, self._config.dnssec.key_signature_runway)

    def forget_keys(self) -> None:
        """Drop all keys from memory, as sealing asks for."""
        with self._lock:
            stores = [store for store in (self._key_store, self._timetable_keys) if store is not None]
        for store in stores:
            store.forget_loaded()

    def forget_zone_keys(self, name: Name) -> None:
        """Drop the keys of a zone from memory: it is served no more."""
        with self._lock:
            stores = [store for store in (self._key_store, self._timetable_keys) if store is not None]
        for store in stores:
            store.forget_zone_loaded(name)

    # The clock

    def read_signing_time(self) -> int:
        """Give the time for new signatures, once the clock is believed.

        Raises:
            SigningImpossible: The clock is suspect, or what is known of it cannot be read.
        """
        with self._lock:
            now = self._clock.now()
            with _explaining_clock():
                custody = self._holder.custody
                watch = self._watch_clock(custody)
                watch.check(now, self._clock.monotonic())
                mark, stored = watch.mark, self._stored_mark
                if mark is not None and (stored is None or mark >= stored + _MARK_SECONDS):
                    self._store_mark(custody, mark)
            return now

    def mark_clock(self) -> str | None:
        """Remember the time as seen, if it is to be believed; called every minute.

        After a crash the clock may be set back by half a minute more than is allowed, unnoticed.

        Returns:
            Why it is not believed, in the words of the first time; None if it is, or if that is unknown.
        """
        try:
            self.read_signing_time()
        except SigningImpossible as error:
            if not isinstance(error.__cause__, ClockSuspect):
                logger.warning("the time is not remembered: %s", error)
            elif self._clock_doubt is None:
                logger.warning("the clock is not believed: %s", error)
                self._clock_doubt = str(error)
        else:
            self._clock_doubt = None
        return self._clock_doubt

    def accept_clock(self) -> str:
        """Take the clock as it is for right, on an operator's word.

        Raises:
            SigningImpossible: That cannot be remembered now.
        """
        with self._lock, _explaining_clock():
            custody = self._holder.custody
            now = self._clock.now()
            watch = self._watch_clock(custody)
            self._record_command("clock.accept", {"time": now})
            self._store_mark(custody, now)
            watch.accept(now, self._clock.monotonic())
            logger.warning("the clock is accepted by command; it says %d", now)
            return f"the time {now} is accepted"

    def _record_command(self, action: str, details: Mapping[str, str | int]) -> None:
        """Put a command of the operator, who needs no account for it, into the audit log."""
        store = self._holder.custody.kms.custodian.store
        event = AuditEvent(store.now(), action, True, None, details=details)
        store.write(lambda connection: store.record(connection, event))

    def _watch_clock(self, custody: Custody) -> ClockWatch:
        if self._clock_watch is None:
            with connect_to_read(custody.engine) as connection:
                mark = connection.execute(
                    select(clock_marks.c.at).where(clock_marks.c.name == _CLOCK_MARK)
                ).scalar()
            bounds = ClockBounds(self._config.clock.max_jump, self._config.clock.backward_tolerance)
            self._clock_watch = ClockWatch(bounds, mark)
        return self._clock_watch

    def _store_mark(self, custody: Custody, mark: int) -> None:
        with custody.engine.begin() as connection:
            connection.execute(delete(clock_marks).where(clock_marks.c.name == _CLOCK_MARK))
            connection.execute(insert(clock_marks).values(name=_CLOCK_MARK, at=mark))
        self._stored_mark = mark


@contextmanager
def _explaining_clock() -> Generator[None]:
    try:
        yield
    except ClockSuspect as error:
        raise SigningImpossible(str(error)) from error
    except CustodyUnavailable as error:
        raise SigningImpossible(f"no keys: {error}") from error
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or type(error).__name__
        raise SigningImpossible(f"the database fails: {reason}") from error
    except KmsError as error:
        raise SigningImpossible(f"it cannot be recorded: {error}") from error


@contextmanager
def _explaining_failures(entry: ZoneEntry) -> Generator[None]:
    try:
        yield
    except (CustodyUnavailable, KeyUnusable, UnusableKeySet, WrongPrivateKey, KmsError) as error:
        raise SigningImpossible(f"no keys for zone {entry.text}: {error}") from error
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or type(error).__name__
        raise SigningImpossible(f"no keys for zone {entry.text}: the database fails: {reason}") from error


class _Signer:
    """Signs the versions of one zone; only what changed when it has made the version before itself."""

    def __init__(self, workshop: ZoneWorkshop, entry: ZoneEntry, policy: Policy) -> None:
        self._workshop = workshop
        self._entry = entry
        self._policy = policy
        self._hashes = NameHashes()
        self._largest_ttl = LargestTtl()
        self._warning: str | None = None
        # The newest version made and the one it was made from: which of them is published, others decide.
        self._states: tuple[SignedState, ...] = ()

    def _find_state(self, version: Zone | None, keys: ZoneKeys, policy: SigningPolicy) -> SignedState | None:
        return next(
            (
                state
                for state in self._states
                if state.zone is version and state.keys == keys.key_set and state.policy == policy
            ),
            None,
        )

    def find_due(self, published: Zone, unsigned: Zone) -> int | None:
        """Say when the published version must be signed again; None for now, for other keys or policy."""
        keys = self._workshop.get_keys(self._entry, self._policy, published)
        policy = self._resolve(unsigned, keys)
        now = self._workshop.clock.now()
        additions = self._workshop.find_additions(self._entry.name)
        state = self._find_state(published, keys, policy)
        if state is not None and state.unsigned is unsigned:
            if state.additions != additions:
                return None
            due = state.times.find_next_due(policy.refresh_margin_seconds, now)
            if due is not None and due > now:
                return due
        # Whatever assembling decides must be as it is: what it would add differs only with keys or policy.
        again = assemble(
            unsigned,
            keys=keys.key_set,
            policy=policy,
            serial=published.serial,
            hashes=self._hashes,
            additions=additions,
        ).zone
        if not _has_same_records_at_apex(again, published) or len(again.nsec3) != len(published.nsec3):
            return None
        if list_signals(again) != list_signals(published):
            return None
        if {signature[2] for signature in published.names[published.origin][rt.SOA].signatures} != {
            key.algorithm for key in keys.key_set.zsks
        }:
            return None  # an algorithm comes or goes: its signatures come before its keys, and go after them
        self._remember(unsigned, published, keys, policy, additions)
        return find_next_due(published, policy, now)

    def _remember(
        self,
        unsigned: Zone,
        zone: Zone,
        keys: ZoneKeys,
        policy: SigningPolicy,
        additions: ZoneAdditions,
    ) -> None:
        hashes = self._hashes
        if (hashes.salt, hashes.iterations) != (policy.nsec3_salt, policy.nsec3_iterations):
            hashes = NameHashes(salt=policy.nsec3_salt, iterations=policy.nsec3_iterations)
        state = remember(unsigned, zone, keys=keys.key_set, policy=policy, hashes=hashes, additions=additions)
        self._states = (state,)

    def sign(
        self, unsigned: Zone, previous: Zone | None, serial: Serial, progress: Callable[[int, int], None]
    ) -> SignedVersion:
        """Sign a version, keeping every signature of the previous one that is still good."""
        keys = self._workshop.get_keys(self._entry, self._policy, previous)
        try:
            return self._sign(unsigned, previous, serial, keys, progress)
        except SigningImpossible as error:
            # A KSK that cannot sign now has signed ahead what is said already: data need not wait for it.
            before = keys.announce_as(previous)
            is_of_api = self._entry.source is Source.API
            if not is_of_api or keys.key_set.asks_removal or before.key_set == keys.key_set:
                raise
            version = self._sign(unsigned, previous, serial, before, progress)
            if previous is not None and _differs_by_serial_only(version.zone, previous):
                raise
            return replace(version, problem=version.problem or str(error))

    def _sign(
        self,
        unsigned: Zone,
        previous: Zone | None,
        serial: Serial,
        keys: ZoneKeys,
        progress: Callable[[int, int], None],
    ) -> SignedVersion:
        policy = self._resolve(unsigned, keys, serial)
        now = self._workshop.read_signing_time()
        state = self._find_state(previous, keys, policy)
        try:
            version = None if state is None else self._update(state, unsigned, serial, keys, now, progress)
            return version or self._sign_whole(unsigned, previous, serial, keys, policy, now, progress)
        except (HashCollision, KmsError, CustodyUnavailable) as error:
            raise SigningImpossible(f"zone {self._entry.text} cannot be signed: {error}") from error
        except SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or type(error).__name__
            raise SigningImpossible(
                f"zone {self._entry.text} cannot be signed: the database fails: {reason}"
            ) from error

    def _carry_out(
        self,
        plan: SigningPlan,
        keys: ZoneKeys,
        policy: SigningPolicy,
        now: int,
        progress: Callable[[int, int], None],
    ) -> tuple[Zone, str | None]:
        """Sign what is planned; what KSKs sign comes from what was made ahead, if they cannot be used.

        Returns:
            The zone, and why it has signatures that are due already.
        """
        ahead = self._workshop.open_key_set_signatures()
        problems: list[str] = []
        zone = carry_out(
            plan,
            keys.signing_keys,
            workers=self._workshop.workers,
            progress=progress,
            sign_key_set=lambda jobs: ahead.sign(
                plan.origin, jobs, keys.signing_keys, policy, now, problems.append
            ),
        )
        return zone, problems[0] if problems else None

    def _update(
        self,
        state: SignedState,
        unsigned: Zone,
        serial: Serial,
        keys: ZoneKeys,
        now: int,
        progress: Callable[[int, int], None],
    ) -> SignedVersion | None:
        """Sign what changed; None if signatures are due anywhere, or too much changed."""
        policy = state.policy
        due = state.times.find_next_due(policy.refresh_margin_seconds, now)
        if due is None or due <= now:
            return None
        additions = self._workshop.find_additions(self._entry.name)
        if (update := prepare_update(state, unsigned, serial, additions)) is None:
            return None
        plan = plan_signatures(update.assembled, state.zone, keys.key_set, policy, now)
        count = len(plan.jobs) + len(plan.key_set_jobs)
        part, problem = self._carry_out(plan, keys, policy, now, progress)
        new = update.complete(part)
        self._states = (new, state)
        following = new.times.find_next_due(policy.refresh_margin_seconds, now)
        return SignedVersion(
            new.zone, keys.ds, count, following, problem=problem, unpublished=keys.unpublished
        )

    def _sign_whole(
        self,
        unsigned: Zone,
        previous: Zone | None,
        serial: Serial,
        keys: ZoneKeys,
        policy: SigningPolicy,
        now: int,
        progress: Callable[[int, int], None],
    ) -> SignedVersion:
        additions = self._workshop.find_additions(self._entry.name)
        assembled = assemble(
            unsigned,
            keys=keys.key_set,
            policy=policy,
            serial=serial,
            hashes=self._hashes,
            additions=additions,
        )
        plan = plan_signatures(assembled, previous, keys.key_set, policy, now)
        count = len(plan.jobs) + len(plan.key_set_jobs)
        zone, problem = self._carry_out(plan, keys, policy, now, progress)
        if problem is not None and previous is not None and _differs_by_serial_only(zone, previous):
            # it would be due at once, and so on without end
            raise SigningImpossible(f"zone {self._entry.text} cannot be signed: {problem}")
        before = next((state for state in self._states if state.zone is previous), None)
        self._remember(unsigned, zone, keys, policy, additions)
        if before is not None:
            self._states += (before,)
        due = find_next_due(zone, policy, now)
        return SignedVersion(zone, keys.ds, count, due, problem=problem, unpublished=keys.unpublished)

    def _resolve(self, unsigned: Zone, keys: ZoneKeys, serial: int | None = None) -> SigningPolicy:
        """Join policy, zone and timetable; `serial` is that of the version to be made, if one is."""
        policy, ttl = self._policy, self._largest_ttl.find(unsigned)
        if serial is not None:
            self._workshop.rollovers.open(self._entry).note_ttl(serial, ttl)
        try:
            times = resolve_times(policy, find_soa_expire(unsigned), ttl)
        except ImpossiblePolicy as error:
            raise SigningImpossible(
                f"policy {self._entry.policy!r} is impossible for zone {self._entry.text}: {error}"
            ) from error
        if times.warning is not None and times.warning != self._warning:
            logger.warning("zone %s: %s", self._entry.text, times.warning)
        self._warning = times.warning
        return SigningPolicy(
            validity_seconds=times.validity,
            refresh_margin_seconds=times.refresh_margin,
            inception_offset_seconds=times.inception_offset,
            denial=keys.denial or Denial(policy.denial.value),
            dnskey_ttl=policy.dnskey_ttl,
            publish_cds=policy.cds is not CdsPublication.NEVER,
        )


def _differs_by_serial_only(one: Zone, other: Zone) -> bool:
    """Compare all but the SOA, signatures included."""
    apex = one.origin
    return (
        len(one.names) == len(other.names)
        and {number: rrset for number, rrset in one.names[apex].items() if number != rt.SOA}
        == {number: rrset for number, rrset in other.names[apex].items() if number != rt.SOA}
        and all(types == other.names.get(owner) for owner, types in one.names.items() if owner != apex)
        and one.nsec3 == other.nsec3
    )


def _has_same_records_at_apex(one: Zone, other: Zone) -> bool:
    """Compare the records at the apex, signatures and the bitmap of NSEC apart."""
    first, second = one.names[one.origin], other.names[other.origin]
    return first.keys() == second.keys() and all(
        rrset.rdatas == second[number].rdatas and rrset.ttl == second[number].ttl
        for number, rrset in first.items()
        if number != rt.NSEC
    )
