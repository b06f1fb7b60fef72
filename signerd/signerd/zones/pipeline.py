"""The way of a zone from its file to its published form: load, check, sign, validate, publish.

Synchronous, for a worker thread; `keeper.py` says when. What is published on disk is the only state that
counts: a crash at any point leaves the previous version or the next one there, and the run after it starts
from that. The stages are recorded all the same, so that an operator can see what happened.
"""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final, Protocol

from signerd.clock import Clock
from signerd.dns.name import Name
from signerd.dns.serial import Serial, is_newer
from signerd.dns.zone import Zone
from signerd.zones.checks import check_zone
from signerd.zones.data_change import compare_data, count_record_sets, explain_mass_deletion
from signerd.zones.file_watch import Fingerprint, take_fingerprints
from signerd.zones.master_file import Limits, load_master_file
from signerd.zones.notice import Notice, Severity
from signerd.zones.plain_zone import has_same_data, strip_signatures
from signerd.zones.publication import Publication
from signerd.zones.rejected import keep_rejected
from signerd.zones.serial_policy import SerialPolicy, decide_serial
from signerd.zones.zone_edit import ZoneEdit, apply_edit
from signerd.zones.zone_list import Source, ZoneEntry

logger = logging.getLogger(__name__)

NEVER: Final = 2**62  # when an unsigned version must be signed again

Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, how much there is


class Stage(StrEnum):
    """How far a version has come."""

    LOADED = "loaded"
    CHECKED = "checked"
    SIGNED = "signed"
    VALIDATED = "validated"
    PUBLISHED = "published"
    REJECTED = "rejected"
    FAILED = "failed"


class PipelineError(Exception):
    """Base of what keeps a version from being published; the previous one stays in service."""

    code: ClassVar[str] = "zone.failed"


class ZoneFileRefused(PipelineError):
    """The zone file has errors; the notices say which."""

    code = "zone.file_refused"


class VersionRejected(PipelineError):
    """The validator did not accept what the signer made."""

    code = "zone.version_rejected"


class SigningImpossible(PipelineError):
    """The zone cannot be signed now: its key, its policy or the clock does not allow it."""

    code = "zone.signing_impossible"


class SourceUnavailable(PipelineError):
    """The data of a zone of the API cannot be read now."""

    code = "zone.source_unavailable"


class NoSource(PipelineError):
    """There is neither a readable zone file nor a published version."""

    code = "zone.no_source"


@dataclass(frozen=True, slots=True)
class SignedVersion:
    """What the signer made.

    Attributes:
        zone: The signed zone; without anything of DNSSEC if `is_signed` is false.
        ds: DS RDATA of the keys that a parent may point to.
        new_signatures: How many were made; the others were kept.
        next_due: When the first of all is to be made again, epoch seconds; None for an unsigned version.
        is_signed: Whether it must be valid under DNSSEC, or must have nothing of it.
        problem: Why it has signatures that are due already; None if it has none such.
        unpublished: DNSKEY RDATA of keys that sign in it and are not in it.
    """

    zone: Zone
    ds: tuple[bytes, ...]
    new_signatures: int
    next_due: int | None
    is_signed: bool = True
    problem: str | None = None
    unpublished: tuple[bytes, ...] = ()


class ZoneSigner(Protocol):
    """Signs versions of one zone. Raises SigningImpossible where it cannot."""

    def find_due(self, published: Zone, unsigned: Zone) -> int | None:
        """Say when the published version must be signed again, in epoch seconds, or NEVER.

        None if it must be now for another reason than time: other keys or another policy.
        """
        ...

    def sign(
        self, unsigned: Zone, previous: Zone | None, serial: Serial, progress: Callable[[int, int], None]
    ) -> SignedVersion:
        """Sign a version, keeping every signature of the previous one that is still good."""
        ...


class ZoneValidator(Protocol):
    """Accepts or rejects the versions of one zone."""

    def __call__(
        self, version: SignedVersion, previous: Zone | None, progress: Callable[[int, int], None]
    ) -> Sequence[str]:
        """Give the reasons against the version; none accepts it."""
        ...

    def check_published(self, zone: Zone) -> Sequence[str]:
        """Look at the published version as a whole again, in another thread than everything else.

        Raises:
            SigningImpossible: It is not known what keys to expect.
        """
        ...


class ApiRows(Protocol):
    """The stored data of zones of the API."""

    def read(self, entry: ZoneEntry) -> tuple[Zone, int]:
        """Give the zone, unsigned, and the version of its data.

        Raises:
            SourceUnavailable: It cannot be read, or was deleted.
        """
        ...

    def note_published(self, entry: ZoneEntry, data_version: int, serial: int) -> None:
        """Note with which serial the changes up to a version of the data are served; never raises."""
        ...


EventSink = Callable[[Name, Stage, int | None, str], None]  # zone, stage, serial, detail


@dataclass(slots=True)
class ZoneState:
    """What is known of a zone; changed by its pipeline alone, read by anyone.

    Attributes:
        published: The version in service.
        unsigned: The zone's data as last accepted; from the file, or from the published version.
        source_serial: Serial of the zone file as last accepted.
        notices: What the last reading of the file had to say.
        files: All files of the zone, as they looked when they were last read.
        file_error: Why the file was refused when it was last read; None if it was taken.
        last_error: Why the last attempt to sign and publish came to nothing; None if it did not.
        failed_at: Since when there has been an error.
        check_error: What was wrong with the published version when it was last looked at as a whole; it is
            signed anew then, with nothing kept.
        next_due: When signatures must be made again, epoch seconds.
        floor: Newest serial ever seen for this zone.
        data_version: Of a zone of the API: version of its data as last read.
        published_data_version: Likewise, of the data in service.
    """

    published: Zone | None = None
    unsigned: Zone | None = None
    source_serial: int | None = None
    notices: tuple[Notice, ...] = ()
    files: Mapping[Path, Fingerprint | None] = field(default_factory=dict[Path, Fingerprint | None])
    file_error: str | None = None
    last_error: str | None = None
    failed_at: int | None = None
    check_error: str | None = None
    next_due: int | None = None
    floor: int | None = None
    data_version: int | None = None
    published_data_version: int | None = None


@dataclass(frozen=True, slots=True)
class PipelineParts:
    """What the pipelines of all zones share."""

    clock: Clock
    directory: Path
    rejected: Path
    limits: Limits
    record: EventSink
    progress: Progress
    api_rows: ApiRows | None = None


class ZonePipeline:
    """One zone's pipeline. Not for use by two threads at a time."""

    def __init__(
        self,
        entry: ZoneEntry,
        publication: Publication,
        signer: ZoneSigner,
        validate: ZoneValidator,
        serial_policy: SerialPolicy,
        parts: PipelineParts,
    ) -> None:
        """Prepare; `restore` comes first."""
        self.entry = entry
        self.state = ZoneState()
        self._publication = publication
        self._signer = signer
        self._validate = validate
        self._serial_policy = serial_policy
        self._published_data: Zone | None = None  # plain data known to be that of the published version
        self._parts = parts
        self._is_distrusted = False  # that what is published is good
        self._cause = ""

    def restore(self) -> None:
        """Find the version that is published, as a start or a restart leaves it."""
        loaded = self._publication.load()
        for problem in loaded.problems:
            logger.warning("zone %s: %s", self.entry.text, problem)
        self.state.published = loaded.zone
        self.state.floor = loaded.newest_serial
        if loaded.zone is not None:
            self.state.unsigned = self._published_data = strip_signatures(loaded.zone)

    def advance(
        self,
        *,
        read_file: bool,
        edit: ZoneEdit | None = None,
        allow_mass_deletion: bool = False,
        announce: Callable[[], None] = lambda: None,
    ) -> bool:
        """Bring the zone up to date: read its file if asked, sign what changed or is due, and publish.

        A file that is refused is noted in the state, and the data as last accepted is signed on. What a small
        edit takes hardly depends on the size of the zone.

        Args:
            read_file: Whether the zone's data is read again, from its file or the database.
            edit: A change of the data as last accepted, as `check_edit` allows; all data, the apex among it,
                if there was none. It stays, also if it cannot be published now.
            allow_mass_deletion: Whether the file may leave out any part of what is served.
            announce: Called when a new version is published, before what is left to be noted and tidied up.

        Returns:
            Whether a new version was published.

        Raises:
            PipelineError: Nothing was published; the reason is also in the state.
            OSError: The disk refused; nothing was published.
        """
        unsigned = self.state.unsigned
        if read_file:
            try:
                unsigned = self._read(allow_mass_deletion=allow_mass_deletion)
            except ZoneFileRefused as error:
                self._note_file_error(str(error))
            except SourceUnavailable as error:
                self._note_failure(error)
                raise
            else:
                self.state.file_error = None
        if edit and (unsigned is not None or self.entry.name in edit):
            base = Zone(self.entry.name, {}) if unsigned is None else unsigned
            unsigned = self.state.unsigned = apply_edit(base, edit)
        try:
            if unsigned is None:
                raise NoSource(self.state.file_error or "its file was not read yet")
            published = self._publish_if_needed(unsigned, announce)
        except (PipelineError, OSError) as error:
            self._note_failure(error)
            raise
        self.state.last_error = None
        self.state.failed_at = None
        self._note_data_version()
        return published

    def check_published(self) -> bool:
        """Look at the published version as a whole again; may run beside everything else.

        Returns:
            Whether it is good. If not, the next `advance` signs all of the zone.

        Raises:
            SigningImpossible: That cannot be told now.
        """
        published = self.state.published
        if published is None:
            return True
        reasons = self._validate.check_published(published)
        if not reasons:
            self.state.check_error = None
            return True
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        text = f"the published version {published.serial} is not good: {reasons[0]}{more}"
        logger.error("zone %s: %s; all of it is signed anew", self.entry.text, text)
        self._parts.record(self.entry.name, Stage.REJECTED, published.serial, text)
        self.state.check_error = text
        self._is_distrusted = True
        return False

    def _note_data_version(self) -> None:
        version, current = self.state.data_version, self.state.published
        if version is None or current is None or version == self.state.published_data_version:
            return
        self.state.published_data_version = version
        if self._parts.api_rows is not None:
            self._parts.api_rows.note_published(self.entry, version, current.serial)

    def _note_file_error(self, text: str) -> None:
        if self.state.file_error != text:
            logger.error("zone %s: %s", self.entry.text, text)
            self._parts.record(self.entry.name, Stage.FAILED, None, text)
        self.state.file_error = text

    def _note_failure(self, error: Exception) -> None:
        text = str(error)
        if text not in {self.state.last_error, self.state.file_error}:  # those were told before
            logger.error("zone %s: %s", self.entry.text, text)
            stage = Stage.REJECTED if isinstance(error, VersionRejected) else Stage.FAILED
            self._parts.record(self.entry.name, stage, None, text)
        if self.state.last_error is None:
            self.state.failed_at = self._parts.clock.now()
        self.state.last_error = text

    def _read(self, *, allow_mass_deletion: bool) -> Zone:
        """Read and check the data; as last accepted it stays what it is when there are errors."""
        if self.entry.source is Source.API:
            if self._parts.api_rows is None:
                raise SourceUnavailable(f"zone {self.entry.text} is kept in the database, which is not open")
            # its rules were checked when the rows were stored
            self.state.unsigned, self.state.data_version = self._parts.api_rows.read(self.entry)
            return self.state.unsigned
        if self.entry.file is None:
            # zones of the API are not known as such before the database was open
            raise ZoneFileRefused(
                "it has no file any more; unless it is kept over the API, "
                f"'signerd forget {self.entry.text}' would end its service"
            )
        self.state.files = take_fingerprints([self.entry.file, *self.state.files])
        with self._show("reading") as progress:
            loaded = load_master_file(
                self.entry.file,
                self.entry.name,
                directory=self._parts.directory,
                limits=self._parts.limits,
                progress=progress,
            )
        # What was included is known only now. Looked at before the reading where possible: a change in
        # between is then seen as one.
        looks = take_fingerprints(loaded.files)
        self.state.files = {file: self.state.files.get(file, look) for file, look in looks.items()}
        notices = loaded.notices
        if loaded.zone is not None:
            notices += tuple(check_zone(loaded.zone, loaded.positions.find))
        self.state.notices = notices
        errors = [notice for notice in notices if notice.severity is Severity.ERROR]
        if loaded.zone is None or errors:
            first = str(errors[0]) if errors else f"{self.entry.file}: cannot be read"
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise ZoneFileRefused(first + more)
        if not allow_mass_deletion:
            self._refuse_mass_deletion(loaded.zone)
        self.state.source_serial = loaded.zone.serial
        self.state.unsigned = loaded.zone  # also if it cannot be signed now: the next attempt takes it
        return loaded.zone

    def _refuse_mass_deletion(self, zone: Zone) -> None:
        """Keep what is served when a file was cut off or exchanged by mistake."""
        if (served := self.state.unsigned) is None or served is zone:
            return
        before, removed = count_record_sets(served), compare_data(served, zone).removed
        reason = explain_mass_deletion(before, removed, self._parts.limits.deletion_percent)
        if reason is not None:
            raise ZoneFileRefused(
                f"{self.entry.file}: {reason}: 'signerd reload --allow-mass-deletion {self.entry.text}'"
            )

    def _publish_if_needed(self, unsigned: Zone, announce: Callable[[], None]) -> bool:
        """Go through the stages with the data given, unless the published version says it all."""
        published = self.state.published
        self._cause = "first version"
        if published is not None and self._is_up_to_date(published, unsigned):
            return False
        now = self._parts.clock.now()
        name, record = self.entry.name, self._parts.record
        record(name, Stage.LOADED, unsigned.serial, f"{len(unsigned.names)} names")
        floor = self.state.floor
        if published is not None and (floor is None or is_newer(published.serial, floor)):
            floor = published.serial
        source = unsigned.serial
        if self.entry.source is Source.API:  # there is no serial to follow but the one that is served
            source = Serial(now % 2**32) if floor is None else Serial(floor)
        serial = decide_serial(self._serial_policy, published=floor, source=source, now=now)
        record(name, Stage.CHECKED, serial, f"from serial {unsigned.serial}")
        is_distrusted, self._is_distrusted = self._is_distrusted, False
        try:
            with self._show("signing") as progress:
                base = None if is_distrusted else published
                version = self._signer.sign(unsigned, base, serial, progress)
            self._check(version, published, serial)
            self._publish(version, published, serial, announce)
        except BaseException:
            self._is_distrusted |= is_distrusted
            raise
        if is_distrusted:
            self.state.check_error = None
        self._published_data = unsigned
        self.state.next_due = version.next_due
        record(name, Stage.PUBLISHED, serial, f"{self._cause}; {version.new_signatures} new signatures")
        return True

    def _check(self, version: SignedVersion, published: Zone | None, serial: Serial) -> None:
        text, name, record = self.entry.text, self.entry.name, self._parts.record
        record(name, Stage.SIGNED, serial, f"{version.new_signatures} new signatures")
        with self._show("validating") as progress:
            reasons = self._validate(version, published, progress)
        if reasons:
            kept = keep_rejected(self._parts.rejected, version.zone, reasons)
            raise VersionRejected(
                f"version {serial} of zone {text} was rejected: {reasons[0]}"
                + (f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else "")
                + f"; kept in {kept}"
            )
        record(name, Stage.VALIDATED, serial, "")

    def _publish(
        self, version: SignedVersion, published: Zone | None, serial: Serial, announce: Callable[[], None]
    ) -> None:
        def take_over() -> None:
            self.state.published = version.zone
            announce()

        # Also if publishing fails: a reader may have seen the version, so its serial must mean no other one.
        self.state.floor = serial
        with self._show("writing") as progress:
            problems = self._publication.publish(version.zone, published, progress, take_over)
        for problem in problems:
            logger.warning("zone %s: %s", self.entry.text, problem)

    @contextmanager
    def _show(self, doing: str) -> Generator[Callable[[int, int], None]]:
        """Give what takes in progress for the block's duration."""
        text, progress = f"{doing} {self.entry.text}", self._parts.progress
        try:
            yield lambda done, total: progress(text, done, total)
        finally:
            progress(text, 1, 1)  # whatever came of it, it goes on no more

    def _is_up_to_date(self, published: Zone, unsigned: Zone) -> bool:
        if self._is_distrusted:
            self._cause = "what was published was not good"
            return False
        if unsigned is not self._published_data:
            data = strip_signatures(published) if self._published_data is None else self._published_data
            if not has_same_data(data, unsigned):
                self._cause = self._explain_change(data, unsigned)
                return False
            self._published_data = unsigned
        if (
            self._serial_policy is SerialPolicy.INCREMENT
            and self.entry.source is Source.FILE
            and is_newer(unsigned.serial, published.serial)
        ):
            self._cause = f"the serial in the file rose to {unsigned.serial}"
            return False  # the operator counted on; the served serial follows
        due = self._signer.find_due(published, unsigned)
        self._note_due(due)
        self._cause = "keys or policy changed" if due is None else "signatures were due"
        return due is not None and due > self._parts.clock.now()

    def _explain_change(self, before: Zone, after: Zone) -> str:
        if self.entry.source is Source.API:
            return f"records changed, up to data version {self.state.data_version}"
        return f"{self.entry.file or 'its data'} changed: {compare_data(before, after)}"

    def _note_due(self, due: int | None) -> None:
        self.state.next_due = None if due == NEVER else due
