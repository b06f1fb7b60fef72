from collections.abc import Callable

import pytest

from signerd.dns.rdatatype import CDS, NSEC3PARAM
from signerd.dns.zone import Zone
from signerd.validator.zone_validation import validate

NOW = 1_736_000_000

FindDs = Callable[[Zone], list[bytes]]


@pytest.mark.parametrize("kind", ["nsec", "nsec3", "salted"])
def test_accepts_what_dnssec_signzone_signed(kind: str, bind_zones: dict[str, Zone], find_ds: FindDs) -> None:
    zone = bind_zones[kind]
    assert (NSEC3PARAM in zone.names[zone.origin]) == (kind != "nsec")
    assert str(validate(zone, ds=find_ds(zone), now=NOW)) == "accepted"


def test_accepts_what_dnspython_signed(dnspython_zone: Zone, find_ds: FindDs) -> None:
    assert str(validate(dnspython_zone, ds=find_ds(dnspython_zone), now=NOW)) == "accepted"


@pytest.mark.parametrize(
    "algorithm", ["rsasha256", "rsasha512", "ecdsap256sha256", "ecdsap384sha384", "ed25519"]
)
def test_accepts_what_kzonesign_signed(algorithm: str, knot_zones: dict[str, Zone], find_ds: FindDs) -> None:
    zone = knot_zones[algorithm]
    assert CDS in zone.names[zone.origin]
    assert str(validate(zone, ds=find_ds(zone), now=NOW)) == "accepted"
