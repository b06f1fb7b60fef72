"""What is observed of a zone, its keys and its parent; the timetable believes nothing else."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParentServer:
    """What one name server of the parent says.

    Attributes:
        name: For people.
        ds: Names of the zone's keys that it has DS records of; None if it does not answer.
        ttl: Of the DS records, seconds.
        has_strangers: Whether it has DS records of no key of the zone.
    """

    name: str
    ds: frozenset[str] | None
    ttl: int = 0
    has_strangers: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is observed now.

    Attributes:
        published: Names of the keys in the DNSKEY RRset that is served.
        signing: Names of the keys with at least one signature over data that is served.
        covering: Algorithms with a signature over each RRset that is served.
        denial: How absence is proved in what is served; None if the zone is unsigned.
        dnskey_ttl: As served, seconds.
        largest_ttl: Of all data that is served, seconds.
        usable: Names of the keys that exist and can sign.
        is_kms_open: Whether it can be said which keys are usable.
        parent: One entry for each name server of the parent; empty as long as they are not known.
        is_parentless: Whether the name servers of the parent were looked for and not found, and none was ever
            seen with a DS record of the zone that it was not seen to drop.
        announced: Names of the keys in the CDNSKEY RRset that is served: a parent may act on it.
    """

    published: frozenset[str]
    signing: frozenset[str]
    covering: frozenset[int]
    denial: str | None
    dnskey_ttl: int
    largest_ttl: int
    usable: frozenset[str]
    is_kms_open: bool
    parent: tuple[ParentServer, ...] = ()
    is_parentless: bool = False
    announced: frozenset[str] = frozenset()

    def is_ds_everywhere(self, name: str) -> bool:
        """Say if all servers of the parent answered, and with the DS record of a key."""
        return bool(self.parent) and all(
            server.ds is not None and name in server.ds for server in self.parent
        )

    def is_ds_nowhere(self, name: str) -> bool:
        """Say if all servers of the parent answered, and without the DS record of a key."""
        return bool(self.parent) and all(
            server.ds is not None and name not in server.ds for server in self.parent
        )

    def is_ds_seen(self, name: str) -> bool:
        """Say if some server of the parent has the DS record of a key."""
        return any(server.ds is not None and name in server.ds for server in self.parent)

    @property
    def ds_ttl(self) -> int | None:
        """The longest TTL of DS records at the parent, seconds; None if no server has any."""
        return max((server.ttl for server in self.parent if server.ds), default=None)
