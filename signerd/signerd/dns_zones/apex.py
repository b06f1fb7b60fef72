"""What every zone of the API has at its apex besides its records: SOA, and NS if it has none of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, join_labels, read_labels
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone

DEFAULT_MAILBOX = b"hostmaster"  # RFC 2142, section 7

_INVALID = b"invalid"


@dataclass(frozen=True, slots=True)
class ApexDefaults:
    """What is put there.

    Attributes:
        name_servers: Targets of the NS records, lower-cased; at least one.
        mailbox: RNAME of the SOA; None for `hostmaster` of the zone.
        ttl: Of SOA and NS; this and what follows in seconds.
    """

    name_servers: tuple[Name, ...]
    mailbox: Name | None = None
    ttl: int = 3600
    refresh: int = 7200
    retry: int = 900
    expire: int = 1_209_600
    minimum: int = 300

    @property
    def are_name_servers_placeholders(self) -> bool:
        """Whether one is a name that nobody can have (RFC 6761, section 6.4): none was configured."""
        return any(read_labels(name)[-1:] == [_INVALID] for name in self.name_servers)

    def make_name_servers(self, apex: Name) -> RRset:
        """Give the NS record set for a zone without its own."""
        return RRset(apex, rt.NS, self.ttl, tuple(sorted(self.name_servers)))

    def make_soa(self, apex: Name, serial: int = 0) -> RRset:
        """Give the SOA record set."""
        mailbox = self.mailbox or _prepend(DEFAULT_MAILBOX, apex)
        times = (serial, self.refresh, self.retry, self.expire, self.minimum)
        rdata = self.name_servers[0] + mailbox + b"".join(number.to_bytes(4) for number in times)
        return RRset(apex, rt.SOA, self.ttl, (rdata,))

    def complete(self, apex: Name, types: Mapping[int, RRset]) -> dict[int, RRset]:
        """Add to the records at the apex what they lack."""
        completed = dict(types) | {rt.SOA: self.make_soa(apex)}
        completed.setdefault(rt.NS, self.make_name_servers(apex))
        return completed

    def make_zone(self, apex: Name, rrsets: Iterable[RRset]) -> Zone:
        """Make the unsigned zone of records; its serial is decided when it is published."""
        names: dict[Name, dict[int, RRset]] = {}
        for rrset in rrsets:
            names.setdefault(rrset.owner, {})[rrset.type] = rrset
        names[apex] = self.complete(apex, names.get(apex, {}))
        return Zone(apex, names)


def _prepend(label: bytes, name: Name) -> Name:
    labels = [label, *read_labels(name)]
    # a name too long for one more label cannot have a mailbox of its own
    return join_labels(labels) if len(name) + 1 + len(label) <= 255 else name
