"""The control process: builds the parts, owns their tasks, and says what it does."""

import errno
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import trio

from signerd.admin_server import list_certified, start_admin
from signerd.alarm_desk import AlarmDesk
from signerd.api_zones import ApiZones, FleetPublisher, make_served_zones
from signerd.clock import Clock, SystemClock
from signerd.config.options import Config, LogFormat
from signerd.config.state_directory import StateDirectory
from signerd.control.command_server import CommandServer
from signerd.control.line_server import listen_unix, serve_lines
from signerd.control.listen_address import ListenAddress, check_bindable, reserve_port
from signerd.control.responder_pool import ResponderPool, make_command
from signerd.custody import Acknowledged, CustodyHolder, CustodyUnavailable
from signerd.delegation.delegation_state import DelegationState
from signerd.dns.name import Name
from signerd.dns.zone import Zone
from signerd.dnssec_desk import DnssecDesk
from signerd.event_log import STORE_SECONDS, EventLog
from signerd.garbage import look_for_cycles_seldom
from signerd.key_care import KeyCare
from signerd.key_desk import KeyDesk
from signerd.log_output import set_up_logging
from signerd.parent_notice_care import NoticeParts, ParentNoticeCare
from signerd.platform_parts import make_admin_parts
from signerd.progress import TerminalProgress
from signerd.ready_key_care import ReadyKeyCare
from signerd.rollover.care import RolloverCare, ServedZone
from signerd.rollover.looked_after import LookedAfter
from signerd.server_figures import FiguresSource
from signerd.serving_lock import is_served
from signerd.signal_desk import ServedVersion, SignalDesk
from signerd.state_lock import StateLocked, lock_state
from signerd.status_report import ExpirationCache, StatusParts, list_unready, report_status
from signerd.stop_signals import STOP_SIGNALS, outlive_repetitions
from signerd.welcome import format_url, print_welcome
from signerd.zone_workshop import ZoneWorkshop
from signerd.zones.durable_file import replace_file
from signerd.zones.fleet import FleetOptions, ZoneFleet
from signerd.zones.keeper import ZoneKeeper
from signerd.zones.pipeline import Stage
from signerd.zones.zone_list import Source, ZoneEntry, format_zone_name, parse_zone_name
from signerd_kms.memory import harden_process

logger = logging.getLogger(__name__)

CUSTODY_RETRY_SECONDS = 5.0
AUDIT_SECONDS = 5.0  # how often it is looked if something of the audit log is due
TIDY_SECONDS = 3600.0
SIGNALS_SECONDS = 60.0  # how often it is looked which zones have got a DS, and need no signal to their parent
SIGNALS_REST_SECONDS = 0.5  # between two looks, however many zones change
SIGNALS_REST_FACTOR = 20  # or so many times what a look took: some seconds with ten thousand zones
CLOCK_MARK_SECONDS = 60.0  # how often the time is remembered, and looked at
WELCOME_SECONDS = 10.0  # how long the first words wait for the responders to have loaded everything
CONTROL_SOCKET_MODE = 0o600
RESPONDERS_SOCKET_MODE = 0o600
CHANGEABLE_BY_OTHERS = 0o022
OnStage = Callable[[Name, Stage], None]


class StartRefused(Exception):
    """The server cannot start; the message says what to do."""

    code = "daemon.start_refused"


def run(
    config: Config,
    *,
    clock: Clock | None = None,
    on_stage: OnStage | None = None,
    acknowledged: Acknowledged | None = None,
) -> None:
    """Run the server until it is told to stop (SIGTERM, SIGINT).

    Args:
        config: All options.
        acknowledged: What the operator says about the audit log.
        clock: The machine's clocks if None.
        on_stage: Called after each stage of each zone's pipeline was recorded.

    Raises:
        StartRefused: Another server uses the state directory, or an address cannot be bound.
    """
    set_up_logging(config.log.level, is_json=config.log.format is LogFormat.JSON)
    harden_process()
    look_for_cycles_seldom()
    state = StateDirectory(config.state_directory)
    _make_state_directory(state)
    try:
        with lock_state(state):
            daemon = Daemon(config, clock or SystemClock(), on_stage, acknowledged)
            try:
                trio.run(daemon.serve)
            finally:
                daemon.close()
    except StateLocked as error:
        raise StartRefused(str(error)) from error


def _make_state_directory(state: StateDirectory) -> None:
    try:
        state.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for directory in (state.run, state.published, state.rejected):
            directory.mkdir(exist_ok=True)
    except OSError as error:
        raise StartRefused(f"the state directory {state.path} cannot be made: {error.strerror}") from error
    if (mode := stat.S_IMODE(state.path.stat().st_mode)) & CHANGEABLE_BY_OTHERS:
        raise StartRefused(
            f"the state directory {state.path} has mode {mode:04o}: others could put another database or "
            "socket there; it must be 0700"
        )


def choose_addresses(config: Config, ports: Path, *, is_shared: bool) -> list[ListenAddress]:
    """Give the addresses to answer on, each checked, with port 0 replaced by a free port.

    Args:
        config: With the addresses asked for.
        ports: File that keeps the numbers chosen for port 0, so that a restart answers on the same ones.
        is_shared: Whether responders that an earlier control process left may be on the addresses.

    Raises:
        StartRefused: An address cannot be bound.
    """
    chosen: list[ListenAddress] = []
    earlier = ports.read_text().split() if ports.exists() else []
    for number, address in enumerate(config.listen):
        preferred = int(earlier[number]) if number < len(earlier) and earlier[number].isdigit() else None
        try:
            final = reserve_port(address, preferred, is_shared=is_shared)
            check_bindable(final, is_shared=is_shared)
        except OSError as error:
            if config.may_skip(address) and error.errno != errno.EADDRINUSE:
                logger.warning("no IPv6 on this machine: queries are not answered on %s", address)
                continue
            reason = error.strerror or str(error)
            if error.errno == errno.EADDRINUSE:
                reason += "; `ss -lnutp` shows by which program"
            raise StartRefused(f"cannot answer on {address}: {reason}") from error
        chosen.append(final)
    numbers = [str(address.port) for address in chosen]
    if numbers != earlier:
        try:
            replace_file(ports, [" ".join(numbers).encode()])
        except OSError as error:
            logger.warning("the ports chosen are not remembered for a restart: %s", error)
    return chosen


class Daemon:
    """The parts of one control process."""

    def __init__(
        self, config: Config, clock: Clock, on_stage: OnStage | None, acknowledged: Acknowledged | None = None
    ) -> None:
        """Build what needs no event loop."""
        self._config = config
        self._clock = clock
        self._state = StateDirectory(config.state_directory)
        self._started_at = clock.now()
        self._holder = CustodyHolder(config, clock, acknowledged)
        self._events = EventLog(lambda: self._holder.custody.engine, clock, on_stage)
        self._progress = TerminalProgress(clock)
        self._api_zones = ApiZones(config, self._holder)
        self._alarms = AlarmDesk(config, clock, self._holder)
        self._dnssec = DnssecDesk(self._holder, config.dnssec, self._wake_from_thread, self._note_delegation)
        self._workshop = ZoneWorkshop(
            config,
            clock,
            self._holder,
            self._events.record,
            self._progress.report,
            _count_cores(),
            dnssec=self._dnssec,
            api_zones=self._api_zones,
            signing_log=self._dnssec,
            wishes=self._dnssec,
            find_additions=lambda name: self._signals.find(name),
        )
        self._signals = SignalDesk(config.policies, self._list_served, self._find_delegated)
        self._signals_due = trio.Event()
        self._delegation_care = self._dnssec.make_care(clock.now)
        self._notices = self._make_notice_care() if config.dnssec.notify_parent else None
        self._rollover_care = RolloverCare(
            self._workshop.rollovers,
            self._dnssec.make_probe(clock.now),
            clock,
            self._dnssec.probe_times,
            self._list_looked_after,
            self._sign_anew,
            # With a new plan the parent may be known to have a DS.
            (self._alarms.note_plan, lambda plan: self._signals_due.set()),
        )
        self._workshop.find_published = self._find_published
        self._workshop.on_step = self._rollover_care.post
        self._dnssec.questions = self._rollover_care
        self._keys = KeyDesk(self._holder, self._workshop.forget_keys)
        self._expirations = ExpirationCache()
        self._addresses = choose_addresses(
            config, self._state.run / "ports", is_shared=is_served(self._state.published)
        )
        self._pool = ResponderPool(
            make_command(
                published=self._state.published,
                control_socket=self._state.responders_socket,
                addresses=self._addresses,
                options=_list_responder_options(config),
            ),
            config.responders.count or _count_cores(),
        )
        self._fleet = ZoneFleet(
            FleetOptions(
                list_entries=self._api_zones.list_entries,
                default_policy=config.zone_defaults.policy,
                published=self._state.published,
                watch_seconds=config.watch_interval,
                list_removals=self._api_zones.list_removals,
                confirm_removal=self._api_zones.confirm_removal,
                are_all_listed=self._api_zones.can_be_listed,
                on_ended=self._workshop.forget_zone_keys,
            ),
            self._make_keeper,
            self._announce_zones,
        )
        self._key_care = KeyCare(lambda: self._holder.custody.kms, clock, config.kms.care_interval)
        self._ready_key_care = ReadyKeyCare(
            lambda: self._holder.custody.kms.ready_keys, config.kms.ready_rsa_keys
        )
        self._admin: ListenAddress | None = None
        self._restored = trio.Event()
        self._work = trio.CapacityLimiter(_count_cores())
        self._checks = trio.CapacityLimiter(1)

    def _make_keeper(self, entry: ZoneEntry) -> ZoneKeeper:
        pipeline = self._workshop.make_pipeline(entry)
        return ZoneKeeper(pipeline, self._clock, self._work, self._announce_version, self._checks)

    def _wake_from_thread(self, name: Name) -> None:
        """Have a zone signed anew soon; called in a worker thread of the event loop."""
        trio.from_thread.run_sync(self._sign_anew, name)
        trio.from_thread.run_sync(self._rollover_care.demand, name)

    def _note_delegation(self, zone: str, state: DelegationState | None) -> None:
        """Take in how a zone of the API stands at its parent; called in a worker thread of the event loop."""
        self._alarms.note_delegation(zone, state)
        trio.from_thread.run_sync(self._rollover_care.demand, parse_zone_name(zone))

    def _sign_anew(self, name: Name) -> None:
        if (keeper := self._fleet.keepers.get(name)) is not None:
            # its rows have a new data version, which says why it is published anew
            keeper.wake(read_file=keeper.entry.source is Source.API)

    def _find_published(self, name: Name) -> Zone | None:
        keeper = self._fleet.keepers.get(name)
        return None if keeper is None else keeper.state.published

    def _list_looked_after(self) -> Mapping[Name, ServedZone]:
        return LookedAfter(self._fleet.keepers)

    async def _announce_version(self, keeper: ZoneKeeper) -> None:
        self._rollover_care.wake(keeper.entry.name)
        published = keeper.state.published
        assert published is not None  # noqa: S101  # it was just published
        await self._pool.announce({"zone": keeper.entry.text, "serial": published.serial})
        self._signals_due.set()
        if self._notices is not None:
            self._notices.note_version(published)

    def _make_notice_care(self) -> ParentNoticeCare:
        async def wait_until_served(zone: Name, serial: int) -> None:
            await self._pool.wait_until_serving({format_zone_name(zone): serial})

        return ParentNoticeCare(
            NoticeParts(
                lambda: self._holder.custody.engine,
                self._dnssec.make_notifier(),
                self._clock.now,
                wait_until_served,
                lambda: self._fleet.keepers.keys(),
                self._config.dnssec.notify_delay,
            )
        )

    async def _keep_parents_informed(self) -> None:
        if self._notices is None:
            return
        for served in self._list_served():
            if served.published is not None:
                self._notices.note_version(served.published)
        await self._notices.run()

    async def _announce_zones(self, message: dict[str, object]) -> None:
        await self._pool.announce(message)
        self._signals_due.set()
        if self._notices is not None:
            self._notices.wake()

    def _find_delegated(self) -> Mapping[Name, bool]:
        found = dict(self._dnssec.find_delegated())
        for plan in self._workshop.rollovers.list_plans():
            found[parse_zone_name(plan.zone)] = plan.is_delegated
        return found

    def _list_served(self) -> Sequence[ServedVersion]:
        keepers = list(self._fleet.keepers.values())
        return [ServedVersion(keeper.entry, keeper.state.published) for keeper in keepers]

    async def serve(self) -> None:
        """Run everything until told to stop. Responders come first: answering waits for nothing else."""
        known = await trio.to_thread.run_sync(self._fleet.prepare)
        responders = listen_unix(self._state.responders_socket, RESPONDERS_SOCKET_MODE)
        commands = listen_unix(self._state.control_socket, CONTROL_SOCKET_MODE)
        with outlive_repetitions(), self._progress:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stop_on_signal, nursery.cancel_scope)
                nursery.start_soon(serve_lines, responders, self._pool.serve_link)
                nursery.start_soon(self._pool.run)
                nursery.start_soon(self._retire_strangers)
                if await trio.to_thread.run_sync(self._holder.open):
                    known = await trio.to_thread.run_sync(self._fleet.list_known)  # now with those of the API
                await nursery.start(self._fleet.run, known)
                self._restored.set()
                await trio.to_thread.run_sync(self._alarms.restore)  # before anybody says what is wrong
                nursery.start_soon(
                    self._alarms.run, lambda: self._fleet.keepers, self._expirations, self._pool
                )
                nursery.start_soon(self._keep_custody)
                nursery.start_soon(self._tidy_keys)
                nursery.start_soon(self._keep_signals)
                nursery.start_soon(self._keep_parents_informed)
                nursery.start_soon(self._keep_clock_mark)
                nursery.start_soon(self._keep_events)
                nursery.start_soon(self._keep_audit)
                nursery.start_soon(self._key_care.run)
                nursery.start_soon(self._ready_key_care.run)
                nursery.start_soon(self._delegation_care.run)
                nursery.start_soon(self._rollover_care.run)
                nursery.start_soon(self._reload_on_hangup)
                nursery.start_soon(serve_lines, commands, self._make_command_server().serve)
                await self._start_admin(nursery)
                nursery.start_soon(self._welcome)
        await trio.to_thread.run_sync(self._events.store)
        for path in (self._state.control_socket, self._state.responders_socket):
            path.unlink(missing_ok=True)
        logger.info("stopped")

    def close(self) -> None:
        """Close the database, after all that uses it has ended."""
        self._holder.close()

    async def _start_admin(self, nursery: trio.Nursery) -> None:
        served = make_served_zones(self._config, FleetPublisher(self._fleet, self._config.policies))
        parts = make_admin_parts(
            self._holder,
            self._clock,
            self._config.kms,
            self,
            served,
            self._dnssec,
            list_certified(self._config.admin),
            lambda code, text: self._alarms.board.note_event(code, "", text),
        )
        figures = FiguresSource(
            self._clock,
            self._holder,
            lambda: self._fleet.keepers,
            self._expirations,
            lambda: self._status_parts().list_plans(),
            self._alarms.board.list_alarms,
            self._alarms.report_webhooks,
        )
        self._admin = await start_admin(nursery, parts, self._config.admin, figures.find)

    def list_reasons(self) -> Sequence[str]:
        """Say why the server is not ready, for the admin API."""
        return list_unready(self._status_parts(), self._expirations)

    def _status_parts(self) -> StatusParts:
        return StatusParts(
            self._clock,
            self._started_at,
            self._addresses,
            self._fleet.keepers,
            self._pool,
            self._workshop.kms_key_of,
            self._keys.describe,
            self._workshop.rollovers.list_plans,
            self._alarms.describe,
            self._list_more_notices,
            self._describe_parent_notice,
        )

    def report(self) -> dict[str, object]:
        """Describe everything; for a worker thread."""
        return report_status(self._status_parts(), self._expirations, str(self._admin or "") or None)

    def _list_more_notices(self, zone: Name) -> Sequence[str]:
        problem = None if self._notices is None else self._notices.explain(zone)
        return [*self._signals.explain(zone), *([] if problem is None else [problem])]

    def _describe_parent_notice(self, zone: Name) -> dict[str, object] | None:
        return None if self._notices is None else self._notices.describe(zone)

    def _make_command_server(self) -> CommandServer:
        async def accept_clock() -> dict[str, object]:
            reason = await trio.to_thread.run_sync(self._workshop.accept_clock)
            self._alarms.note_clock(await trio.to_thread.run_sync(self._workshop.mark_clock))
            go_on()
            return {"message": reason}

        def go_on() -> None:
            self._fleet.wake_all(read_file=False)
            self._rollover_care.wake_all()

        further = self._alarms.list_commands()
        return CommandServer(
            self._fleet,
            self.report,
            accept_clock,
            self._keys,
            go_on,
            rollovers=self._workshop.rollovers,
            further=further,
        )

    async def _stop_on_signal(self, scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
            async for number in signals:
                logger.info("stopping on %s", signal.Signals(number).name)
                await self._pool.say_goodbye()
                scope.cancel()
                return

    async def _reload_on_hangup(self) -> None:
        with trio.open_signal_receiver(signal.SIGHUP) as signals:
            async for _ in signals:
                logger.info("reading all zone files on SIGHUP")
                self._fleet.wake_all(read_file=True)

    async def _keep_custody(self) -> None:
        """Open the KMS as soon as that is possible, when it was not at the start."""
        while not await trio.to_thread.run_sync(self._holder.open):  # noqa: ASYNC110  # a file may come back
            await trio.sleep(CUSTODY_RETRY_SECONDS)
        await self._fleet.look()  # zones of the API are known from now on
        self._fleet.wake_all(read_file=False)
        self._rollover_care.wake_all()

    async def _tidy_keys(self) -> None:
        """Go on with a rotation that was interrupted, and destroy old keys once nothing needs them."""
        while True:
            if (message := await trio.to_thread.run_sync(self._keys.tidy)) is not None:
                logger.info("%s", message)
            await trio.sleep(TIDY_SECONDS)

    async def _keep_signals(self) -> None:
        """Have zones signed anew that get other signals to parents; looks after changes and now and then."""
        while self._signals.is_wanted:
            self._signals_due = trio.Event()
            started = trio.current_time()
            for host in await trio.to_thread.run_sync(self._signals.look):
                if (keeper := self._fleet.keepers.get(host)) is not None:
                    keeper.wake(read_file=False)
            took = trio.current_time() - started
            await trio.sleep(max(SIGNALS_REST_SECONDS, SIGNALS_REST_FACTOR * took))
            with trio.move_on_after(SIGNALS_SECONDS):
                await self._signals_due.wait()

    async def _keep_clock_mark(self) -> None:
        while True:
            self._alarms.note_clock(await trio.to_thread.run_sync(self._workshop.mark_clock))
            await trio.sleep(CLOCK_MARK_SECONDS)

    async def _keep_events(self) -> None:
        """Store also how far versions have come that take long, or that never come to an end."""
        while True:
            await trio.sleep(STORE_SECONDS)
            await trio.to_thread.run_sync(self._events.store)

    async def _keep_audit(self) -> None:
        """Sign checkpoints of the audit log and let old entries go, once there is a log."""
        while True:
            try:
                jobs = self._holder.custody.audit_jobs
            except CustodyUnavailable:
                pass  # the reason was logged
            else:
                await trio.to_thread.run_sync(jobs.run)
            await trio.sleep(AUDIT_SECONDS)

    async def _retire_strangers(self) -> None:
        """Let responders of an earlier control process go once the new ones have taken over."""
        await self._restored.wait()
        while True:
            await (
                self._pool.wait_for_stranger()
            )  # mostly there is none, and looking through all zones takes time
            serials = {
                keeper.entry.text: keeper.state.published.serial
                for keeper in self._fleet.keepers.values()
                if keeper.state.published is not None
            }
            await self._pool.wait_until_serving(serials)
            await self._pool.retire_strangers()
            await self._pool.wait_for_change()

    async def _welcome(self) -> None:
        """Tell the operator where to ask and what to do, once there is something to ask for."""
        keepers = self._fleet.keepers.values()
        for keeper in list(keepers):
            await keeper.started.wait()
        published = [keeper.state.published for keeper in keepers if keeper.state.published is not None]
        serials = {format_zone_name(zone.origin): zone.serial for zone in published}
        with trio.move_on_after(WELCOME_SECONDS):
            await self._pool.wait_until_serving(serials)
        failed = [keeper.entry.text for keeper in keepers if keeper.state.published is None]
        is_tls = self._config.admin.certificate is not None
        admin = None if self._admin is None else format_url(self._admin, is_tls=is_tls)
        try:
            print_welcome(sys.stdout, self._addresses, admin, self._state, published, failed)
        except OSError as error:  # a closed pipe, or a file on a full disk: no reason to stop serving
            logger.warning("the first words could not be printed: %s", error)


def _count_cores() -> int:
    return len(os.sched_getaffinity(0))


def _list_responder_options(config: Config) -> list[str]:
    responders, tcp = config.responders, config.tcp
    options = ["--udp-octets", str(responders.edns_udp_size)]
    options += ["--cache-octets", str(responders.answer_cache_size)]
    options += ["--log-level", config.log.level.upper(), "--log-format", config.log.format]
    options += ["--tcp-connections", str(tcp.max_connections)]
    options += ["--tcp-connections-per-client", str(tcp.max_connections_per_address)]
    options += ["--tcp-idle-seconds", str(tcp.idle_timeout)]
    for name, value in (
        ("--tcp-queries", tcp.query_limit),
        ("--identity", responders.identity),
        ("--version-text", responders.version),
        ("--nsid", responders.nsid),
    ):
        if value is not None:
            options += [name, str(value)]
    return options
