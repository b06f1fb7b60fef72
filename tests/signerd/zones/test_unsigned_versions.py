"""A zone without DNSSEC from its file to the answers that a responder gives."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from answering import make_packet
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dns.zone_index import ZoneIndex
from signerd.dns.zone_set import ZoneSet
from signerd.responder.loader import ZoneLoader
from signerd.responder.responder import Responder, ResponderOptions
from signerd.version_gate import Trust, VersionGate
from signerd.zones.manifest import write_manifest
from signerd.zones.master_file import Limits
from signerd.zones.pipeline import (
    PipelineParts,
    SignedVersion,
    Stage,
    VersionRejected,
    ZonePipeline,
    ZoneSigner,
)
from signerd.zones.publication import Publication
from signerd.zones.serial_policy import SerialPolicy
from signerd.zones.unsigned_versions import UnsignedVersions
from signerd.zones.zone_directory import zone_directory_name
from signerd.zones.zone_list import ZoneEntry

ORIGIN = parse_name("plain.test.")
ZONE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.{}\n*.w TXT x\n"


class StandingClock:
    def now(self) -> int:
        return 1_800_000_000

    def monotonic(self) -> float:
        return 0.0


class Workplace:
    """A pipeline without keys, and a responder that follows what it publishes."""

    def __init__(self, folder: Path) -> None:
        self.file, self.published = folder / "plain.test.zone", folder / "published"
        self.stages: list[Stage] = []
        self.loader = ZoneLoader(self.published, self.take_zones, self.note_change)
        self.responder = Responder(ResponderOptions(), lambda: 0.0, ZoneSet())
        self.parts = PipelineParts(
            StandingClock(),
            folder,
            folder / "rejected",
            Limits(),
            self.record,
            lambda text, done, total: None,
        )

    def record(self, zone: Name, stage: Stage, serial: int | None, detail: str) -> None:
        assert zone == ORIGIN
        self.stages.append(stage)

    def take_zones(self, zones: ZoneSet) -> None:
        self.responder.replace_zones(zones)

    def note_change(self, apex: Name, index: ZoneIndex | None) -> None:
        assert apex == ORIGIN
        assert index is not None

    def make_pipeline(self, signer: ZoneSigner | None = None, *, is_lost: bool = False) -> ZonePipeline:
        pipeline = ZonePipeline(
            ZoneEntry(ORIGIN, None if is_lost else self.file),
            Publication(self.published / zone_directory_name(ORIGIN)),
            signer or UnsignedVersions(),
            VersionGate(StandingClock(), 1, find_no_trust),
            SerialPolicy.UNIXTIME,
            self.parts,
        )
        pipeline.restore()
        return pipeline

    async def ask(self, name: str, rdatatype: str) -> dns.message.Message:
        await self.loader.refresh()
        response = self.responder.respond_to_datagram(make_packet(name, rdatatype, payload=4096, dnssec=True))
        assert response is not None
        return dns.message.from_wire(response)


def find_no_trust(zone: Zone) -> Trust:
    raise AssertionError("nobody may ask for the keys of an unsigned zone")


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


async def test_an_unsigned_zone_goes_through_all_stages_and_is_answered(place: Workplace) -> None:
    place.file.write_text(ZONE.format(2))
    pipeline = place.make_pipeline()
    assert pipeline.advance(read_file=True)
    assert place.stages == [Stage.LOADED, Stage.CHECKED, Stage.SIGNED, Stage.VALIDATED, Stage.PUBLISHED]
    write_manifest(place.published, [ORIGIN])
    for name, rdatatype, answers, authority in (
        ("www.plain.test", "A", {"A"}, set[str]()),
        ("x.w.plain.test", "TXT", {"TXT"}, set[str]()),
        ("nothing.plain.test", "A", set[str](), {"SOA"}),
        ("www.plain.test", "AAAA", set[str](), {"SOA"}),
    ):
        message = await place.ask(name, rdatatype)
        assert message.flags & dns.flags.AA
        assert message.rcode() == (dns.rcode.NXDOMAIN if "nothing" in name else dns.rcode.NOERROR)
        assert {dns.rdatatype.to_text(rrset.rdtype) for rrset in message.answer} == answers
        assert {dns.rdatatype.to_text(rrset.rdtype) for rrset in message.authority} == authority


async def test_the_next_version_has_a_newer_serial_and_is_followed(place: Workplace) -> None:
    place.file.write_text(ZONE.format(2))
    pipeline = place.make_pipeline()
    pipeline.advance(read_file=True)
    write_manifest(place.published, [ORIGIN])
    await place.ask("www.plain.test", "A")
    first = pipeline.state.floor
    assert not pipeline.advance(read_file=True)
    place.file.write_text(ZONE.format(3))
    assert pipeline.advance(read_file=True)
    assert first is not None
    assert pipeline.state.floor == first + 1
    assert "192.0.2.3" in str((await place.ask("www.plain.test", "A")).answer[0])


async def test_a_restart_finds_it_up_to_date_and_never_due(place: Workplace) -> None:
    place.file.write_text(ZONE.format(2))
    place.make_pipeline().advance(read_file=True)
    again = place.make_pipeline()
    assert not again.advance(read_file=True)
    assert again.state.next_due is None


def test_a_signed_version_is_replaced_by_an_unsigned_one(place: Workplace) -> None:
    place.file.write_text(ZONE.format(2))
    pipeline = place.make_pipeline()
    pipeline.advance(read_file=True)
    published = pipeline.state.published
    assert published is not None
    dnskey = RRset(ORIGIN, rt.DNSKEY, 300, (bytes.fromhex("01010d") + bytes(65),))
    signed = replace(
        published, names={**published.names, ORIGIN: {**published.names[ORIGIN], rt.DNSKEY: dnskey}}
    )
    pipeline.state.published = signed
    assert UnsignedVersions().find_due(signed, published) is None
    assert pipeline.advance(read_file=False)
    now = pipeline.state.published
    assert now is not None
    assert rt.DNSKEY not in now.names[ORIGIN]
    assert now.serial == signed.serial + 1


def test_what_a_signer_left_is_rejected_and_kept_for_inspection(place: Workplace) -> None:
    place.file.write_text(ZONE.format(2))

    class HalfSigner(UnsignedVersions):
        def sign(
            self, unsigned: Zone, previous: Zone | None, serial: int, progress: Callable[[int, int], None]
        ) -> SignedVersion:
            version = super().sign(unsigned, previous, unsigned.serial, progress)
            soa = version.zone.soa._replace(signatures=(bytes(40),))
            names = {**version.zone.names, ORIGIN: {**version.zone.names[ORIGIN], rt.SOA: soa}}
            return replace(version, zone=replace(version.zone, names=names))

    pipeline = place.make_pipeline(HalfSigner())
    with pytest.raises(VersionRejected, match="RRSIG"):
        pipeline.advance(read_file=True)
    assert pipeline.state.published is None
    assert list((place.published.parent / "rejected").rglob("reasons.txt"))


async def test_a_zone_of_which_only_what_is_published_is_known_is_served_on(place: Workplace) -> None:
    place.file.write_text(ZONE.format(2))
    assert place.make_pipeline().advance(read_file=True)
    pipeline = place.make_pipeline(is_lost=True)
    pipeline.advance(read_file=True)
    assert pipeline.state.file_error is not None
    assert "unless it is kept over the API, 'signerd forget plain.test'" in pipeline.state.file_error
    write_manifest(place.published, [ORIGIN])
    assert (await place.ask("www.plain.test.", "A")).answer
