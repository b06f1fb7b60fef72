"""Asks all name servers of the parent for a zone's DS set."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import trio

from signerd.delegation.parent_view import ServerAnswer
from signerd.delegation.special_names import is_special
from signerd.delegation.stub_resolver import (
    EDNS_OCTETS,
    NoAnswer,
    Patience,
    ServerAddress,
    StubResolver,
    exchange,
)
from signerd.dns.name import Name, format_name, read_labels

_MOST_SERVERS: Final = (
    64  # a parent with more is not asked to the end: the answers would be those of the others
)


class ParentNotFound(Exception):
    """The name servers of the parent cannot be found; the message says why."""

    code = "delegation.parent_not_found"


class NoPublicParent(ParentNotFound):
    """The zone has a name that the public DNS delegates to nobody, and nobody is configured to be asked."""

    code = "delegation.no_public_parent"


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How the parent is found and asked.

    Attributes:
        resolvers: Asked for the servers of the parent; those of the system if empty.
        parents: Servers that are asked instead of searching, by name of the zone or of its parent in
            presentation form with the final dot; the longest name that fits wins.
        timeout: Seconds for each question and server, UDP and TCP each.
        attempts: How often a server is asked that does not answer.
    """

    resolvers: tuple[ServerAddress, ...] = ()
    parents: Mapping[str, tuple[ServerAddress, ...]] = field(
        default_factory=dict[str, "tuple[ServerAddress, ...]"]
    )
    timeout: float = 3.0
    attempts: int = 2


class ParentProbe:
    """Finds the servers of parents and asks them. For a Trio task."""

    def __init__(self, options: ProbeOptions, now: Callable[[], int]) -> None:
        """Do nothing yet.

        Args:
            options: How.
            now: The wall clock.
        """
        self._options = options
        self._now = now
        self._patience = Patience(options.timeout, options.attempts)

    async def ask(self, zone: Name) -> Sequence[ServerAnswer]:
        """Ask every server of the parent; one answer for each, whatever came of it.

        Raises:
            ParentNotFound: It is not known whom to ask.
        """
        servers = await self.find_servers(zone)
        answers: dict[ServerAddress, ServerAnswer] = {}

        async def ask_one(server: ServerAddress) -> None:
            answers[server] = await self._ask_server(zone, server)

        async with trio.open_nursery() as nursery:
            for server in servers:
                nursery.start_soon(ask_one, server)
        return [answers[server] for server in servers]

    async def find_servers(self, zone: Name) -> Sequence[ServerAddress]:
        """Give the servers of the parent: those of the options, or those that the resolver knows.

        Raises:
            ParentNotFound: There are none.
        """
        if len(read_labels(zone)) == 0:
            raise ParentNotFound("the root zone has no parent")
        if fixed := self._find_fixed(zone):
            return fixed
        if not self._options.resolvers and is_special(zone):
            raise NoPublicParent("its name is special: the public DNS delegates it to nobody (RFC 6761)")
        resolver = StubResolver(self._options.resolvers, self._patience)
        problem = "no zone above it has name servers"
        for parent in _list_ancestors(zone):
            try:
                hosts = await self._resolve(resolver, parent, dns.rdatatype.NS)
            except NoAnswer as error:
                # what is above is not the parent if what is below could not be asked
                raise ParentNotFound(f"the name servers of {parent} were not found: {error}") from error
            if not hosts:
                continue
            servers = await self._find_addresses(resolver, hosts)
            if servers:
                return servers
            problem = f"no name server of {parent} has an address"
            break
        raise ParentNotFound(problem)

    def _find_fixed(self, zone: Name) -> Sequence[ServerAddress]:
        for name in (format_name(zone), *(ancestor.to_text() for ancestor in _list_ancestors(zone))):
            if servers := self._options.parents.get(name):
                return list(dict.fromkeys(servers))
        return []

    async def _find_addresses(self, resolver: StubResolver, hosts: Sequence[str]) -> Sequence[ServerAddress]:
        """Give the addresses of all hosts; if those of one are not found, that is an error."""
        found: list[ServerAddress] = []
        for host in hosts:
            name = dns.name.from_text(host)
            addresses: list[str] = []
            for rdatatype in (dns.rdatatype.A, dns.rdatatype.AAAA):
                try:
                    addresses += await self._resolve(resolver, name, rdatatype)
                except NoAnswer as error:
                    raise ParentNotFound(f"the address of {host} was not found: {error}") from error
            found += [ServerAddress(address) for address in addresses]
        servers = list(dict.fromkeys(found))
        if len(servers) > _MOST_SERVERS:
            raise ParentNotFound(
                f"the parent has {len(servers)} addresses; at most {_MOST_SERVERS} are asked"
            )
        return servers

    async def _resolve(
        self, resolver: StubResolver, name: dns.name.Name, rdatatype: dns.rdatatype.RdataType
    ) -> list[str]:
        answer = await resolver.ask(name, rdatatype)
        # the resolver follows an alias of a host; NS records count for the name itself only
        return [
            rdata.to_text()
            for rrset in answer.answer
            if rrset.rdtype == rdatatype and (rdatatype != dns.rdatatype.NS or rrset.name == name)
            for rdata in cast("Iterable[dns.rdata.Rdata]", rrset)
        ]

    async def _ask_server(self, zone: Name, server: ServerAddress) -> ServerAnswer:
        name = dns.name.from_text(format_name(zone))
        query = dns.message.make_query(
            name, dns.rdatatype.DS, use_edns=0, payload=EDNS_OCTETS, flags=0
        )  # no recursion: what the server itself knows is wanted
        try:
            answer = await exchange(query, server, self._patience)
        except NoAnswer as error:
            return ServerAnswer(str(server), self._now(), None, error=str(error))
        return _read_answer(answer, name, str(server), self._now())


def _read_answer(answer: dns.message.Message, zone: dns.name.Name, server: str, now: int) -> ServerAnswer:
    code = answer.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return ServerAnswer(server, now, None, error=f"answered {dns.rcode.to_text(code)}")
    if not answer.flags & dns.flags.AA:
        return ServerAnswer(server, now, None, error="is not authoritative for the parent")
    found = next(
        (rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.DS and rrset.name == zone), None
    )
    if found is None:
        soa = next((rrset for rrset in answer.authority if rrset.rdtype == dns.rdatatype.SOA), None)
        if soa is not None and soa.name == zone:
            # the child's side of the cut has no DS (RFC 4035, section 3.1.4.1) and says nothing of the parent
            return ServerAnswer(server, now, None, error="answered for the zone itself, not for its parent")
        return ServerAnswer(server, now, frozenset())
    return ServerAnswer(
        server,
        now,
        frozenset(rdata.to_digestable() for rdata in cast("Iterable[dns.rdata.Rdata]", found)),
        found.ttl,
    )


def _list_ancestors(zone: Name) -> list[dns.name.Name]:
    """List the names above a zone, the nearest first, the root last."""
    name = dns.name.from_text(format_name(zone))
    ancestors: list[dns.name.Name] = []
    while name != dns.name.root:
        name = name.parent()
        ancestors.append(name)
    return ancestors
