"""A record: all values of one name and type."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from signerd.dns.name import Name
from signerd.dns.rrset import MAX_TTL, RRset
from signerd.dns_zones.errors import InvalidDnsValue
from signerd.dns_zones.record_name import APEX, read_record_name
from signerd.dns_zones.record_value import TYPES, read_values

DEFAULT_TTL: Final = 3600


@dataclass(frozen=True, slots=True)
class RecordData:
    """What a record says, checked.

    Attributes:
        name: Relative to the zone, as sent.
        owner: The whole name, lower-cased.
        type: One of TYPES.
        ttl: Seconds.
        values: As sent.
        rdatas: What the values are on the wire, in their order.
    """

    name: str
    owner: Name
    type: str
    ttl: int
    values: tuple[str, ...]
    rdatas: tuple[bytes, ...]

    @property
    def key(self) -> tuple[Name, str]:
        """What a zone has once."""
        return self.owner, self.type

    def says_the_same(self, other: "RecordData") -> bool:
        """Say if both are one record set on the wire, however it is written."""
        return self.ttl == other.ttl and set(self.rdatas) == set(other.rdatas)

    def make_rrset(self) -> RRset:
        """Give the record set as it is published."""
        return RRset(self.owner, TYPES[self.type], self.ttl, tuple(sorted(self.rdatas)))


@dataclass(frozen=True, slots=True)
class RecordKey:
    """Which record of a zone it is: enough to take it away.

    Attributes:
        identity: Of the record.
        name: Relative to the zone, as sent.
        owner: The whole name, lower-cased.
        type: One of TYPES.
    """

    identity: str
    name: str
    owner: Name
    type: str


@dataclass(frozen=True, slots=True)
class Record:
    """A stored record. Times are seconds since 1970; `updated_at` is None if it was never changed."""

    identity: str
    data: RecordData
    created_at: int
    updated_at: int | None

    @property
    def key(self) -> RecordKey:
        """Which record it is."""
        return RecordKey(self.identity, self.data.name, self.data.owner, self.data.type)


def read_type(text: str) -> str:
    """Check that records can have a type.

    Raises:
        InvalidDnsValue: They cannot.
    """
    if text not in TYPES:
        raise InvalidDnsValue("type", f"must be one of {', '.join(TYPES)}")
    return text


def read_ttl(ttl: int | None) -> int:
    """Give a TTL, or what stands for none.

    Raises:
        InvalidDnsValue: It is out of range.
    """
    if not ttl:
        return DEFAULT_TTL
    if not 0 < ttl <= MAX_TTL:
        raise InvalidDnsValue("ttl", f"must be 1 to {MAX_TTL} seconds; 0 or none means {DEFAULT_TTL}")
    return ttl


def make_data(zone: Name, name: str, type_text: str, ttl: int | None, values: Sequence[str]) -> RecordData:
    """Check what a record is to say.

    Raises:
        InvalidDnsValue: It breaks a rule.
    """
    owner = read_record_name(name, zone)
    read_type(type_text)
    if type_text == "CNAME" and owner == zone:
        raise InvalidDnsValue("type", f"a CNAME cannot stand at {APEX}, beside SOA and NS (RFC 1034, 3.6.2)")
    return RecordData(name, owner, type_text, read_ttl(ttl), tuple(values), read_values(type_text, values))
