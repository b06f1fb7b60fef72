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
        find_delegated: Callable[[], Mapping[Name, bool]],
    ) -> None:
        """Do nothing yet.

        Args:
            policies: Of the configuration, by name.
            list_served: Lists the zones in service.
            find_delegated: Says of zones if they have a DS at their parent, so that they need no signals; as
                long as that is not known of a zone, as after a start, its signals stay as they are.
        """
        self._signalling = frozenset(name for name, policy in policies.items() if policy.signal)
        self._list_served = list_served
        self._find_delegated = find_delegated
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
        delegated = self._find_delegated()
        children = [
            published
            for name, published in served.items()
            if published is not None
            and entries[name].policy in self._signalling
            and not delegated.get(name, False)
        ]

        def refuse(host: Name) -> str | None:
            return OF_API if entries[host].source is Source.API else None

        plan = plan_signals(children, served, refuse)
        undecided = {
            owner for child, owners in plan.names.items() if child not in delegated for owner in owners
        }
        by_host: dict[Name, Signals] = {}
        for host, planned in plan.by_host.items():
            present = _list_owners(served[host])
            signals = {
                owner: types for owner, types in planned.items() if owner not in undecided or owner in present
            }
            old = before.by_host.get(host)
            if signals:  # what did not change stays the same object, so that comparing costs nothing
                by_host[host] = old if old is not None and old == signals else signals
        return SignalPlan(by_host, plan.problems, plan.names)


def _list_owners(zone: Zone | None) -> Collection[Name]:
    return () if zone is None else zone.names.keys()
