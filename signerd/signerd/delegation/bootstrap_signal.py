"""Signals to parents that have no DS of a zone yet (RFC 9615).

The CDS and CDNSKEY of a zone are published beneath the names of its name servers too, in zones that are
signed and delegated securely: there a parent finds them authenticated before the first DS is there. Only what
is served here is looked at: which zones get what is worked out from their published versions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from signerd.dns import rdatatype as rt
from signerd.dns.name import (
    BadName,
    Name,
    format_name,
    is_subdomain,
    iterate_ancestors,
    join_labels,
    read_labels,
)
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone

TYPE_LABEL: Final = b"_dsboot"  # RFC 9615, section 4.1
SIGNAL_LABEL: Final = b"_signal"  # RFC 9615, section 2
_DELETE_ALGORITHM: Final = 0  # RFC 8078, section 4

Signals = Mapping[Name, Mapping[int, RRset]]
"""What is added to one zone: owner to type to RRset."""


@dataclass(frozen=True, slots=True)
class SignalPlan:
    """Which signals are to be where.

    Attributes:
        by_host: Apex of the zone that gets them, to them.
        problems: Apex of a zone to why it has no signal beneath the name of a name server: one sentence each.
        names: Apex of a zone to the owners of its signals.
    """

    by_host: Mapping[Name, Signals] = field(default_factory=dict[Name, Signals])
    problems: Mapping[Name, Sequence[str]] = field(default_factory=dict[Name, Sequence[str]])
    names: Mapping[Name, Sequence[Name]] = field(default_factory=dict[Name, Sequence[Name]])


def make_signal_name(child: Name, server: Name) -> Name:
    """Give the name at which a name server's operator signals for a zone.

    Raises:
        BadName: It is longer than names can be.
    """
    return join_labels([TYPE_LABEL, *read_labels(child), SIGNAL_LABEL, *read_labels(server)])


def is_signal_name(name: Name) -> bool:
    """Say if a name looks like one of a signal."""
    return name[1:8] == TYPE_LABEL and name[0] == len(TYPE_LABEL)


def list_signals(zone: Zone) -> Signals:
    """Give the signals that a published version has, without their signatures."""
    found: dict[Name, Mapping[int, RRset]] = {}
    for name, types in zone.names.items():
        if is_signal_name(name):
            kept = {number: RRset(*types[number][:4]) for number in (rt.CDS, rt.CDNSKEY) if number in types}
            if kept:
                found[name] = kept
    return found


def plan_signals(
    children: Iterable[Zone], served: Mapping[Name, Zone | None], refuse: Callable[[Name], str | None]
) -> SignalPlan:
    """Work out which signals are to be where.

    Args:
        children: Published versions of the zones that are to be signalled.
        served: Published versions of all zones, by apex; None for one that has none yet.
        refuse: Says why nothing may be added to a zone; None if it may.
    """
    by_host: dict[Name, dict[Name, Mapping[int, RRset]]] = {}
    problems: dict[Name, list[str]] = {}
    names: dict[Name, list[Name]] = {}
    for child in children:
        records = _read_child_ds(child)
        if not records or _is_delegated_here(child.origin, served):
            continue
        servers = _list_servers(child)
        if not servers:
            problems[child.origin] = [
                "no signal to its parent: all of its name servers have names inside of it"
            ]
        for server in servers:
            try:
                host, owner = _find_place(child.origin, server, served, refuse)
            except _NotYet:
                continue
            except _NoPlace as error:
                reason = f"no signal to its parent beneath {format_name(server)}: {error}"
                problems.setdefault(child.origin, []).append(reason)
                continue
            signal = {number: RRset(owner, number, ttl, rdatas) for number, ttl, rdatas in records}
            by_host.setdefault(host, {})[owner] = signal
            names.setdefault(child.origin, []).append(owner)
    return SignalPlan(by_host, problems, names)


class _NoPlace(Exception):
    """There is no zone here that could have the signal; the message says why."""


class _NotYet(Exception):
    """The zone that gets the signal has no version yet."""


def _read_child_ds(zone: Zone) -> list[tuple[int, int, tuple[bytes, ...]]]:
    """Give type, TTL and RDATA of CDS and CDNSKEY; nothing if the parent is not asked for a DS."""
    apex = zone.names[zone.origin]
    if rt.DNSKEY not in apex or rt.CDS not in apex:
        return []
    if any(rdata[2] == _DELETE_ALGORITHM for rdata in apex[rt.CDS].rdatas):
        return []  # a zone that has no DS has none to be removed
    return [
        (number, apex[number].ttl, apex[number].rdatas) for number in (rt.CDS, rt.CDNSKEY) if number in apex
    ]


def _is_delegated_here(child: Name, served: Mapping[Name, Zone | None]) -> bool:
    """Say if the zone above is served here too, and has a DS."""
    above = _find_enclosing(child, served, including_itself=False)
    parent = None if above is None else served[above]
    return parent is not None and rt.DS in parent.names.get(child, {})


def _list_servers(zone: Zone) -> list[Name]:
    """Give the name servers beneath whose names there can be signals: those outside of the zone.

    RFC 9615, section 4.2: a name inside of it is not authenticated before the zone is delegated securely.
    """
    servers = {Name(rdata.lower()) for rdata in zone.names[zone.origin][rt.NS].rdatas}
    return sorted(server for server in servers if not is_subdomain(server, zone.origin))


def _find_place(
    child: Name, server: Name, served: Mapping[Name, Zone | None], refuse: Callable[[Name], str | None]
) -> tuple[Name, Name]:
    """Give the zone for a signal and the signal's name."""
    try:
        owner = make_signal_name(child, server)
    except BadName as error:
        raise _NoPlace(f"its name would be too long ({error})") from error
    host = _find_enclosing(owner, served, including_itself=True)
    if host is None or host == child:
        raise _NoPlace("the name is in no zone that is served here; who serves it has to publish the signal")
    zone, text = served[host], format_name(host)
    if zone is None:
        raise _NotYet
    if rt.DNSKEY not in zone.names[host]:
        raise _NoPlace(f"zone {text} is not signed")
    if (reason := refuse(host)) is not None:
        raise _NoPlace(f"zone {text} {reason}")
    for name in (owner, *iterate_ancestors(owner, host)):
        types = zone.names.get(name, {})
        if rt.DNAME in types or (rt.NS in types and name != host):
            raise _NoPlace(f"{format_name(name)} is delegated or redirected out of zone {text}")
    if rt.CNAME in zone.names.get(owner, {}):
        raise _NoPlace(f"{format_name(owner)} is an alias")
    if is_subdomain(server, host) and server not in zone.names:
        # A name beneath it would bring it into being, and take it from a wildcard that may answer for it.
        raise _NoPlace(f"zone {text} has no records of {format_name(server)}")
    return host, owner


def _find_enclosing(name: Name, served: Mapping[Name, Zone | None], *, including_itself: bool) -> Name | None:
    """Give the served zone that a name is in; without itself, the one above an apex."""
    if including_itself and name in served:
        return name
    return next((above for above in iterate_ancestors(name, Name(b"\x00")) if above in served), None)
