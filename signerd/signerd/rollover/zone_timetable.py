"""The timetable of one zone, and what carries its decisions out.

The state of a step is stored before anything of it is done. What is to be published follows from the state
alone (`Arrangement`), and which keys are to be made or given up from the state and the keys that there are;
so after a crash at any point the next step does what is left to do.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from signerd.clock import Clock
from signerd.config.policy import KskRollover, Policy
from signerd.config.signature_times import ImpossiblePolicy, resolve_times
from signerd.custody import CustodyUnavailable
from signerd.delegation.parent_view import ParentView, ServerAnswer
from signerd.dns import rdatatype as rt
from signerd.dns.name import ROOT
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.algorithm import KEY_TYPE_ALGORITHMS
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key import DnsKey
from signerd.rollover.beginning import begin, name_keys
from signerd.rollover.key_plan import KeyPlan
from signerd.rollover.owner_wishes import NoOwners, OwnerWishes
from signerd.rollover.parent_facts import is_parentless, read_parent
from signerd.rollover.served_watch import ServedWatch
from signerd.rollover.timetable_policy import keep_as_it_is, make_timetable_policy
from signerd.rollover.timetable_record import TimetableRecord, has_record, read_record, write_record
from signerd.signer.lost_keys import explain_lost_keys
from signerd.signer.served_keys import ServedKeys
from signerd.signer.signing_keys import WrongPrivateKey
from signerd.signer.timetable_keys import KskSource, StoredKey, TimetableKeys
from signerd.signer.zone_key_store import KeyUnusable, ZoneKeys
from signerd.store.engine import connect_to_read
from signerd.timetable.arrangement import ActionKind, Arrangement, arrange
from signerd.timetable.beginnings import find_staying
from signerd.timetable.commands import RolloverRefused, start_rollover
from signerd.timetable.facts import Facts, ParentServer
from signerd.timetable.policy import TimetablePolicy
from signerd.timetable.state import KeyRole, Moment, RolloverKind, TimetableState
from signerd.timetable.state_record import BadStateRecord
from signerd.timetable.timetable import Outcome, take_step
from signerd.zone_dnssec.ignored_servers import mark_answers
from signerd.zones.checks import find_soa_expire
from signerd.zones.largest_ttl import find_largest_ttl
from signerd.zones.pipeline import SigningImpossible
from signerd.zones.zone_list import ZoneEntry
from signerd_kms.errors import KmsError
from signerd_kms.key import KeyStatus, KeyType

logger = logging.getLogger(__name__)

_MOST_ROUNDS: Final = 10  # of steps at a time: each follows from what the one before has made
RETRY_SECONDS: Final = 60  # until what could not be done is tried again
LONGEST_REST_SECONDS: Final = 3600  # until it is seen that a key was disabled, of which nobody tells
_PROBLEM_SECONDS: Final = 300  # until it is looked whether what has stopped the timetable is still so
_STALE_PROBES: Final = 2  # intervals between probes after which an answer of the parent counts as old
_FAILURES: Final = (KmsError, KeyUnusable, WrongPrivateKey, SQLAlchemyError, BadStateRecord)
Change = Callable[[TimetableState, TimetablePolicy, int], TimetableState]


@dataclass(frozen=True, slots=True)
class TimetableParts:
    """What the timetables of all zones share.

    Attributes:
        clock: The clocks.
        boot: Tells the runs of the monotonic clock apart.
        open_keys: Gives the keys of zones. Raises CustodyUnavailable.
        open_engine: Gives the database. Raises CustodyUnavailable.
        is_kms_open: Whether the KMS can be used.
        read_time: Gives the wall clock, if it is to be believed. Raises SigningImpossible.
        parent_interval: How often a step is taken while something is awaited of the parent, seconds; what it
            answers calls for one in any case.
        wishes: What the owners of zones of the API decided.
    """

    clock: Clock
    boot: str
    open_keys: Callable[[], TimetableKeys]
    open_engine: Callable[[], Engine]
    is_kms_open: Callable[[], bool]
    read_time: Callable[[], int]
    parent_interval: float
    wishes: OwnerWishes = field(default_factory=NoOwners)


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step gave.

    Attributes:
        zone: The zone.
        plan: Where its keys stand.
        is_rearranged: Whether something else is to be published than before.
        look_again_at: When to take the next step at the latest, epoch seconds.
    """

    zone: ZoneEntry
    plan: KeyPlan
    is_rearranged: bool
    look_again_at: int


@dataclass(slots=True)
class Memory:
    """What is known of the zone in this process; all of it follows from the record and the keys."""

    record: TimetableRecord
    stored: TimetableState | None = None
    keys: Sequence[StoredKey] = field(default_factory=tuple[StoredKey, ...])


class ZoneTimetable:
    """The timetable of one zone. Blocks: for worker threads, any of them."""

    def __init__(self, entry: ZoneEntry, policy: Policy, parts: TimetableParts) -> None:
        """Do nothing yet.

        Args:
            entry: The zone.
            policy: Of the configuration.
            parts: Shared.
        """
        self.entry = entry
        self._options = policy
        self._parts = parts
        self._identity = entry.identity or None  # only zones of the API have one
        self._lock = threading.RLock()
        self._watch = ServedWatch(parts.clock)
        self._memory: Memory | None = None
        self._told: str | None = None
        self._seen_keys: RRset | None = None
        self._plan: KeyPlan | None = None
        self._told_aim: Arrangement | None = None  # that versions are signed for, as far as was told

    @property
    def plan(self) -> KeyPlan | None:
        """Where the keys stand, as of the last step; None before the first."""
        return self._plan

    @property
    def retry_seconds(self) -> int:
        """How long it is until a step that could not be taken is tried again."""
        return RETRY_SECONDS

    def note_ttl(self, serial: int, ttl: int) -> None:
        """Take note of the largest TTL of a version that is about to be served."""
        self._watch.note_ttl(serial, ttl)

    # For signing

    def is_signed(self, published: Zone | None) -> bool:
        """Say if versions of the zone are to be signed now.

        With `signed: false` they are as long as a cache may have a DS record; without keys not yet.

        Raises:
            SigningImpossible: Its record cannot be read, or it has lost its keys.
            CustodyUnavailable, KmsError, SQLAlchemyError: It is not known now.
        """
        memory = self._memory
        if memory is None:
            with self._lock:
                if not self._is_begun(self._parts.open_keys()):
                    return self._options.signed
                memory = self._open(self._parts.open_keys(), published)
        state = memory.record.state
        return state.may_have_ds or any(key.dnskey.is_wanted for key in state.keys)

    def _is_begun(self, keys: TimetableKeys) -> bool:
        if self._memory is not None or has_record(self._parts.open_engine(), self.entry.name):
            return True
        return bool(keys.list_keys(self.entry.name))

    def load_keys(self, published: Zone | None) -> ZoneKeys:
        """Give the keys of the zone for what is to be published now; makes the first ones.

        Raises:
            SigningImpossible: The zone has lost its keys, its record cannot be read, or the clock is not
                believed at the beginning.
            CustodyUnavailable, KmsError, KeyUnusable, WrongPrivateKey, SQLAlchemyError: They cannot be had.
        """
        keys = self._parts.open_keys()
        memory = self._memory
        if memory is None:
            with self._lock:
                memory = self._open(keys, published)
        # From here on without the lock: a change of the zone does not wait for a step.
        state = memory.record.state
        self._refuse_lost_keys(published, memory.keys)
        wanted = arrange(state, self._find_policy(keys, memory))
        return keys.load(self.entry.name, wanted, _find_trusted(state), self._identity)

    def list_signers(self) -> Sequence[DnsKey]:
        """List the keys that may have signatures in the version in service, if not in the next one."""
        if (memory := self._memory) is None:
            return ()
        names = {key.name for key in memory.record.state.keys if not key.data.is_gone}
        return [key.dnskey for key in memory.keys if key.name in names]

    def _refuse_lost_keys(self, published: Zone | None, keys: Sequence[StoredKey]) -> None:
        points = [key.dnskey for key in keys if key.role.signs_keys]
        if (lost := explain_lost_keys(published, points)) is not None:
            raise SigningImpossible(lost)

    def _open(self, keys: TimetableKeys, published: Zone | None) -> Memory:
        """Read the record, or begin one; the first keys of a zone are made here."""
        if self._memory is not None:
            return self._memory
        engine, apex = self._parts.open_engine(), self.entry.name
        try:
            record = read_record(engine, apex, self._identity)
        except BadStateRecord as error:
            raise SigningImpossible(
                f"the key timetable of zone {self.entry.text} cannot be read: {error}; put back the "
                "database, or use the version of signerd that wrote it"
            ) from error
        stored = keys.list_keys(apex)
        if record is None:
            now = self._parts.read_time()
            self._refuse_lost_keys(published, stored)
            stored = self._make_first(keys)
            names = name_keys(stored)
            keys.name_keys(names)
            stored = keys.list_keys(apex)
            dnskeys = {key.dnskey: names[key.identity] for key in stored if key.identity in names}
            served = self._watch.look(published, dnskeys, must_be_exact=True).served
            record = TimetableRecord(self._begin(stored, served, now))
            write_record(engine, apex, record, now, self._identity)
        if published is not None:  # of which a process that was killed may have taken no step
            self._watch.note_ttl(published.serial, find_largest_ttl(published))
        self._memory = Memory(record, record.state, stored)
        return self._memory

    def _make_first(self, keys: TimetableKeys) -> Sequence[StoredKey]:
        return keys.make_first(self.entry.name, self._make_source(), is_csk=self._options.csk)

    def _begin(self, stored: Sequence[StoredKey], served: ServedKeys, now: int) -> TimetableState:
        policy = make_timetable_policy(self._options, self._parts.parent_interval)
        return begin(stored, served, policy, now)

    def _make_source(self) -> KskSource:
        is_new_version = self._options.ksk_rollover is KskRollover.NEW_VERSION
        return KskSource(KeyType(self._options.key_type.value), self.entry.kms_key, is_new_version)

    def _find_policy(self, keys: TimetableKeys, memory: Memory) -> TimetablePolicy:
        policy = make_timetable_policy(self._options, self._parts.parent_interval)
        state = memory.record.state
        if self.entry.is_lost:  # nobody is left to ask what is wanted of it
            return keep_as_it_is(policy, state)
        if self.entry.kms_key is None:
            return policy
        named = keys.find_named(self.entry.kms_key)
        if named is None or named.status is not KeyStatus.ACTIVE:
            return replace(keep_as_it_is(policy, state), zsk_period=policy.zsk_period)
        return replace(policy, algorithm=KEY_TYPE_ALGORITHMS.get(named.key_type.value, policy.algorithm))

    # Steps

    def step(self, published: Zone | None) -> StepReport | None:
        """Take a step, and do what it asks for but publishing; None if there is nothing to go on from.

        Args:
            published: The version in service.
        """
        with self._lock:
            try:
                return self._step(published)
            except CustodyUnavailable as error:
                logger.debug("zone %s: no step of its key timetable: %s", self.entry.text, error)
            except SigningImpossible as error:  # whoever signs tells of it
                logger.debug("zone %s: no step of its key timetable: %s", self.entry.text, error)
                self._note_trouble(str(error))
            except _FAILURES as error:
                self._tell(f"no step of its key timetable: {error}")
                self._note_trouble(str(error))
            return None

    def _note_trouble(self, trouble: str) -> None:
        """Let those who look at the plan know that no step could be taken."""
        if self._plan is not None:
            sentence = f"Key changes have stopped: {trouble}. The zone is served as before."
            outcome = replace(self._plan.outcome, problem=trouble, sentence=sentence)
            next_look = self._parts.clock.now() + self.retry_seconds
            self._plan = replace(self._plan, outcome=outcome, next_look=next_look)

    def _step(self, published: Zone | None) -> StepReport | None:
        keys = self._parts.open_keys()
        self._seen_keys = None if published is None else published.names[published.origin].get(rt.DNSKEY)
        if self._memory is None and published is None:
            return None  # the first keys are made when there is something to sign
        if not self._options.signed and not self._is_begun(keys):
            return None
        memory = self._open(keys, published)
        if self._told_aim is None:
            self._told_aim = self._describe_aim(keys, memory)
        rounds = 0
        while True:
            outcome, policy, look_again_at = self._take_step(keys, memory, published)
            self._store(memory, outcome.state)
            self._log(outcome)
            is_done, trouble = self._carry_out(keys, memory, outcome, published)
            rounds += 1
            if not is_done or rounds == _MOST_ROUNDS:
                break
        if trouble is not None:
            sentence = f"Key changes have stopped: {trouble}. The zone is served and signed as before."
            outcome = replace(outcome, problem=trouble, sentence=sentence)
            look_again_at = min(look_again_at, self._parts.clock.now() + RETRY_SECONDS)
        self._tell(outcome.problem)
        now = self._parts.clock.now()
        if outcome.problem is not None:  # nobody tells when a key is usable again
            look_again_at = min(look_again_at, now + _PROBLEM_SECONDS)
        looks_again_at = min(look_again_at, now + LONGEST_REST_SECONDS)
        self._plan = KeyPlan(
            self.entry.text, self.entry.policy, policy, outcome, now, _list_tags(memory.keys), looks_again_at
        )
        aim = self._describe_aim(keys, memory)
        # of what a step that failed half-way, or a command, has stored, nobody was told yet
        is_rearranged, self._told_aim = aim != self._told_aim, aim
        return StepReport(self.entry, self._plan, is_rearranged, look_again_at)

    def _describe_aim(self, keys: TimetableKeys, memory: Memory) -> Arrangement:
        return arrange(memory.record.state, self._find_policy(keys, memory))

    def _take_step(
        self, keys: TimetableKeys, memory: Memory, published: Zone | None
    ) -> tuple[Outcome, TimetablePolicy, int]:
        """Take one step; what was seen of an earlier version does for finding that there is nothing to do."""
        policy = self._find_policy(keys, memory)
        now = self._parts.read_time()
        moment = Moment(now, self._parts.clock.monotonic(), self._parts.boot)
        is_kms_open, usable = self._find_usable(keys)
        state = self._hold_unconfirmed(memory, self._prepare(keys, memory, policy, now), now)
        parent = self._read_parent(memory)
        for must_be_exact in (False, True):
            look = self._watch.look(published, _name_dnskeys(memory.keys), must_be_exact=must_be_exact)
            served = look.served
            facts = Facts(
                self._leave_out(served.published, state),
                self._leave_out(served.signing, state),
                served.covering,
                served.denial,
                served.dnskey_ttl,
                served.largest_ttl,
                usable,
                is_kms_open,
                parent,
                self._is_parentless(memory),
                served.announced,
            )
            policy = replace(policy, signature_life=self._find_signature_life(published, served))
            outcome = take_step(state, moment, policy, facts, first_keys=self._may_begin(served))
            if look.is_exact or not _differs(memory.record.state, outcome.state):
                break
        look_again_at = outcome.wake_at
        if not look.is_exact:
            look_again_at = min(look_again_at, now + 1 + round(self._watch.rest_seconds))
        return outcome, policy, look_again_at

    def _find_signature_life(self, published: Zone | None, served: ServedKeys) -> int | None:
        """Say after how long the last signature of a key that signs no more is replaced."""
        if published is None:
            return None
        try:
            times = resolve_times(self._options, find_soa_expire(published), served.largest_ttl)
        except ImpossiblePolicy:
            return None  # who signs says so
        return times.validity - times.refresh_margin

    def _hold_unconfirmed(self, memory: Memory, state: TimetableState, now: int) -> TimetableState:
        """Let no wait for DS records end by what the parent said long ago: it may say something else now.

        After a long downtime the time of a wait is over before anybody was asked again.
        """
        if self._is_parentless(memory) and not self._options.parent_ds:
            return state  # nobody can confirm anything; the policy does
        interval = max(1, round(self._parts.parent_interval))
        pause = min(interval, RETRY_SECONDS)
        asked = max((answer.at for answer in self._find_view(memory).counted), default=None)
        if asked is not None and abs(now - asked) <= max(RETRY_SECONDS, _STALE_PROBES * interval):
            return state
        ending = [
            key.name for key in state.keys if key.ds.settles_at is not None and key.ds.settles_at <= now
        ]
        return state.change_keys(ending, lambda key: replace(key, ds=replace(key.ds, settles_at=now + pause)))

    def _may_begin(self, served: ServedKeys) -> bool:
        """Say if keys may be made for a zone that has none: one that was insecure for a while."""
        return self._options.signed and not self.entry.is_lost and not served.published

    def _leave_out(self, names: frozenset[str], state: TimetableState) -> frozenset[str]:
        """Leave out keys that are no affair of this timetable: here all are."""
        del state
        return names

    def _find_usable(self, keys: TimetableKeys) -> tuple[bool, frozenset[str]]:
        if not self._parts.is_kms_open():
            return False, frozenset()
        try:
            return True, keys.find_usable(self.entry.name)
        except KmsError:
            return False, frozenset()

    def _prepare(
        self, keys: TimetableKeys, memory: Memory, policy: TimetablePolicy, now: int
    ) -> TimetableState:
        """Begin a KSK rollover if the configuration names another key of the KMS than is in use."""
        state = memory.record.state
        if self.entry.kms_key is None or self.entry.is_lost:
            return state
        named = keys.find_named(self.entry.kms_key)
        staying = {key.name for key in find_staying(state) if key.role.signs_keys and key.made_at is not None}
        in_use = {key.kms_key for key in memory.keys if key.name in staying}
        if named is None or named.status is not KeyStatus.ACTIVE or not in_use or named.identity in in_use:
            return state
        if KEY_TYPE_ALGORITHMS.get(named.key_type.value) not in {
            key.algorithm for key in find_staying(state)
        }:
            return state  # another algorithm begins a rollover of its own
        try:
            return start_rollover(state, RolloverKind.KSK, policy, now)
        except RolloverRefused:
            return state  # what is in the way comes to its end first

    def _list_ds(self, memory: Memory) -> Mapping[str, Sequence[bytes]]:
        """Give the DS records of each key that the parent may point to."""
        return {
            key.name: make_ds_set(self.entry.name, key.dnskey)
            for key in memory.keys
            if key.name is not None and key.role.signs_keys
        }

    def _read_parent(self, memory: Memory) -> tuple[ParentServer, ...]:
        view = self._find_view(memory)
        return read_parent(view, self._list_ds(memory), counts_any=self._is_to_be_unsigned)

    def _is_parentless(self, memory: Memory) -> bool:
        records = [ds for ds_set in self._list_ds(memory).values() for ds in ds_set]
        return self.entry.name == ROOT or is_parentless(self._find_view(memory), records)

    def _find_view(self, memory: Memory) -> ParentView:
        """Give what the parent said last."""
        return memory.record.view

    @property
    def _is_to_be_unsigned(self) -> bool:
        """Whether the zone is to go insecure."""
        return not self._options.signed

    def _store(self, memory: Memory, state: TimetableState) -> None:
        """Keep a state before anything of it is done; the moment alone is worth a write an hour."""
        record = replace(memory.record, state=state)
        if memory.stored is None or _differs(memory.stored, state) or _is_older(memory.stored, state, 3600):
            self._write(memory, record)
        memory.record = record

    def _write(self, memory: Memory, record: TimetableRecord) -> None:
        write_record(self._parts.open_engine(), self.entry.name, record, self._parts.clock.now())
        memory.record, memory.stored = record, record.state

    def _carry_out(
        self, keys: TimetableKeys, memory: Memory, outcome: Outcome, published: Zone | None
    ) -> tuple[bool, str | None]:
        """Make and give up keys.

        Returns:
            Whether a key was made, and what could not be done.
        """
        is_made, trouble = False, None
        for action in outcome.actions:
            if action.kind is not ActionKind.MAKE_KEY or action.role is None or action.algorithm is None:
                continue
            if not self._parts.is_kms_open():
                continue  # the wait says so
            try:
                self._make(keys, memory, action.key, action.role, action.algorithm)
                is_made = True
            except (KeyUnusable, WrongPrivateKey, KmsError) as error:
                trouble = f"{action.key} cannot be made: {error}"
        known = {key.name for key in outcome.state.keys}
        unknown = [key for key in memory.keys if key.name is not None and key.name not in known]
        if unknown:  # what is served is looked at again: a key that signs anything is never destroyed
            served = self._watch.look(published, _name_dnskeys(memory.keys), must_be_exact=True).served
            unknown = [key for key in unknown if key.name not in served.published | served.signing]
        for key in unknown:
            self._give_up(keys, key)
            logger.info("zone %s: the key %s is given up", self.entry.text, key.name)
        if is_made or unknown:
            memory.keys = keys.list_keys(self.entry.name)
        return is_made, trouble

    def _make(self, keys: TimetableKeys, memory: Memory, name: str, role: KeyRole, algorithm: int) -> None:
        del memory
        keys.make(self.entry.name, name, role, algorithm, self._make_source())

    def _give_up(self, keys: TimetableKeys, key: StoredKey) -> None:
        keys.forget(self.entry.name, key)

    def _log(self, outcome: Outcome) -> None:
        if outcome.clock_step:
            logger.warning(
                "zone %s: the clock was set by %d s; the waits of its keys last as long as before",
                self.entry.text,
                outcome.clock_step,
            )
        for action in outcome.actions:
            if action.kind is ActionKind.MAKE_KEY:
                continue  # it is asked for until it is done, and told then
            logger.info("zone %s: key timetable: %s", self.entry.text, action)

    def _tell(self, problem: str | None) -> None:
        if problem is not None and problem != self._told:
            logger.error("zone %s: key changes have stopped: %s", self.entry.text, problem)
        self._told = problem

    def is_at_rest(self, published: Zone | None) -> bool:
        """Say if a new version gives no reason for a step: its keys are the same, and the rest is up to time.

        Takes no time, so that changes of large zones cost no more than they have to.
        """
        memory, apex = self._memory, self._seen_keys
        if memory is None or published is None or apex is None or self._told is not None:
            return False
        state = memory.record.state
        traces = [trace for key in state.keys for trace in (key.dnskey, key.data)]
        awaited = [trace for trace in (*traces, *state.coverage.values()) if trace.is_moving]
        return (
            all(trace.settles_at is not None for trace in awaited)
            and self._watch.noted_ttl <= state.largest_ttl.ttl  # what caches may hold is to be stored
            and published.names[published.origin].get(rt.DNSKEY) == apex
        )

    # The parent

    @property
    def has_parent(self) -> bool:
        """Whether there is somebody to ask for DS records."""
        return self.entry.name != ROOT and not self.entry.is_lost

    def find_probe(self) -> tuple[int | None, bool]:
        """Say when the parent was asked last, epoch seconds, and whether it was found then."""
        memory = self._memory
        if memory is None:
            return None, False
        return memory.record.probed_at, memory.record.view.problem is None

    def take_in(self, answers: Sequence[ServerAnswer], problem: str | None) -> bool:
        """Take in what the parent said.

        Args:
            answers: One for each server.
            problem: Why there are none; None if there are.

        Returns:
            Whether the timetable has something new to go on.
        """
        with self._lock:
            memory = self._memory
            if memory is None:
                return False
            now = self._parts.clock.now()
            earlier, known = memory.record.view, self._read_parent(memory)
            # also if what is learnt cannot be stored: it is asked again in its time, not at once without end
            memory.record = replace(memory.record, probed_at=now)
            try:
                with connect_to_read(self._parts.open_engine()) as connection:
                    answers = mark_answers(connection, self.entry.text, answers, now)
            except (SQLAlchemyError, CustodyUnavailable) as error:
                logger.error("zone %s: what its parent said is not taken in: %s", self.entry.text, error)
                return False
            view = earlier.take_in(answers, now) if problem is None else earlier.fail(problem)
            record = replace(memory.record, view=view)
            if problem is None or earlier.problem != problem:
                try:
                    self._write(memory, record)
                except (SQLAlchemyError, CustodyUnavailable) as error:
                    logger.error("zone %s: what its parent said is not stored: %s", self.entry.text, error)
                    return False  # nothing follows from it before it is
            memory.record = record
            return self._read_parent(memory) != known

    # Commands

    def change(
        self, change: Change, published: Zone | None, record: Callable[[], None] = lambda: None
    ) -> StepReport:
        """Follow a command of the operator, and take a step.

        Args:
            change: What is to become of the state.
            published: The version in service.
            record: Called when the command can be followed, before it is; what it raises of the database and
                the KMS refuses the command.

        Raises:
            RolloverRefused: It cannot be done now.
        """
        with self._lock:
            try:
                keys = self._parts.open_keys()
                if self._memory is None and published is None:
                    raise RolloverRefused(f"zone {self.entry.text} has no keys yet")
                memory = self._open(keys, published)
                self._look_up(keys, memory)
                now = self._parts.read_time()
                state = change(memory.record.state, self._find_policy(keys, memory), now)
                record()
                self._heed_command(memory, state)
                self._write(memory, replace(memory.record, state=state))
                report = self._step(published)
            except (CustodyUnavailable, SigningImpossible, *_FAILURES) as error:
                raise RolloverRefused(
                    f"zone {self.entry.text}: nothing can be changed now: {error}"
                ) from error
            if report is None:
                raise RolloverRefused(f"zone {self.entry.text} has no keys yet")
            return report

    def _look_up(self, keys: TimetableKeys, memory: Memory) -> None:
        """Find what others have decided since."""

    def _heed_command(self, memory: Memory, state: TimetableState) -> None:
        """Do what is to be done before a command has its effect."""


def _find_trusted(state: TimetableState) -> Sequence[str]:
    """Name the keys that the parent may have DS records of; those that it is about to get if it has none.

    A DS record that came before its key, or after it, leads nowhere, whatever is published.
    """
    points = [key for key in state.keys if key.role.signs_keys and key.dnskey.is_wanted]
    return [key.name for key in points if not key.ds.is_gone] or [key.name for key in points]


def _list_tags(keys: Sequence[StoredKey]) -> Mapping[str, int]:
    return {key.name: key.dnskey.key_tag for key in keys if key.name is not None}


def _name_dnskeys(keys: Sequence[StoredKey]) -> Mapping[DnsKey, str]:
    return {key.dnskey: key.name for key in keys if key.name is not None}


def _differs(one: TimetableState, other: TimetableState) -> bool:
    """Say if two states differ in more than when they were."""
    return replace(one, moment=None) != replace(other, moment=None)


def _is_older(one: TimetableState, other: TimetableState, seconds: int) -> bool:
    if one.moment is None or other.moment is None:
        return one.moment is not other.moment
    return abs(other.moment.wall - one.moment.wall) >= seconds
