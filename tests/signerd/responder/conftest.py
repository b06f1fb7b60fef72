import pytest

from answering import make_zone_set, read_zone
from signerd.dns.zone_set import ZoneSet

ZONE = """
$ORIGIN example.
$TTL 3600
@ SOA ns1 host {serial} 7200 900 604800 300
@ NS ns1
ns1 A 192.0.2.1
www A 192.0.2.{octet}
big TXT {text}
*.wild TXT "synthesised"
cut NS ns.cut
ns.cut A 192.0.2.3
"""
BIG_TEXT = " ".join(f'"{number:0200}"' for number in range(60))


def make_text(*, serial: int = 1, octet: int = 2) -> str:
    return ZONE.format(serial=serial, octet=octet, text=BIG_TEXT)


@pytest.fixture
def zone_text() -> str:
    return make_text()


@pytest.fixture
def zones(zone_text: str) -> ZoneSet:
    return make_zone_set(read_zone(zone_text, "example."))


@pytest.fixture
def next_zones() -> ZoneSet:
    """The next version: `www.example` has address 192.0.2.99."""
    return make_zone_set(read_zone(make_text(serial=2, octet=99), "example."))
