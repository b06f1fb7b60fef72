"""One zone's pipeline as the daemon builds it, in its own directory, with a clock and faults to command."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from signerd.config.loader import load_config
from signerd.config.options import Config
from signerd.custody import Custody, CustodyHolder
from signerd.dns.name import Name, parse_name
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone
from signerd.dnssec_desk import DnssecDesk
from signerd.zone_workshop import ZoneWorkshop
from signerd.zones.durable_file import FileOperations
from signerd.zones.pipeline import (
    SignedVersion,
    SigningImpossible,
    Stage,
    ZonePipeline,
    ZoneSigner,
    ZoneValidator,
)
from signerd.zones.publication import JournalLimits, Publication
from signerd.zones.zone_list import Source, ZoneEntry
from signerd_kms.key import Scope

NOW = 1_800_000_000
ORIGIN = parse_name("small.test.")
DIRECTORY_NAME = "small.test"


class FakeClock:
    """A clock that only moves when told to; a step moves the wall clock alone."""

    def __init__(self) -> None:
        self.wall = NOW
        self.elapsed = 0.0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed

    def pass_time(self, seconds: int) -> None:
        self.wall += seconds
        self.elapsed += seconds

    def step(self, seconds: int) -> None:
        self.wall += seconds


class Killed(BaseException):
    """The process is no more: nothing that it would do after this happens."""


@dataclass
class Faults:
    """What goes wrong in the next run of the pipeline.

    Attributes:
        signer: Raised instead of signing.
        due: Raised instead of saying when signatures are due.
        reasons: Given by the validator.
        disk: Raised at a step of the publication.
        disk_step: Number of that step, from 1.
        disk_lasts: Whether all steps after it fail as well.
    """

    signer: SigningImpossible | None = None
    due: SigningImpossible | None = None
    reasons: tuple[str, ...] = ()
    disk: BaseException | None = None
    disk_step: int = 1
    disk_lasts: bool = False
    _steps: int = 0

    def strike(self) -> None:
        """Count a step of the publication, and fail if it is the one."""
        self._steps += 1
        if self.disk is None or self._steps < self.disk_step:
            return
        if self._steps == self.disk_step or self.disk_lasts or isinstance(self.disk, Killed):
            raise self.disk


class FaultyFiles(FileOperations):
    """Fails before a step of durable changes."""

    def __init__(self, strike: Callable[[], None]) -> None:
        self._strike = strike

    def open_new(self, path: Path) -> int:
        self._strike()
        return super().open_new(path)

    def open_existing(self, path: Path) -> int:
        self._strike()
        return super().open_existing(path)

    def write(self, descriptor: int, data: bytes) -> None:
        self._strike()
        super().write(descriptor, data[: len(data) // 2])
        self._strike()
        super().write(descriptor, data[len(data) // 2 :])

    def truncate(self, descriptor: int, octets: int) -> None:
        self._strike()
        super().truncate(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        self._strike()
        super().sync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._strike()
        super().rename(old, new)

    def unlink(self, path: Path) -> None:
        self._strike()
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        self._strike()
        super().sync_directory(path)


class SignAll:
    def is_signed(self, entry: ZoneEntry) -> bool:
        return True


class FaultySigner:
    def __init__(self, signer: ZoneSigner, find_faults: Callable[[], Faults]) -> None:
        self._signer = signer
        self._find_faults = find_faults

    def find_due(self, published: Zone, unsigned: Zone) -> int | None:
        if (error := self._find_faults().due) is not None:
            raise error
        return self._signer.find_due(published, unsigned)

    def sign(
        self, unsigned: Zone, previous: Zone | None, serial: Serial, progress: Callable[[int, int], None]
    ) -> SignedVersion:
        if (error := self._find_faults().signer) is not None:
            raise error
        return self._signer.sign(unsigned, previous, serial, progress)


class FaultyValidator:
    def __init__(self, validator: ZoneValidator, find_faults: Callable[[], Faults]) -> None:
        self._validator = validator
        self._find_faults = find_faults

    def __call__(
        self, version: SignedVersion, previous: Zone | None, progress: Callable[[int, int], None]
    ) -> Sequence[str]:
        return self._find_faults().reasons or self._validator(version, previous, progress)

    def check_published(self, zone: Zone) -> Sequence[str]:
        return self._find_faults().reasons or self._validator.check_published(zone)


@cache
def make_template() -> Path:
    """Make a state directory with a KMS that has keys of no zone; copied, since that is quicker."""
    folder = Path(mkdtemp(prefix="signerd-template-"))
    holder = CustodyHolder(_write_config(folder, ""), FakeClock())
    assert holder.open(), holder.reason
    holder.custody.engine.dispose()
    return folder


def _write_config(folder: Path, policy: str) -> Config:
    for name in ("zones", "state"):
        (folder / name).mkdir(exist_ok=True, mode=0o700)
    text = f"zone_directory: {folder}/zones\nstate_directory: {folder}/state\n"
    (folder / "signerd.yaml").write_text(f"{text}policies:\n  default: {{{policy}}}\n")
    return load_config(folder / "signerd.yaml")


class PipelineWorld:
    """The parts of a daemon that one zone needs, without its event loop; can be restarted."""

    def __init__(
        self, folder: Path, *, policy: str = "", limits: JournalLimits | None = None, is_of_api: bool = False
    ) -> None:
        """Start with a zone that has no file yet.

        Args:
            folder: Empty or missing.
            policy: Options of the policy, as in the configuration.
            limits: When snapshots are written.
            is_of_api: Whether it is one of the API, which never has a file, and is signed on demand.
        """
        self._is_of_api = is_of_api
        self._kms_key: str | None = None
        self.identity = "zone-1"  # of the zone in the database, if it is of the API; as of the next restart
        shutil.copytree(make_template(), folder, dirs_exist_ok=True)
        self.config = _write_config(folder, policy)
        self.clock = FakeClock()
        self.file = folder / "zones" / "small.test.zone"
        self.directory = folder / "state" / "published" / DIRECTORY_NAME
        self.faults = Faults()
        self.stages: list[tuple[Stage, int | None]] = []
        self.on_stage: Callable[[Stage], object] = lambda stage: None
        self._limits = limits
        self._holder: CustodyHolder | None = None
        self.restart()

    def _find_faults(self) -> Faults:
        return self.faults

    def restart(self) -> None:
        """Forget all that is in memory, and find what is on the disk."""
        self.close()
        self._holder = CustodyHolder(self.config, self.clock)
        assert self._holder.open(), self._holder.reason

        def record(zone: Name, stage: Stage, serial: int | None, detail: str) -> None:
            self.stages.append((stage, serial))
            self.on_stage(stage)

        self.dnssec = DnssecDesk(self._holder, self.config.dnssec, lambda zone: None)
        self.workshop = ZoneWorkshop(
            self.config,
            self.clock,
            self._holder,
            record,
            lambda text, done, total: None,
            1,
            dnssec=SignAll(),
            wishes=self.dnssec,
        )
        entry = ZoneEntry(ORIGIN, self.file, kms_key=self._kms_key)
        if self._is_of_api:
            entry = ZoneEntry(ORIGIN, None, source=Source.API, identity=self.identity)
        self.pipeline = ZonePipeline(
            entry,
            Publication(self.directory, self._limits, FaultyFiles(lambda: self.faults.strike())),
            FaultySigner(self.workshop.make_signer(entry), self._find_faults),
            FaultyValidator(self.workshop.make_gate(entry), self._find_faults),
            self.config.policies[entry.policy].serial,
            self.workshop.parts,
        )
        self.pipeline.restore()
        self.workshop.mark_clock()  # as the daemon does at once, and every minute from then on

    @property
    def custody(self) -> Custody:
        """The database and the KMS."""
        assert self._holder is not None
        return self._holder.custody

    @property
    def scope(self) -> Scope:
        """Where the KMS keys of zones are."""
        return Scope(self.custody.platform.organisation, self.custody.platform.region)

    def name_kms_key(self, kms_key: str) -> None:
        """Restart with a KMS key named in the configuration of the zone."""
        self._kms_key = kms_key
        self.restart()

    def change_policy(self, policy: str) -> None:
        """Restart with other options of the policy."""
        self.config = _write_config(self.file.parents[1], policy)
        self.restart()

    def list_ds(self) -> Sequence[bytes]:
        """List the DS RDATA of the zone's keys."""
        return self.workshop.get_keys(self.pipeline.entry, self.config.policies["default"]).ds

    def close(self) -> None:
        """End all, as a process that ends does."""
        if self._holder is not None:
            self._holder.custody.engine.dispose()
