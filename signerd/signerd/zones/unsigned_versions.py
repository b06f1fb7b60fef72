"""Versions of a zone without DNSSEC: its data under the next serial."""

from collections.abc import Callable, Mapping

from signerd.dns import rdatatype as rt
from signerd.dns.rrset import RRset
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone, find_touched_owners
from signerd.dnssec.signed_zone import set_serial
from signerd.zones.pipeline import NEVER, SignedVersion
from signerd.zones.plain_zone import SIGNER_TYPES

_NO_TYPES: Mapping[int, RRset] = {}


class UnsignedVersions:
    """Stands where a signer would, for one zone."""

    def __init__(self) -> None:
        """Know of no version."""
        # Data and what was made of it: the newest, and that which it was made from. Which of them is
        # published, others decide.
        self._made: tuple[tuple[Zone, Zone], ...] = ()

    def find_due(self, published: Zone, unsigned: Zone) -> int | None:
        """Give NEVER; None if the published version is a signed one and must be replaced."""
        del unsigned
        return None if is_signed(published) else NEVER

    def sign(
        self, unsigned: Zone, previous: Zone | None, serial: Serial, progress: Callable[[int, int], None]
    ) -> SignedVersion:
        """Give the data with the serial; what a signer left in it is taken off."""
        del progress
        origin = unsigned.origin
        apex = {
            number: rrset for number, rrset in unsigned.names[origin].items() if number not in SIGNER_TYPES
        }
        apex[rt.SOA] = set_serial(unsigned.soa, serial)
        before = tuple(made for made in self._made if made[1] is previous)
        zone = None
        for data, version in before:
            if (touched := find_touched_owners(data, unsigned)) is not None:
                changes = {owner: unsigned.names.get(owner, _NO_TYPES) for owner in touched.names}
                zone = version.derive({**changes, origin: apex})
        if zone is None:
            zone = Zone(origin, {**unsigned.names, origin: apex})
        self._made = ((unsigned, zone), *before)
        return SignedVersion(zone, (), 0, None, is_signed=False)


def is_signed(zone: Zone) -> bool:
    """Say if a zone version is a signed one."""
    return rt.DNSKEY in zone.names[zone.origin]
