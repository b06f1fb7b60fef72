"""Zones of files with key timetables, parents and operators, in a time that passes when told to.

What the daemon's tasks do is done here one thing after the other, when they would do it and not more often:
a zone is published when its file changed, signatures are due or its timetable asks for it; a step is taken
when one is due or something new was seen; parents are asked in their times.
"""

import json
import shutil
import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from unittest.mock import patch

from sqlalchemy import Connection, event, select
from sqlalchemy.exc import OperationalError

from pipeline_world import FaultyFiles, Killed, SignAll, make_template
from served_history import ServedHistory
from signerd import custody as custody_module
from signerd import zone_workshop as workshop_module
from signerd.config.loader import load_config
from signerd.config.state_directory import StateDirectory
from signerd.custody import Custody, CustodyHolder, CustodyUnavailable
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, parse_name
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key import DnsKey
from signerd.rollover.plan_report import describe_plan
from signerd.rollover.probe_times import ProbeTimes
from signerd.rollover.timetable_record import read_record
from signerd.rollover.zone_timetable import StepReport, ZoneTimetable
from signerd.signer.timetable_keys import StoredKey
from signerd.store.zone_tables import zone_signing_keys
from signerd.timetable.commands import RolloverRefused
from signerd.timetable.state import TimetableState
from signerd.zone_workshop import ZoneWorkshop
from signerd.zones.pipeline import PipelineError, SigningImpossible, VersionRejected, ZonePipeline
from signerd.zones.publication import Publication
from signerd.zones.zone_list import ZoneEntry
from signerd_kms.attribution import Attribution
from signerd_kms.audited_store import READ_ONLY
from signerd_kms.errors import KmsError
from signerd_kms.key import Key, KeyStatus, KeyType, Scope
from signerd_kms.state import State

NOW = 1_800_000_000
DAY = 86_400
HOUR = 3600
NAMES = ("small.test", "small-test", "other.test")  # KMS keys of the first two would get the same name
PROBE_INTERVAL = DAY
WAITING_INTERVAL = HOUR
PARENT_PROPAGATION = HOUR
LAG = HOUR  # of the last name server, and the `propagation` of all policies
_MOST_ROUNDS = 40
_SOON = 20  # steps in one span of time that are taken when they are due; beyond, they may be late
_LATE = 5 * DAY
_RETRY = 300
_STRANGER = bytes.fromhex("30390d02") + bytes(32)
_EXPIRY_EXCUSE = 3 * DAY  # of troubles, in which signatures may run out

Options = Mapping[str, object]


class NoRest(AssertionError):
    """Something is done over and over."""


class LifeClock:
    """The true time, and what the clocks of the machine say."""

    def __init__(self) -> None:
        self.true = NOW
        self._error = 0
        self._booted_at = NOW
        self.boots = 0

    def now(self) -> int:
        return self.true + self._error

    def monotonic(self) -> float:
        return float(self.true - self._booted_at)

    def pass_time(self, seconds: int) -> None:
        self.true += seconds

    def step(self, seconds: int) -> None:
        self._error += seconds

    def reboot(self) -> None:
        self._booted_at = self.true
        self.boots += 1


class Points:
    """All that is stored or done: at a point of it the process may be killed, or the database locked."""

    def __init__(self) -> None:
        self._kill_at = self._lock_at = 0

    def arm(self, *, kill_at: int = 0, lock_at: int = 0) -> None:
        """Say at which point from now on what happens; 0 at none."""
        self._kill_at, self._lock_at = kill_at, lock_at

    def strike(self) -> None:
        """Pass a point."""
        if self._kill_at:
            self._kill_at -= 1
            if not self._kill_at:
                raise Killed

    def begin(self, connection: Connection) -> None:
        """Pass the beginning of a transaction."""
        if connection.get_execution_options().get(READ_ONLY, False):
            return
        self.strike()
        if self._lock_at:
            self._lock_at -= 1
            if not self._lock_at:
                raise OperationalError("BEGIN", {}, sqlite3.OperationalError("database is locked"))


@dataclass
class ParentServer:
    """A name server of a parent.

    Attributes:
        name: For people.
        shown: Keys that it has DS records of.
        former: What it showed before.
        is_silent: It does not answer.
        is_stale: It answers what it showed before, to this server alone.
        has_stranger: It answers with a DS of no key of the zone, too.
        coming: What it will show, and from when on, true time.
    """

    name: str
    shown: frozenset[DnsKey] = frozenset()
    former: frozenset[DnsKey] = frozenset()
    is_silent: bool = False
    is_stale: bool = False
    has_stranger: bool = False
    coming: list[tuple[int, frozenset[DnsKey]]] = field(default_factory=list[tuple[int, frozenset[DnsKey]]])


class LifeZone:
    """One zone: its file, its pipeline, its parent, and what was served of it."""

    def __init__(self, text: str, file: Path, policy: str, history: ServedHistory) -> None:
        self.text = text
        self.origin: Name = parse_name(f"{text}.")
        self.file = file
        self.entry = ZoneEntry(self.origin, file, policy)
        self.history = history
        self.ttl = 600
        self.version = 1
        self.servers = [ParentServer("a"), ParentServer("b")]
        self.requests: list[tuple[int, tuple[int, int]]] = []  # true time, lags of the servers
        self.ds_ttl = HOUR
        self.is_parent_known = True
        self.is_following = False  # CDS
        self.wake_at: int | None = None
        self.probe_at: int | None = None
        self.retry_at: int | None = None
        self.is_publication_wanted = True
        self.is_file_new = True
        self.error: str | None = None
        self.pipeline: ZonePipeline | None = None

    def write(self) -> None:
        """Write the file."""
        self.file.write_text(
            f"$ORIGIN {self.text}.\n$TTL 600\n@ SOA ns1 hostmaster 1 3600 900 86400 300\n@ NS ns1\n"
            f"ns1 A 192.0.2.1\nwww {self.ttl} A 192.0.2.{self.version % 250 + 1}\n"
        )
        self.is_file_new = self.is_publication_wanted = True


@dataclass(frozen=True)
class _Template:
    folder: Path
    true: int
    servers: Mapping[str, frozenset[DnsKey]]


_templates: dict[int, _Template] = {}


def _make_folder() -> Path:
    """Make a folder in memory where that is possible: every commit waits for the disk."""
    memory = Path("/dev/shm")  # noqa: S108  # a fresh folder in it
    return Path(mkdtemp(prefix="signerd-life-", dir=memory if memory.is_dir() else None))


class RolloverLife:
    """The parts of a daemon that file zones need, without its event loop."""

    def __init__(
        self, count: int, policy: Options, *, is_settled: bool, kill_at: int = 0, lock_at: int = 0
    ) -> None:
        """Start.

        Args:
            count: Of zones.
            policy: Options of the policy of all zones.
            is_settled: Whether keys and DS records of the zones are everywhere already; their policy is
                followed from then on.
            kill_at: See `live`, of the first work that is done.
            lock_at: Likewise.
        """
        template = _provide_template(count) if is_settled else None
        self.folder = _make_folder()
        shutil.copytree(template.folder if template else make_template(), self.folder, dirs_exist_ok=True)
        self.clock = LifeClock()
        self.points = Points()
        self.is_sealed = False
        self.is_excused = False
        self.are_failures_excused = False
        self.trouble_seconds = 0
        self.is_disturbed = False
        self._holder: CustodyHolder | None = None
        self._checked_until = 0
        self._head_start = LAG if template else 0  # all name servers have the first version
        if template:
            self.clock.pass_time(template.true - self.clock.true)
        (self.folder / "zones").mkdir(exist_ok=True)
        self.zones = [self._make_zone(text) for text in NAMES[:count]]
        self.policies: dict[str, dict[str, object]] = {zone.text: dict(policy) for zone in self.zones}
        for zone in self.zones:
            zone.write()
            if template:
                for server in zone.servers:
                    self._show(zone, server, template.servers[zone.text], self.clock.true)
        self.restart()
        self._head_start = 0
        with self.live(kill_at=kill_at, lock_at=lock_at):
            self.settle()

    def _make_zone(self, text: str) -> LifeZone:
        origin = parse_name(f"{text}.")
        history = ServedHistory(
            origin, self.clock.true, LAG, lambda: [key.dnskey.rdata for key in self.list_keys(origin)]
        )
        return LifeZone(text, self.folder / "zones" / f"{text}.zone", text, history)

    # The process

    def close(self) -> None:
        """End all, as a process that ends does."""
        if self._holder is not None:
            self.points.arm()
            with suppress(CustodyUnavailable):
                self._holder.custody.engine.dispose()
            self._holder = None

    def remove(self) -> None:
        """End all, and leave nothing."""
        self.close()
        shutil.rmtree(self.folder)

    def restart(self, *, is_reboot: bool = False) -> None:
        """Forget all that is in memory, and find what is on the disk."""
        self.close()
        if is_reboot:
            self.clock.reboot()
        policies = {
            name: {"propagation": f"{LAG}s", "parent_propagation": f"{PARENT_PROPAGATION}s", **options}
            for name, options in self.policies.items()
        }
        options = {
            "zone_directory": str(self.folder / "zones"),
            "state_directory": str(self.folder / "state"),
            "dnssec": {
                "probe_interval": f"{PROBE_INTERVAL}s",
                "waiting_probe_interval": f"{WAITING_INTERVAL}s",
                "probe_jitter": 0.0,
            },
            "policies": {"default": {}, **policies},
        }
        (self.folder / "signerd.yaml").write_text(json.dumps(options))
        config = load_config(self.folder / "signerd.yaml")
        self._hide_root_key(is_hidden=self.is_sealed)
        self._holder = CustodyHolder(config, self.clock)
        with _opening_quickly():
            assert self._holder.open() is not self.is_sealed, self._holder.reason
        if not self.is_sealed:
            event.listen(self.custody.engine, "begin", self.points.begin)
        with patch.object(workshop_module, "read_boot_identity", lambda: f"boot {self.clock.boots}"):
            self.workshop = ZoneWorkshop(
                config, self.clock, self._holder, _ignore, _ignore, 1, dnssec=SignAll()
            )
        self.workshop.find_published = lambda name: self._find(name).pipeline.state.published  # type: ignore[union-attr]
        self.workshop.on_step = self._take
        state = StateDirectory(config.state_directory)
        for zone in self.zones:
            zone.pipeline = ZonePipeline(
                zone.entry,
                Publication(state.published / zone.text, None, FaultyFiles(self.points.strike)),
                self.workshop.make_signer(zone.entry),
                self.workshop.make_gate(zone.entry),
                config.policies[zone.text].serial,
                self.workshop.parts,
            )
            zone.pipeline.restore()
            zone.history.record(zone.pipeline.state.published, self.clock.true - self._head_start)
            zone.wake_at, zone.probe_at, zone.retry_at = self.clock.now(), None, None
            zone.is_publication_wanted = zone.is_file_new = True
        self.workshop.mark_clock()

    def _hide_root_key(self, *, is_hidden: bool) -> None:
        key = self.folder / "state" / "root.key"
        hidden = key.with_suffix(".hidden")
        if is_hidden and key.exists():
            key.rename(hidden)
        if not is_hidden and hidden.exists():
            hidden.rename(key)

    @property
    def custody(self) -> Custody:
        """The database and the KMS."""
        assert self._holder is not None
        return self._holder.custody

    @property
    def scope(self) -> Scope:
        """Where the KMS keys of zones are."""
        return Scope(self.custody.platform.organisation, self.custody.platform.region)

    def seal(self) -> None:
        """Seal the KMS; it stays so over restarts."""
        assert self._holder is not None
        with suppress(KmsError):  # it is done, but cannot be noted in the audit log
            self._holder.seal()
        assert self._holder.state is State.SEALED
        self.is_sealed = True
        self.workshop.forget_keys()
        self._hide_root_key(is_hidden=True)

    def unseal(self) -> None:
        """Unseal the KMS."""
        assert self._holder is not None
        was_open = self._is_custody_open
        self._hide_root_key(is_hidden=False)
        with _opening_quickly():
            try:
                self._holder.unseal({})
            except CustodyUnavailable:
                self._hide_root_key(is_hidden=True)
                return
        self.is_sealed = False
        if not was_open:
            event.listen(self.custody.engine, "begin", self.points.begin)
        self.wake_all()

    @property
    def _is_custody_open(self) -> bool:
        assert self._holder is not None
        try:
            return bool(self._holder.custody)
        except CustodyUnavailable:
            return False

    def wake_all(self) -> None:
        """Have everything looked at: the KMS was opened, or the clock was accepted."""
        for zone in self.zones:
            zone.is_publication_wanted = True
            zone.wake_at = self.clock.now()

    def accept_clock(self) -> None:
        """Take the clock for right."""
        try:
            self.workshop.accept_clock()
        except SigningImpossible:
            assert self.has_trouble
        else:
            self.wake_all()

    @property
    def is_clock_believed(self) -> bool:
        """Whether the clock is."""
        try:
            self.workshop.read_signing_time()
        except SigningImpossible:
            return False
        return True

    def list_kms_keys(self) -> Sequence[Key]:
        """List the keys of zones that the KMS has; none if it cannot say."""
        if not self._is_custody_open:
            return []
        try:
            return self.custody.kms.list_keys(self.scope)
        except KmsError:
            return []

    def disable(self, number: int) -> None:
        """Disable a KMS key that is in use."""
        keys = [key for key in self.list_kms_keys() if key.status is KeyStatus.ACTIVE]
        if keys:
            key = keys[number % len(keys)]
            self.custody.kms.disable(self.scope, key.identity, by=Attribution("someone"))

    def name_key(self, zone: LifeZone, name: str, key_type: KeyType) -> None:
        """Name a KMS key in the configuration of a zone, and make it if there is none."""
        if not self._is_custody_open or self.is_sealed:
            return
        if self.custody.kms.find_key(self.scope, name) is None:
            self.custody.kms.create_key(self.scope, name, key_type, by=Attribution("someone"))
        zone.entry = replace(zone.entry, kms_key=name)
        self.restart()

    def enable(self) -> None:
        """Enable all KMS keys."""
        for key in self.list_kms_keys():
            if key.status is KeyStatus.DISABLED:
                self.custody.kms.enable(self.scope, key.identity, by=Attribution("someone"))

    @property
    def has_trouble(self) -> bool:
        """Whether something keeps zones from being signed."""
        return (
            self.is_sealed
            or self.is_disturbed
            or any(key.status is KeyStatus.DISABLED for key in self.list_kms_keys())
            or not self.is_clock_believed
        )

    # What is known of a zone

    def _find(self, name: Name) -> LifeZone:
        return next(zone for zone in self.zones if zone.origin == name)

    def timetable(self, zone: LifeZone) -> ZoneTimetable:
        """Give the timetable of a zone."""
        return self.workshop.rollovers.open(zone.entry)

    def list_keys(self, origin: Name) -> Sequence[StoredKey]:
        """List the keys of a zone; none if the database is closed."""
        if not self._is_custody_open:
            return []
        return self.workshop.open_timetable_keys().list_keys(origin)

    def list_ksks(self, zone: LifeZone) -> Sequence[StoredKey]:
        """List the keys of a zone that a parent can point to."""
        return [key for key in self.list_keys(zone.origin) if key.role.signs_keys]

    def read_state(self, zone: LifeZone) -> TimetableState | None:
        """Read what is stored of the timetable of a zone; None if nothing is."""
        if not self._is_custody_open:
            return None
        record = read_record(self.custody.engine, zone.origin)
        return None if record is None else record.state

    # Time

    def settle(self) -> None:
        """Do all that can be done now."""
        self._run_parents()
        for _ in range(_MOST_ROUNDS):
            turns = [self._take_turn(zone) for zone in self.zones]
            if not any(turns):
                return
        raise NoRest([self.describe(zone) for zone in self.zones])

    def pass_time(self, seconds: int) -> None:
        """Let time pass, and do what is due in it."""
        end, moments = self.clock.true + seconds, 0
        while (left := end - self.clock.true) > 0:
            moments += 1
            wait = min(left, self._find_wait(_LATE if moments > _SOON else 0))
            if self.has_trouble:
                self.trouble_seconds += wait
            self.clock.pass_time(wait)
            self.workshop.mark_clock()
            self.settle()

    def be_away(self, seconds: int) -> None:
        """Let time pass while the process does not run."""
        self.trouble_seconds += seconds
        self.clock.pass_time(seconds)
        self.restart()
        self.settle()

    def _find_wait(self, late: int) -> int:
        now = self.clock.now()
        moments = [max(zone.wake_at - now, late) for zone in self.zones if zone.wake_at is not None]
        moments += [
            moment - now if zone.retry_at is None else max(moment - now, late)
            for zone in self.zones
            for moment in [self._pipeline(zone).state.next_due if zone.retry_at is None else zone.retry_at]
            if moment is not None
        ]
        moments += [
            moment - self.clock.true
            for zone in self.zones
            for moment in [
                *(at for server in zone.servers for at, _ in server.coming),
                *(at for at, _ in zone.requests),
            ]
        ]
        return max(1, min(moments, default=DAY))

    def _pipeline(self, zone: LifeZone) -> ZonePipeline:
        assert zone.pipeline is not None
        return zone.pipeline

    def _take_turn(self, zone: LifeZone) -> bool:
        """Do what is due for a zone; say if anything was."""
        now = self.clock.now()
        due = self._pipeline(zone).state.next_due
        is_retry = zone.retry_at is not None and zone.retry_at <= now
        is_busy = False
        if zone.is_publication_wanted or is_retry or (due is not None and due <= now and not zone.retry_at):
            is_busy = True
            self._publish(zone)
        if zone.probe_at is not None and zone.probe_at <= now:
            self._ask(zone)
        if zone.wake_at is not None and zone.wake_at <= now:
            is_busy = True
            self._step(zone)
        return is_busy

    def _publish(self, zone: LifeZone) -> None:
        pipeline = self._pipeline(zone)
        read_file, zone.is_file_new = zone.is_file_new, False
        zone.is_publication_wanted, zone.retry_at, zone.error = False, None, None
        try:
            is_published = pipeline.advance(read_file=read_file)
        except (PipelineError, OSError) as error:
            zone.error, zone.retry_at = str(error), self.clock.now() + _RETRY
            if isinstance(error, VersionRejected) or not self.has_trouble:
                raise
            return
        zone.history.record(pipeline.state.published, self.clock.true)
        if is_published and not self.timetable(zone).is_at_rest(pipeline.state.published):
            zone.wake_at = self.clock.now()

    def _step(self, zone: LifeZone) -> None:
        timetable = self.timetable(zone)
        report = timetable.step(self._pipeline(zone).state.published)
        if report is None:
            zone.wake_at = self.clock.now() + timetable.retry_seconds
        else:
            self._take(report)

    def _take(self, report: StepReport) -> None:
        zone = self._find(report.zone.name)
        zone.wake_at = report.look_again_at
        assert report.look_again_at > self.clock.now(), "it looks again at once"
        self._plan_probe(zone)
        zone.is_publication_wanted |= report.is_rearranged
        assert report.plan.sentence.endswith("."), report.plan.sentence
        assert json.dumps(describe_plan(report.plan))

    # Parents

    def _plan_probe(self, zone: LifeZone) -> None:
        timetable = self.timetable(zone)
        assert timetable.plan is not None
        probed_at, is_found = timetable.find_probe()
        zone.probe_at = ProbeTimes(PROBE_INTERVAL, WAITING_INTERVAL, 0.0).find_next(
            timetable.plan.outcome, probed_at, self.clock.now(), 0.5, is_found=is_found
        )

    def _ask(self, zone: LifeZone) -> None:
        timetable = self.timetable(zone)
        problem = None if zone.is_parent_known else "no name servers"
        answers = [self._answer(zone, server) for server in zone.servers] if zone.is_parent_known else []
        is_new = timetable.take_in(answers, problem)
        zone.probe_at = self.clock.now() + PROBE_INTERVAL
        plan = timetable.plan
        awaits = plan is not None and any(
            key.ds.is_moving and key.ds.settles_at is None for key in plan.outcome.state.keys
        )
        if is_new or plan is None or awaits:
            zone.wake_at = self.clock.now()
        else:
            self._plan_probe(zone)

    def _answer(self, zone: LifeZone, server: ParentServer) -> ServerAnswer:
        if server.is_silent:
            return ServerAnswer(server.name, self.clock.now(), None, error="it does not answer")
        keys = server.former if server.is_stale else server.shown
        ds = frozenset(rdata for key in keys for rdata in make_ds_set(zone.origin, key))
        ds |= {_STRANGER} if server.has_stranger else frozenset()
        return ServerAnswer(server.name, self.clock.now(), ds, zone.ds_ttl if ds else 0)

    def _show(self, zone: LifeZone, server: ParentServer, keys: frozenset[DnsKey], at: int) -> None:
        if keys != server.shown:
            server.former, server.shown = server.shown, keys
        zone.history.record_ds(server.name, (key.rdata for key in keys), zone.ds_ttl, PARENT_PROPAGATION, at)
        zone.probe_at = self.clock.now()

    def _run_parents(self) -> None:
        for zone in self.zones:
            due = sorted(request for request in zone.requests if request[0] <= self.clock.true)
            zone.requests = [request for request in zone.requests if request[0] > self.clock.true]
            for at, lags in due:
                wanted = self.find_wanted(zone)
                for server, lag in zip(zone.servers, lags, strict=True):
                    begin = max([at + lag, *(moment for moment, _ in server.coming)])
                    server.coming.append((begin, wanted))
            for server in zone.servers:
                for at, keys in [change for change in server.coming if change[0] <= self.clock.true]:
                    self._show(zone, server, keys, at)
                server.coming = [change for change in server.coming if change[0] > self.clock.true]

    def find_wanted(self, zone: LifeZone) -> frozenset[DnsKey]:
        """Give the keys that the parent shall have DS records of, as CDS say or as an operator is told."""
        shown = frozenset[DnsKey]().union(*(server.shown for server in zone.servers))
        if zone.is_following:
            published = self._pipeline(zone).state.published
            if published is None or rt.CDNSKEY not in (apex := published.names[zone.origin]):
                return shown
            rdatas = apex[rt.CDNSKEY].rdatas
            keys = apex[rt.DNSKEY].rdatas
            # RFC 7344, section 4.1: it acts on nothing that would break the zone
            return frozenset(DnsKey.from_rdata(rdata) for rdata in rdatas if rdata in keys)
        state = self.read_state(zone)
        if state is None:
            return shown
        names = {key.name for key in state.keys if key.ds.is_wanted}
        return frozenset(key.dnskey for key in self.list_keys(zone.origin) if key.name in names)

    def find_former(self, zone: LifeZone) -> frozenset[DnsKey]:
        """Give the keys whose DS records were not yet seen to be gone, so that they may come back."""
        state = self.read_state(zone)
        names = {
            key.name
            for key in (() if state is None else state.keys)
            if not key.ds.is_gone and (key.ds.is_wanted or key.ds.settles_at is None)
        }
        return frozenset(key.dnskey for key in self.list_keys(zone.origin) if key.name in names)

    def show_now(self, zone: LifeZone, numbers: Sequence[int], keys: frozenset[DnsKey]) -> None:
        """Let servers of the parent show something from now on."""
        for number in numbers:
            self._show(zone, zone.servers[number], keys, self.clock.true)

    # What happens, and what must hold

    def live(self, *, kill_at: int = 0, lock_at: int = 0) -> "_Disturbance":
        """Give what lets something happen while the process is killed, or the database locked once."""
        return _Disturbance(self, kill_at, lock_at)

    def command(self, act: str, zone: LifeZone, *arguments: object) -> None:
        """Give a command of the operator, which may be refused."""
        with suppress(RolloverRefused):
            getattr(self.workshop.rollovers, act)(zone.text, *arguments)

    def check(self) -> None:
        """Check what must hold at any time."""
        now = self.clock.true
        for zone in self.zones:
            failures = zone.history.find_failures(now)
            if self.is_excused or self.trouble_seconds > _EXPIRY_EXCUSE:
                failures = [failure for failure in failures if not failure.is_expiry]
            failures = [failure for failure in failures if failure.end > self._checked_until]
            assert not failures or self.are_failures_excused, (failures[:3], self.describe(zone))
            self.read_state(zone)
        self._checked_until = now

    def describe(self, zone: LifeZone) -> str:
        """Say where a zone stands, for people."""
        plan = self.timetable(zone).plan
        return f"{zone.text}: {zone.error}; {None if plan is None else plan.sentence}"

    def come_to_rest(self, policy: Options) -> None:
        """Put everything right that is in the way, let the parents do what they shall, and wait."""
        if self.is_sealed:
            self.unseal()
        self.enable()
        self.policies = {zone.text: dict(policy) for zone in self.zones}
        self.restart()
        self.accept_clock()
        for zone in self.zones:
            zone.is_parent_known, zone.is_following = True, False
            for server in zone.servers:
                server.is_silent = server.is_stale = server.has_stranger = False
            zone.write()
        self.settle()
        for _ in range(60):
            for zone in self.zones:
                zone.requests.append((self.clock.true, (0, 0)))
            self.settle()
            if all(self.is_at_rest(zone) for zone in self.zones):
                return
            self.pass_time(DAY)
        raise NoRest([self.describe(zone) for zone in self.zones])

    def is_at_rest(self, zone: LifeZone) -> bool:
        """Say if nothing is under way."""
        plan = self.timetable(zone).plan
        return (
            plan is not None
            and "nothing is due" in plan.sentence
            and not any(key.ds.is_moving for key in plan.outcome.state.keys)
        )

    def check_rest(self) -> None:
        """Check that nothing is left over of what was."""
        for zone in self.zones:
            state = self.read_state(zone)
            assert state is not None
            keys = self.list_keys(zone.origin)
            assert sorted(key.name or "" for key in keys) == sorted(key.name for key in state.keys)
            assert [key.role for key in keys] in (["csk"], ["ksk", "zsk"], ["zsk", "ksk"])
            published = self._pipeline(zone).state.published
            assert published is not None
            served = published.names[zone.origin][rt.DNSKEY].rdatas
            assert set(served) == {key.dnskey.rdata for key in keys}
            signers = {
                signature[16:18]
                for rrset in published.iterate_rrsets()
                for signature in rrset.signatures
                if rrset.type not in (rt.DNSKEY, rt.CDS, rt.CDNSKEY)
            }
            assert len(signers) == 1
        with self.custody.engine.connect() as connection:
            table = zone_signing_keys
            kept = connection.execute(
                select(table.c.id).where(table.c.state == "retired", table.c.wrapped.is_not(None))
            )
            assert kept.all() == [], "private parts of ZSKs that were given up"


class _Disturbance:
    """Lets something happen while the process is killed, or the database is locked once."""

    def __init__(self, life: RolloverLife, kill_at: int, lock_at: int) -> None:
        self._life = life
        self._points = kill_at, lock_at

    def __enter__(self) -> None:
        kill_at, lock_at = self._points
        self._life.points.arm(kill_at=kill_at, lock_at=lock_at)
        self._life.is_disturbed = bool(lock_at)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        life = self._life
        life.points.arm()
        life.is_disturbed = False
        if kind is Killed:
            life.restart()
            life.settle()
            return True
        return False


@contextmanager
def _opening_quickly() -> Generator[None]:
    """Leave out what takes most of the time when the database is opened, and finds nothing here."""
    with patch.object(custody_module, "run_self_test"), patch.object(custody_module, "upgrade"):
        yield


def _ignore(*_: object) -> None:
    """Take no note."""


def _provide_template(count: int) -> _Template:
    if count not in _templates:
        life = RolloverLife(count, {"zsk_period": "never"}, is_settled=False)
        life.come_to_rest({"zsk_period": "never"})
        life.close()
        servers = {zone.text: zone.servers[0].shown for zone in life.zones}
        _templates[count] = _Template(life.folder, life.clock.true, servers)
    return _templates[count]
