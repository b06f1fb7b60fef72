"""Versions of a zone without DNSSEC: its data under the next serial."""

from collections.abc import Callable, Mapping

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone
from signerd.dnssec.signed_zone import set_serial
from signerd.zones.pipeline import NEVER, SignedVersion
from signerd.zones.plain_zone import SIGNER_TYPES


class UnsignedVersions:
    """Stands where a signer would."""

    def find_due(self, published: Zone, unsigned: Zone) -> int | None:
        """Give NEVER; None if the published version is a signed one and must be replaced."""
        del unsigned
        return None if is_signed(published) else NEVER

    def sign(
        self, unsigned: Zone, previous: Zone | None, serial: Serial, progress: Callable[[int, int], None]
    ) -> SignedVersion:
        """Give the data with the serial; what a signer left in it is taken off."""
        del previous, progress
        names: dict[Name, Mapping[int, RRset]] = dict(unsigned.names)
        apex = {
            number: rrset for number, rrset in names[unsigned.origin].items() if number not in SIGNER_TYPES
        }
        apex[rt.SOA] = set_serial(unsigned.soa, serial)
        names[unsigned.origin] = apex
        return SignedVersion(Zone(unsigned.origin, names), (), 0, None, is_signed=False)


def is_signed(zone: Zone) -> bool:
    """Say if a zone version is a signed one."""
    return rt.DNSKEY in zone.names[zone.origin]
