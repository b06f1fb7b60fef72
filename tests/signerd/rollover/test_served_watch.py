"""How often all of a zone is looked at, and that no larger TTL is missed in between."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from sign_here import make_keys, sign_zone
from signerd.dns.name import parse_name
from signerd.dns.zone import Zone
from signerd.dnssec.key import DnsKey
from signerd.rollover.served_watch import ServedWatch
from signerd.signer.signing_keys import LocalSigningKey
from signerd.zones.master_file import load_master_file

TEXT = """$ORIGIN example.
@ 3600 SOA ns.example. admin.example. {serial} 7200 3600 1209600 300
@ 3600 NS ns.example.
ns {ttl} A 192.0.2.1
"""


class TickingClock:
    """Each reading of the monotonic clock comes a second after the one before."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> int:
        return 1_800_000_000

    def monotonic(self) -> float:
        self.elapsed += 1
        return self.elapsed


@dataclass
class Versions:
    folder: Path
    ksk: LocalSigningKey
    zsk: LocalSigningKey
    next_zsk: LocalSigningKey

    @property
    def names(self) -> dict[DnsKey, str]:
        return {self.ksk.dnskey: "ksk-1", self.zsk.dnskey: "zsk-1", self.next_zsk.dnskey: "zsk-2"}

    def make(self, serial: int, *, ttl: int = 3600, with_next: bool = False) -> Zone:
        """Make a signed version; signing adds one to the serial of the file."""
        file = self.folder / f"{serial}.zone"
        file.write_text(TEXT.format(serial=serial - 1, ttl=ttl))
        loaded = load_master_file(file, parse_name("example."), directory=self.folder)
        assert loaded.zone is not None, loaded.notices
        return sign_zone(loaded.zone, keys=(self.ksk, self.next_zsk if with_next else self.zsk))


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    ksk, zsk = make_keys()
    return Versions(tmp_path, ksk, zsk, make_keys()[1])


def test_an_earlier_version_does_for_a_while(versions: Versions) -> None:
    clock = TickingClock()
    watch = ServedWatch(clock)
    first = versions.make(1)
    assert watch.look(first, versions.names, must_be_exact=False).is_exact
    assert watch.look(first, versions.names, must_be_exact=False).is_exact, "it is the same"
    second = versions.make(2)
    assert not watch.look(second, versions.names, must_be_exact=False).is_exact
    assert watch.look(second, versions.names, must_be_exact=True).is_exact
    clock.elapsed += watch.rest_seconds
    assert watch.look(versions.make(3), versions.names, must_be_exact=False).is_exact


def test_a_version_with_other_keys_is_looked_at_at_once(versions: Versions) -> None:
    watch = ServedWatch(TickingClock())
    watch.look(versions.make(1), versions.names, must_be_exact=False)
    look = watch.look(versions.make(2, with_next=True), versions.names, must_be_exact=False)
    assert look.is_exact
    assert look.served.signing == {"zsk-2"}


def test_a_larger_ttl_of_a_version_in_between_counts_until_a_later_one_was_seen(versions: Versions) -> None:
    watch = ServedWatch(TickingClock())
    first, third = versions.make(1), versions.make(3)
    for zone, ttl in ((1, 3600), (2, 86400), (3, 3600)):
        watch.note_ttl(zone, ttl)
    assert watch.look(first, versions.names, must_be_exact=True).served.largest_ttl == 86400
    assert watch.look(third, versions.names, must_be_exact=True).served.largest_ttl == 86400
    assert watch.look(versions.make(4), versions.names, must_be_exact=True).served.largest_ttl == 3600


def test_the_largest_of_very_many_ttls_is_not_forgotten(versions: Versions) -> None:
    watch = ServedWatch(TickingClock())
    watch.note_ttl(1, 86400)
    for serial in range(2, 500):
        watch.note_ttl(serial, 60)
    assert watch.look(versions.make(600), versions.names, must_be_exact=True).served.largest_ttl == 86400


def test_a_zone_that_is_not_served_has_nothing(versions: Versions) -> None:
    look = ServedWatch(TickingClock()).look(None, versions.names, must_be_exact=False)
    assert look.is_exact
    assert not look.served.published
