"""Signals to parents (RFC 9615) of the zones in service: what each zone gets added, kept up to date.

Blocks: for worker threads. The daemon has it look again when a version was published or a zone came or went.
"""

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from signerd.config.policy import Policy
from signerd.delegation.bootstrap_signal import SignalPlan, Signals, plan_signals
from signerd.dns.name import Name
from signerd.dns.zone import Zone
from signerd.dnssec.signed_zone import NO_ADDITIONS
from signerd.zones.zone_list import Source, ZoneEntry, format_zone_name

logger = logging.getLogger(__name__)

OF_API = "is kept over the API, and the data of such zones is their owners' alone"


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """A zone and its version in service, if there is one."""

    entry: ZoneEntry
    published: Zone | None


class SignalDesk:
    """Knows what is added to each zone."""

    def __init__(
        self,
        policies: Mapping[str, Policy],
        list_served: Callable[[], Sequence[ServedVersion]],
        list_delegated: Callable[[], Collection[Name]],
    ) -> None:
        """Do nothing yet.

        Args:
            policies: Of the configuration, by name.
            list_served: Lists the zones in service.
            list_delegated: Lists zones that are known to have a DS at their parent: they need no signals.
        """
        self._signalling = frozenset(name for name, policy in policies.items() if policy.signal)
        self._list_served = list_served
        self._list_delegated = list_delegated
        self._lock = threading.Lock()
        self._plan: SignalPlan | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether any zone may have signals."""
        return bool(self._signalling)

    def find(self, host: Name) -> Signals:
        """Give what is to be added to a zone, as of the last look; the first call looks."""
        if not self.is_wanted:
            return NO_ADDITIONS
        if self._plan is None:
            self.look()
        assert self._plan is not None  # noqa: S101  # `look` has made one
        return self._plan.by_host.get(host, NO_ADDITIONS)

    def explain(self, child: Name) -> Sequence[str]:
        """Say why a zone has no signal beneath the name of a name server, one sentence each."""
        return self._plan.problems.get(child, ()) if self._plan is not None else ()

    def look(self) -> Collection[Name]:
        """Work it out anew; gives the zones that get something else now, to be signed anew."""
        with self._lock:
            before = self._plan or SignalPlan()
            self._plan = plan = self._make_plan(before)
        for child, problems in plan.problems.items():
            if problems != before.problems.get(child):
                for problem in problems:
                    logger.warning("zone %s: %s", format_zone_name(child), problem)
        return [
            host
            for host in before.by_host.keys() | plan.by_host.keys()
            if before.by_host.get(host) is not plan.by_host.get(host)
        ]

    def _make_plan(self, before: SignalPlan) -> SignalPlan:
        if not self.is_wanted:
            return SignalPlan()
        zones = self._list_served()
        entries = {zone.entry.name: zone.entry for zone in zones}
        served = {zone.entry.name: zone.published for zone in zones}
        delegated = frozenset(self._list_delegated())
        children = [
            published
            for name, published in served.items()
            if published is not None and entries[name].policy in self._signalling and name not in delegated
        ]

        def refuse(host: Name) -> str | None:
            return OF_API if entries[host].source is Source.API else None

        plan = plan_signals(children, served, refuse)
        # What did not change stays the same object, so that comparing costs nothing.
        by_host = {
            host: old if (old := before.by_host.get(host)) is not None and old == signals else signals
            for host, signals in plan.by_host.items()
        }
        return SignalPlan(by_host, plan.problems, plan.names)
