"""A zone's life at random: edits, bad files, months of time, faults at every stage, crashes and restarts."""

import errno
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline_world import ORIGIN, Faults, Killed, PipelineWorld
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.serial import is_newer
from signerd.dns.zone import Zone
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key import DnsKey
from signerd.validator.zone_validation import validate
from signerd.zones.pipeline import PipelineError, SigningImpossible
from signerd.zones.plain_zone import strip_signatures
from signerd.zones.publication import JournalLimits, PublicationReader
from signerd.zones.zone_difference import apply_differences

DAY = 86_400
MARGIN = 5 * DAY  # what `auto` makes of the SOA below
HEAD = "$TTL 300\n@ SOA ns h {} 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\n"
LINES = {  # whole sets of records that may be in the zone or not
    "www": "www A 192.0.2.{0}",
    "other": 'other A 192.0.2.{0}\nother TXT "Text {0}"',
    "wild": '*.wild TXT "{0}"',
    "deep": "a.b.deep A 192.0.2.{0}",
    "secure": "secure NS ns.secure\nsecure DS {0} 13 2 " + "0b" * 32 + "\nns.secure A 192.0.2.9",
    "plain": "plain NS ns.plain\nns.plain A 192.0.2.{0}",
    "moved": "moved DNAME target{0}.example.\nbelow.moved A 192.0.2.8",
    "alias": "alias CNAME Www.example{0}.",
}
BROKEN = ["www A nonsense", "www A 1.2.3.4\nwww CNAME ns", "@ SOA ns h 2 1 1 1 1", '"', "$INCLUDE missing"]
POLICIES = [
    "",
    "denial: nsec",
    "serial: increment",
    "serial: date",
    "denial: nsec, serial: increment, inception_offset: 0s",
]
LIMITS = [JournalLimits(), JournalLimits(floor_octets=0, ratio=0.0), JournalLimits(max_octets=0)]


def describe(zone: Zone | None) -> object:
    return None if zone is None else (zone.names, zone.nsec3)


def list_rrsets(zone: Zone) -> dict[tuple[Name, int], RRset]:
    return {(rrset.owner, rrset.type): rrset for rrset in zone.iterate_rrsets()}


def list_data(zone: Zone) -> dict[tuple[Name, int], tuple[int, tuple[bytes, ...]]]:
    """Give what an operator wrote, the serial left out."""
    found = {
        (rrset.owner, rrset.type): (rrset.ttl, rrset.rdatas)
        for rrset in strip_signatures(zone).iterate_rrsets()
    }
    ttl, (soa,) = found[ORIGIN, rt.SOA]
    found[ORIGIN, rt.SOA] = ttl, (soa[:-20] + soa[-16:],)
    return found


class ZoneLife(RuleBasedStateMachine):
    """What is served is always whole, valid, newer than before, and what was accepted last."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="signerd-life-"))
        self.world: PipelineWorld | None = None
        self.content: dict[str, int] = {}
        self.source_serial = 1
        self.accepted: set[str] = set()  # texts of which one must be what is served
        self.seen: dict[int, object] = {}  # all that was ever served, by serial
        self.served: Zone | None = None
        self.announced: int | None = None
        self.is_clock_right = True

    @initialize(policy=st.sampled_from(POLICIES), limits=st.sampled_from(LIMITS))
    def start(self, policy: str, limits: JournalLimits) -> None:
        self.world = PipelineWorld(self.folder, policy=policy, limits=limits)
        self.write()
        self.run_well()
        self.reader = PublicationReader(self.world.directory)
        self.reading = self.reader.load().zone

    def teardown(self) -> None:
        if self.world is not None:
            self.world.close()
        shutil.rmtree(self.folder)

    @property
    def life(self) -> PipelineWorld:
        assert self.world is not None
        return self.world

    # What happens

    def write(self, broken: str | None = None) -> None:
        lines = [LINES[name].format(number) for name, number in sorted(self.content.items())]
        text = HEAD.format(self.source_serial) + "\n".join([*lines, broken or ""]) + "\n"
        self.life.file.write_text(text)

    def run(self, *, read_file: bool = True) -> bool:
        """Run the pipeline once; say if it failed."""
        try:
            if self.life.pipeline.advance(read_file=read_file):
                assert self.life.pipeline.state.published is not None
                self.announced = self.life.pipeline.state.published.serial
        except (PipelineError, OSError):
            return True
        return False

    def run_well(self) -> None:
        """Run the pipeline when nothing stands in its way but, perhaps, the clock."""
        self.look_at_clock()
        failed = self.run()
        if self.is_clock_right:
            assert not failed, self.life.pipeline.state.last_error
            assert self.life.pipeline.state.last_error is None
        self.check_served()
        assert self.served is not None
        assert self.announced == self.served.serial, "responders do not know of the version"

    @rule(name=st.sampled_from(sorted(LINES)), number=st.integers(0, 3), raise_serial=st.booleans())
    def edit(self, name: str, number: int, raise_serial: bool) -> None:
        if number:
            self.content[name] = number
        else:
            self.content.pop(name, None)
        self.source_serial = (self.source_serial + raise_serial * 7) % 2**32
        self.write()
        self.run_well()
        if self.is_clock_right:
            self.check_data()

    @rule(broken=st.sampled_from(BROKEN))
    def break_file(self, broken: str) -> None:
        before = describe(self.served)
        data = None if self.served is None else list_data(self.served)
        self.write(broken)
        self.run()
        assert self.life.pipeline.state.file_error is not None
        self.check_served()
        assert self.served is not None
        assert list_data(self.served) == data
        if self.is_clock_right and self.life.pipeline.state.next_due is not None:
            assert describe(self.served) == before
        self.write()
        self.run_well()

    @rule(seconds=st.sampled_from([1, 60, 3600, DAY, 4 * DAY, 8 * DAY, 29 * DAY]))
    def pass_time(self, seconds: int) -> None:
        """Let time pass, as the keeper does: waking up whenever something is due."""
        clock = self.life.clock
        end = clock.elapsed + seconds
        while clock.elapsed < end:
            remaining = int(end - clock.elapsed)
            due = self.life.pipeline.state.next_due
            wait = remaining if due is None else min(remaining, max(due - clock.now(), 1800))
            clock.pass_time(wait)
            self.life.workshop.mark_clock()
            self.run(read_file=False)
            self.check_served()
        self.run_well()

    @rule()
    def restart(self) -> None:
        self.start_again()
        assert describe(self.life.pipeline.state.published) == describe(self.served)
        self.run_well()

    def look_at_clock(self) -> None:
        """Time passing, or a restart, may make a wrong clock a likely one; never the other way round."""
        try:
            self.life.workshop.read_signing_time()
        except SigningImpossible:
            assert not self.is_clock_right
        else:
            self.is_clock_right = True

    def start_again(self) -> None:
        """Restart; new responders load what they find, so there is nothing to announce."""
        self.life.restart()
        found = self.life.pipeline.state.published
        self.announced = None if found is None else found.serial

    @rule(
        where=st.sampled_from(["signer", "due", "validator", "disk"]),
        step=st.integers(1, 40),
        lasts=st.booleans(),
        then=st.sampled_from(["again", "restart"]),
    )
    def fail(self, where: str, step: int, lasts: bool, then: str) -> None:
        """Change the zone while something fails, once; then nothing is lost and it goes on."""
        self.content["www"] = self.content.get("www", 0) % 9 + 1
        self.write()
        before = describe(self.served)
        no_key = SigningImpossible("the key store is away")
        match where:
            case "signer":
                self.life.faults = Faults(signer=no_key)
            case "due":
                self.life.faults = Faults(due=no_key)
            case "validator":
                self.life.faults = Faults(reasons=("a made-up reason",))
            case _:
                error = OSError(errno.ENOSPC, "No space left on device")
                self.life.faults = Faults(disk=error, disk_step=step, disk_lasts=lasts)
        failed = self.run()
        if where in ("signer", "validator"):
            assert failed
            assert describe(self.life.pipeline.state.published) == before
        self.life.faults = Faults()
        found = PublicationReader(self.life.directory).load().zone
        assert found is not None
        # when the disk does not even take the attempt back, this is the version that came to nothing
        assert self.seen.setdefault(found.serial, describe(found)) == describe(found)
        if then == "restart":
            self.start_again()
        self.run_well()
        if self.is_clock_right:
            self.check_data()

    @rule(step=st.integers(1, 40))
    def crash(self, step: int) -> None:
        """Be killed in the middle of a publication, and start again."""
        self.content["other"] = self.content.get("other", 0) % 9 + 1
        self.write()
        self.life.faults = Faults(disk=Killed(), disk_step=step)
        with suppress(Killed):
            self.run()
        self.life.faults = Faults()
        self.start_again()
        self.run_well()
        if self.is_clock_right:
            self.check_data()

    @precondition(lambda self: self.is_clock_right)
    @rule(seconds=st.sampled_from([2 * 3600, 3 * DAY, 40 * DAY, -60, -2 * DAY, -40 * DAY]))
    def step_clock(self, seconds: int) -> None:
        """Set the clock wrongly: nothing is signed until somebody says that it is right."""
        self.life.clock.step(seconds)
        self.is_clock_right = False
        self.content["alias"] = self.content.get("alias", 0) % 9 + 1
        self.write()
        before = describe(self.served)
        assert self.run()
        assert "clock" in str(self.life.pipeline.state.last_error)
        assert describe(self.life.pipeline.state.published) == before

    @precondition(lambda self: not self.is_clock_right)
    @rule()
    def accept_clock(self) -> None:
        self.life.workshop.accept_clock()
        self.is_clock_right = True
        self.run_well()
        self.check_data()

    @rule()
    def catch_up(self) -> None:
        """Be a responder that looks now and then, and follows the journal where it can."""
        assert self.reading is not None
        differences = self.reader.advance(self.reading)
        if differences is None:
            self.reading = self.reader.load().zone
        else:
            self.reading = apply_differences(self.reading, differences)
        assert describe(self.reading) == describe(self.served)

    # What must hold

    def check_served(self) -> None:
        """Look at what a responder that starts now would serve."""
        loaded = PublicationReader(self.life.directory).load()
        assert loaded.problems == ()
        zone = loaded.zone
        assert zone is not None
        assert describe(zone) == describe(self.life.pipeline.state.published)
        if self.served is not None and describe(zone) != describe(self.served):
            assert is_newer(zone.serial, self.served.serial)
            self.check_kept(self.served, zone)
        assert self.seen.setdefault(zone.serial, describe(zone)) == describe(zone)
        self.served = zone

    def check_kept(self, old: Zone, new: Zone) -> None:
        """A signature that was good and whose RRset is the same is still there."""
        now = self.life.clock.now()
        before = list_rrsets(old)
        for place, rrset in list_rrsets(new).items():
            former = before.get(place)
            if former is None or (former.rdatas, former.ttl) != (rrset.rdatas, rrset.ttl):
                continue
            for signature in former.signatures:
                expiration, inception = int.from_bytes(signature[8:12]), int.from_bytes(signature[12:16])
                if expiration - now > MARGIN and inception <= now:
                    assert signature in rrset.signatures, place

    def check_data(self) -> None:
        """What is served is what the file says."""
        loaded = self.life.pipeline.state.unsigned
        assert loaded is not None
        assert self.served is not None
        assert list_data(self.served) == list_data(loaded)
        owners = {owner for owner, _ in list_data(self.served)}
        for name in LINES:
            is_there = any(parse_name(f"{label}.small.test.") in owners for label in OWNERS[name])
            assert is_there == (name in self.content)

    @invariant()
    def what_is_served_is_valid(self) -> None:
        if self.served is None or not self.is_clock_right:
            return
        keys = [DnsKey.from_rdata(rdata) for rdata in self.served.names[ORIGIN][rt.DNSKEY].rdatas]
        ds = [rdata for key in keys if key.is_ksk for rdata in make_ds_set(ORIGIN, key)]
        report = validate(self.served, ds=ds, now=self.life.clock.now())
        assert report.findings == ()


OWNERS = {
    "www": ["www"],
    "other": ["other"],
    "wild": ["*.wild"],
    "deep": ["a.b.deep"],
    "secure": ["secure", "ns.secure"],
    "plain": ["plain", "ns.plain"],
    "moved": ["moved", "below.moved"],
    "alias": ["alias"],
}

TestZoneLife = pytest.mark.long(ZoneLife.TestCase)
ZoneLife.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
)


@pytest.mark.parametrize("limits", LIMITS)
def test_no_serial_means_two_versions_whatever_step_of_the_disk_fails(
    tmp_path: Path, limits: JournalLimits
) -> None:
    world = PipelineWorld(tmp_path, policy="serial: increment", limits=limits)
    world.file.write_text(HEAD.format(1))
    world.pipeline.advance(read_file=True)
    seen: dict[int, object] = {}
    for step in range(1, 25):
        world.file.write_text(HEAD.format(1) + f"www A 192.0.2.{step}\n")
        world.faults = Faults(disk=OSError(errno.EIO, "disk broken"), disk_step=step, disk_lasts=True)
        with suppress(OSError):
            world.pipeline.advance(read_file=True)
        for _ in range(2):
            found = PublicationReader(world.directory).load().zone
            assert found is not None
            assert seen.setdefault(found.serial, describe(found)) == describe(found)
            world.faults = Faults()
            world.pipeline.advance(read_file=False)
    world.close()
