"""What resolvers may have seen of a real zone and its real parent, for the model resolver to look at."""

from collections.abc import Callable, Iterable, Sequence

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, format_name
from signerd.dns.rdatatype import format_type
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.simulation.history import History, ServedKey, ServedSet, Signature
from signerd.simulation.resolver import Failure, find_failures
from signerd.validator.key import ZoneKey, read_zone_key
from signerd.validator.signature import Job, find_bad_signatures

_LONGEST_CACHED = 40 * 86400


def identify(rdata: bytes) -> ServedKey:
    """Give what a resolver knows a DNSKEY by."""
    key = read_zone_key(rdata)
    return ServedKey(f"{key.tag}/{rdata[-4:].hex()}", key.algorithm)


class ServedHistory:
    """Collects the versions of one zone and of the DS sets of its parent, and verifies each signature.

    The last of the zone's name servers has each version some time after the first one.
    """

    def __init__(self, origin: Name, start: int, lag: int, find_keys: Callable[[], Iterable[bytes]]) -> None:
        """Begin.

        Args:
            origin: The apex.
            start: True time.
            lag: Of the last name server, seconds.
            find_keys: Gives the DNSKEY RDATA of keys that may sign without being published.
        """
        self._origin = origin
        self._lags = {"first": 0, "last": lag}
        self._find_keys = find_keys
        self._history = History(start, start)
        self._keys: dict[tuple[int, int], dict[bytes, ZoneKey]] = {}
        self._signers: dict[tuple[bytes, RRset], ServedKey] = {}
        self._places: dict[str, RRset] = {}
        self._seen: Zone | None = None

    def record(self, zone: Zone | None, now: int) -> None:
        """Take in the version in service."""
        if zone is None or zone is self._seen:
            return
        self._seen = zone
        dnskeys = zone.names[zone.origin].get(rt.DNSKEY)
        self._learn(() if dnskeys is None else dnskeys.rdatas)
        places = {
            f"{format_name(rrset.owner)} {format_type(rrset.type)}": rrset for rrset in zone.iterate_rrsets()
        }
        for place, rrset in places.items():
            if self._places.get(place) != rrset:
                self._serve("DNSKEY" if rrset is dnskeys else place, rrset, now)
        for place in self._places.keys() - places.keys():
            name = "DNSKEY" if place == f"{format_name(self._origin)} DNSKEY" else place
            for server, lag in self._lags.items():
                self._history.drop(server, name, now + lag)
        self._places = places

    def record_ds(self, server: str, keys: Iterable[bytes], ttl: int, overlap: int, at: int) -> None:
        """Take in what a server of the parent shows from a moment on.

        Args:
            server: Its name.
            keys: DNSKEY RDATA that it has DS records of.
            ttl: Of the DS set.
            overlap: For how long an instance may show the former set.
            at: True time.
        """
        shown = frozenset(map(identify, keys))
        self._history.serve(ServedSet(server, "DS", at, at, ttl, shown), overlap)

    def find_failures(self, now: int) -> Sequence[Failure]:
        """Find what some resolver could not validate up to now, as far as caches still have it."""
        failures = find_failures(self._history.look(now))
        self._history.served = [
            version for version in self._history.served if version.end + _LONGEST_CACHED > now
        ]
        return failures

    def _learn(self, rdatas: Iterable[bytes]) -> None:
        for rdata in rdatas:
            key = read_zone_key(rdata)
            self._keys.setdefault((key.algorithm, key.tag), {})[rdata] = key

    def _serve(self, name: str, rrset: RRset, now: int) -> None:
        keys = frozenset(map(identify, rrset.rdatas)) if name == "DNSKEY" else frozenset[ServedKey]()
        signatures = tuple(
            sorted(
                Signature(
                    self._find_signer(rrset, signature),
                    int.from_bytes(signature[12:16]),
                    int.from_bytes(signature[8:12]),
                )
                for signature in rrset.signatures
            )
        )
        if not signatures and rrset.type in (rt.NS, rt.A) and rrset.owner != self._origin:
            return
        if rrset.type in (rt.CDS, rt.CDNSKEY):
            return  # only the parent asks for them, of the servers themselves
        for server, lag in self._lags.items():
            at = now + lag
            self._history.serve(ServedSet(server, name, at, at, rrset.ttl, keys, signatures))

    def _find_signer(self, rrset: RRset, signature: bytes) -> ServedKey:
        """Verify a signature, and say whose it is."""
        bare = RRset(rrset.owner, rrset.type, rrset.ttl, rrset.rdatas)
        known = self._signers.get((signature, bare))
        if known is not None:
            return known
        tag = signature[2], int.from_bytes(signature[16:18])
        if tag not in self._keys:
            self._learn(self._find_keys())
        for rdata, key in self._keys.get(tag, {}).items():
            if not find_bad_signatures([Job(bare, signature, (key,))], self._origin):
                self._signers[signature, bare] = signer = identify(rdata)
                return signer
        raise AssertionError(f"{format_name(rrset.owner)} {format_type(rrset.type)}: bad signature by {tag}")
