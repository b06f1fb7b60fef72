"""Joins DNSSEC of the zones of the API to the pipelines that sign them and to the database."""

import logging
import random
from collections.abc import Callable, Mapping

from sqlalchemy.exc import SQLAlchemyError

from signerd.config.options import Dnssec
from signerd.custody import CustodyHolder, CustodyUnavailable
from signerd.delegation.delegation_state import DelegationState, ProbePlan
from signerd.delegation.parent_notifier import ParentNotifier
from signerd.delegation.parent_probe import ParentProbe, ProbeOptions
from signerd.delegation.probe_pool import ProbePool
from signerd.delegation.stub_resolver import Patience, ServerAddress
from signerd.dns.name import Name
from signerd.dnssec.key import DnsKey
from signerd.rollover.file_zones import FileZoneKeys, NoQuestions, ParentQuestions
from signerd.rollover.probe_times import ProbeTimes
from signerd.zone_dnssec import settings
from signerd.zone_dnssec.delegation_care import DelegationCare
from signerd.zone_dnssec.management import DnssecManagement, Order
from signerd.zone_dnssec.settings import DnssecSetting
from signerd.zones.pipeline import SigningImpossible
from signerd.zones.zone_list import Source, ZoneEntry, parse_zone_name
from signerd_kms.errors import KmsError

logger = logging.getLogger(__name__)


class DnssecDesk:
    """Which zones are signed, and what is told of them. Blocks: for worker threads."""

    def __init__(
        self,
        holder: CustodyHolder,
        options: Dnssec,
        on_change: Callable[[Name], None],
        on_delegation: Callable[[str, DelegationState | None], None] = lambda _zone, _state: None,
    ) -> None:
        """Do nothing yet.

        Args:
            holder: Opens the database and the KMS.
            options: As configured.
            on_change: Told, in worker threads, the apex of a zone that is to be signed otherwise.
            on_delegation: Told, in worker threads, how a zone stands at its parent; None at the end.
        """
        self._holder = holder
        self._options = options
        self._on_change = on_change
        self._on_delegation = on_delegation
        self.questions: ParentQuestions = NoQuestions()

    def open(self) -> DnssecManagement:
        """Give what manages DNSSEC.

        Raises:
            CustodyUnavailable: The database is not open.
        """
        custody = self._holder.custody
        options = self._options
        plan = ProbePlan(options.probe_interval, options.waiting_probe_interval, options.probe_jitter)
        return DnssecManagement(
            custody.store,
            custody.kms,
            Order(options.order.value),
            plan,
            random.random,
            self._on_change,
            self._on_delegation,
        )

    def open_file_zones(self) -> FileZoneKeys:
        """Give what says how DNSSEC of zones of files stands.

        Raises:
            CustodyUnavailable: The database is not open.
        """
        custody = self._holder.custody
        return FileZoneKeys(custody.engine, custody.store.now, custody.platform.region, self.questions)

    def find_management(self) -> DnssecManagement | None:
        """Give what manages DNSSEC; None while the database is not open."""
        try:
            return self.open()
        except CustodyUnavailable:
            return None

    @property
    def probe_times(self) -> ProbeTimes:
        """How often the parents of zones of files are asked."""
        options = self._options
        return ProbeTimes(options.probe_interval, options.waiting_probe_interval, options.probe_jitter)

    def make_probe(self, now: Callable[[], int]) -> ProbePool:
        """Make what asks parents, of many zones at a time."""
        options = self._options
        probe = ParentProbe(
            ProbeOptions(
                tuple(ServerAddress(address.host, address.port) for address in options.resolvers),
                {
                    name: tuple(ServerAddress(address.host, address.port) for address in servers)
                    for name, servers in options.parents.items()
                },
                options.probe_timeout,
                options.probe_attempts,
            ),
            now,
        )
        return ProbePool(probe)

    def make_care(self, now: Callable[[], int]) -> DelegationCare:
        """Make the job that asks the parents of zones of the API."""
        interval = min(1.0, self._options.waiting_probe_interval)
        return DelegationCare(self.find_management, self.make_probe(now), interval)

    def make_notifier(self) -> ParentNotifier:
        """Make what tells parents of changed CDS records."""
        options = self._options
        resolvers = [ServerAddress(address.host, address.port) for address in options.resolvers]
        patience = Patience(options.probe_timeout, options.probe_attempts)
        return ParentNotifier(resolvers, options.notify_networks, patience)

    def find_delegated(self) -> Mapping[Name, bool]:
        """Say of zones of the API if they have a DS at their parent; of those that it is known of."""
        try:
            with self._holder.custody.store.read() as connection:
                found = settings.read_delegations(connection)
        except (CustodyUnavailable, KmsError, SQLAlchemyError) as error:
            logger.warning("it is not known which zones have a DS: %s", error)
            return {}
        return {parse_zone_name(text): is_delegated for text, is_delegated in found.items()}

    # For the timetables of zones of the API

    def find(self, entry: ZoneEntry) -> DnssecSetting | None:
        """Give what the owner of a zone of the API decided; None if nothing. Raises CustodyUnavailable."""
        setting = self.open().find_setting(entry.text)
        return setting if setting is not None and setting.zone.identity == entry.identity else None

    def note_moments(self, setting: DnssecSetting, ds_not_before: int | None, settles_at: int | None) -> None:
        """Note when the DS may be at the parent, and when old keys or signatures leave the zone."""
        self.open().note_moments(setting, ds_not_before, settles_at)

    def hand_out(self, setting: DnssecSetting, key: str) -> None:
        """Have the DS of another KSK given to the parent from now on."""
        self.open().hand_out(setting, key)

    def note_retired(self, setting: DnssecSetting, key: DnsKey) -> None:
        """Record that a KSK is given up."""
        self.open().note_retired(setting, key)

    def end(self, setting: DnssecSetting) -> None:
        """Note that a zone is to be unsigned: no cache has a DS of it."""
        self.open().end(setting)

    # For the pipelines

    def is_signed(self, entry: ZoneEntry) -> bool:
        """Say if the versions of a zone are to be signed: those of files always."""
        if entry.source is Source.FILE:
            return True
        try:
            return self.open().is_served_signed(entry.text)
        except (CustodyUnavailable, KmsError, SQLAlchemyError) as error:
            raise SigningImpossible(f"it is not known if zone {entry.text} is signed: {error}") from error

    def note_signed(self, entry: ZoneEntry, at: int) -> None:
        """Note that a version was signed."""
        try:
            self.open().note_signed(entry.text, at)
        except (CustodyUnavailable, KmsError, SQLAlchemyError) as error:
            logger.warning("zone %s: that it was signed is not noted: %s", entry.text, error)

    def note_failed(self, entry: ZoneEntry, reason: str, signatures_until: int | None) -> None:
        """Note that no version could be signed."""
        try:
            self.open().note_failed(entry.text, reason, signatures_until)
        except (CustodyUnavailable, KmsError, SQLAlchemyError) as error:
            logger.warning("zone %s: that it was not signed is not noted: %s", entry.text, error)
