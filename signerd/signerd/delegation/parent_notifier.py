"""Tells the parent of a zone that its CDS and CDNSKEY changed: NOTIFY(CDS), RFC 9859."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdatatype

from signerd.delegation.dsync import DSYNC, Endpoint, make_first_name, make_next_name, read_endpoint
from signerd.delegation.special_names import is_special
from signerd.delegation.stub_resolver import (
    NoAnswer,
    Patience,
    ServerAddress,
    StubResolver,
    exchange,
)
from signerd.dns.name import Name, fold_case, format_name

_DSYNC_TYPE: Final = dns.rdatatype.RdataType.make(DSYNC)
_MOST_LOOKUPS: Final = 4  # the ways of RFC 9859 need three at most; names in answers must not make it more
_MOST_ENDPOINTS: Final = 8  # one that answers is enough

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NoticeResult(StrEnum):
    """What came of it."""

    TAKEN = "taken"  # an endpoint answered NOERROR
    REFUSED = "refused"  # an endpoint answered something else
    NO_ENDPOINT = "no-endpoint"  # the parent takes no notifications
    UNREACHED = "unreached"  # neither is known: worth another try


@dataclass(frozen=True, slots=True)
class NoticeOutcome:
    """What came of one attempt.

    Attributes:
        result: In a word.
        detail: What was answered, or why nothing was; for people.
        endpoint: Host and port, or what else is known of it; empty if there is none.
        is_validated: Whether the resolver validated the DSYNC records.
    """

    result: NoticeResult
    detail: str
    endpoint: str = ""
    is_validated: bool = False

    @property
    def is_final(self) -> bool:
        """Whether another attempt is useless."""
        return self.result is not NoticeResult.UNREACHED


@dataclass(frozen=True, slots=True)
class _Found:
    endpoints: Sequence[Endpoint]
    is_validated: bool


class ParentNotifier:
    """Finds the endpoints of parents and notifies them. For a Trio task."""

    def __init__(
        self, resolvers: Sequence[ServerAddress], networks: Sequence[Network], patience: Patience
    ) -> None:
        """Do nothing yet.

        Args:
            resolvers: Asked for DSYNC records and addresses; those of the system if empty.
            networks: Endpoints may be in these, besides in the public address space: what somebody's parent
                zone says shall not make this server talk to the network that it stands in.
            patience: With each resolver and endpoint.
        """
        self._has_own_resolvers = bool(resolvers)
        self._resolver = StubResolver(resolvers, patience)
        self._networks = networks
        self._patience = patience

    async def notify(self, zone: Name) -> NoticeOutcome:
        """Notify one endpoint of the parent, the first that answers; one attempt."""
        if not self._has_own_resolvers and is_special(zone):
            return NoticeOutcome(NoticeResult.NO_ENDPOINT, "the public DNS delegates its name to nobody")
        try:
            found = await self._find_endpoints(zone)
        except NoAnswer as error:
            return NoticeOutcome(NoticeResult.UNREACHED, f"its DSYNC records were not found out: {error}")
        if not found.endpoints:
            return NoticeOutcome(NoticeResult.NO_ENDPOINT, "the parent takes no notifications")
        outcome = NoticeOutcome(NoticeResult.UNREACHED, "no endpoint has an address", "", found.is_validated)
        for endpoint in found.endpoints[:_MOST_ENDPOINTS]:
            outcome = await self._notify_endpoint(zone, endpoint, is_validated=found.is_validated)
            if outcome.is_final:
                return outcome
        return outcome

    async def _find_endpoints(self, zone: Name) -> _Found:
        """Follow RFC 9859, section 4.1."""
        name = make_first_name(zone)
        for _ in range(_MOST_LOOKUPS):
            if name is None:
                break
            answer = await self._resolver.ask(dns.name.from_text(format_name(name)), _DSYNC_TYPE)
            records = [
                rdata.to_wire() or b""
                for rrset in answer.answer
                if rrset.rdtype == _DSYNC_TYPE
                for rdata in cast("Iterable[dns.rdata.Rdata]", rrset)
            ]
            if records:
                endpoints = [found for rdata in sorted(records) if (found := read_endpoint(rdata))]
                return _Found(endpoints, bool(answer.flags & dns.flags.AD))
            soa = next((rrset for rrset in answer.authority if rrset.rdtype == dns.rdatatype.SOA), None)
            if soa is None:
                raise NoAnswer(f"the answer for {format_name(name)} names no zone")
            name = make_next_name(zone, name, fold_case(soa.name.to_wire() or b""))
        return _Found((), is_validated=False)

    async def _notify_endpoint(self, zone: Name, endpoint: Endpoint, *, is_validated: bool) -> NoticeOutcome:
        text = f"{format_name(endpoint.target)} port {endpoint.port}"
        try:
            hosts = await self._resolver.find_addresses(dns.name.from_text(format_name(endpoint.target)))
        except NoAnswer as error:
            detail = f"the address of {text} was not found: {error}"
            return NoticeOutcome(NoticeResult.UNREACHED, detail, text, is_validated)
        allowed = [host for host in hosts if self._is_allowed(host)]
        if not allowed:
            reason = f"not in the public address space: {', '.join(hosts)}" if hosts else "there is none"
            return NoticeOutcome(
                NoticeResult.UNREACHED, f"no address of {text} is used: {reason}", text, is_validated
            )
        problem = ""
        for host in allowed:
            server = ServerAddress(host, endpoint.port)
            where = f"{text} ({server})"
            try:
                answer = await exchange(_make_notify(zone), server, self._patience)
            except NoAnswer as error:
                problem = f"{where}: {error}"
                continue
            code = answer.rcode()
            result = NoticeResult.TAKEN if code == dns.rcode.NOERROR else NoticeResult.REFUSED
            return NoticeOutcome(result, f"answered {dns.rcode.to_text(code)}", where, is_validated)
        return NoticeOutcome(NoticeResult.UNREACHED, problem, text, is_validated)

    def _is_allowed(self, host: str) -> bool:
        address = ipaddress.ip_address(host)
        is_public = address.is_global and not address.is_multicast
        return is_public or any(address in network for network in self._networks)


def _make_notify(zone: Name) -> dns.message.Message:
    """Make the message: as for the SOA (RFC 1996), but about the CDS RRset (RFC 9859, section 4.2)."""
    message = dns.message.make_query(
        dns.name.from_text(format_name(zone)), dns.rdatatype.CDS, flags=dns.flags.AA
    )
    message.set_opcode(dns.opcode.NOTIFY)
    return message
