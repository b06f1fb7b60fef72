"""Questions to recursive resolvers, which find the rest of the DNS and, where they validate, say so."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.resolver

DNS_PORT: Final = 53
EDNS_OCTETS: Final = 1232


@dataclass(frozen=True, slots=True, order=True)
class ServerAddress:
    """Where a name server or a resolver answers."""

    host: str
    port: int = DNS_PORT

    def __str__(self) -> str:
        return f"{self.host}#{self.port}"


class NoAnswer(Exception):
    """A server did not answer as it should; the message says why."""

    code = "delegation.no_answer"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        seconds: For each attempt, UDP and TCP each.
        attempts: How often a server is asked that does not answer.
    """

    seconds: float = 3.0
    attempts: int = 2


class StubResolver:
    """Asks the first resolver that answers. For a Trio task."""

    def __init__(self, resolvers: Sequence[ServerAddress], patience: Patience) -> None:
        """Do nothing yet.

        Args:
            resolvers: Asked in this order; those of the system if empty.
            patience: With each of them.
        """
        self._resolvers = resolvers
        self._patience = patience

    async def ask(self, name: dns.name.Name, rdatatype: dns.rdatatype.RdataType) -> dns.message.Message:
        """Give an answer of NOERROR or NXDOMAIN.

        Its AD flag says if the resolver validated it (RFC 6840, section 5.7: it is asked for that).

        Raises:
            NoAnswer: No resolver gave one.
        """
        problem = "no resolver is configured"
        for resolver in self._resolvers or read_system_resolvers():
            query = dns.message.make_query(name, rdatatype, use_edns=0, payload=EDNS_OCTETS)
            query.flags |= dns.flags.AD
            try:
                answer = await exchange(query, resolver, self._patience)
            except NoAnswer as error:
                problem = f"{resolver}: {error}"
                continue
            if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return answer
            problem = f"{resolver}: {dns.rcode.to_text(answer.rcode())}"
        raise NoAnswer(problem)

    async def find_addresses(self, host: dns.name.Name) -> list[str]:
        """Give the addresses of a host.

        Raises:
            NoAnswer: They are not found out.
        """
        found: list[str] = []
        for rdatatype in (dns.rdatatype.AAAA, dns.rdatatype.A):
            answer = await self.ask(host, rdatatype)
            found += [
                rdata.to_text()
                for rrset in answer.answer  # the resolver followed aliases
                if rrset.rdtype == rdatatype
                for rdata in cast("Iterable[dns.rdata.Rdata]", rrset)
            ]
        return found


async def exchange(
    message: dns.message.Message, server: ServerAddress, patience: Patience
) -> dns.message.Message:
    """Send a message over UDP, and over TCP after a truncated answer; give the answer.

    Raises:
        NoAnswer: There was none.
    """
    problem = "timed out"
    for _ in range(patience.attempts):
        try:
            answer, _ = await dns.asyncquery.udp_with_fallback(
                message,
                server.host,
                timeout=patience.seconds,
                port=server.port,
                ignore_unexpected=True,
                ignore_errors=True,  # what does not fit the question may come from anybody
                backend=dns.asyncbackend.get_backend("trio"),
            )
        except dns.exception.Timeout:
            continue
        except (dns.exception.DNSException, OSError, EOFError) as error:
            problem = str(error) or type(error).__name__
            continue
        return answer
    raise NoAnswer(problem)


def read_system_resolvers() -> tuple[ServerAddress, ...]:
    """Give the resolvers that the machine is configured with."""
    try:
        system = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return ()
    hosts = [str(host) for host in system.nameservers]
    return tuple(ServerAddress(host) for host in hosts if _is_address(host))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False  # a URL of DNS over HTTPS, which dnspython takes as well
    return True
