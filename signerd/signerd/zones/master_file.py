"""Master files, the text form of zones (RFC 1035, section 5; RFC 2308, section 4; RFC 3597, section 5)."""

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import dns.rdatatype

from signerd.dns import rdatatype as rt
from signerd.dns.name import BadName, Name, fold_case, format_name, parse_name
from signerd.dns.rrset import MAX_TTL
from signerd.dns.zone import Zone
from signerd.zones.generate import parse_generate
from signerd.zones.notice import Notice, NoticeList, Severity
from signerd.zones.rdata_reader import BadRdata, RdataReader
from signerd.zones.record_collection import Place, Positions, RecordCollection
from signerd.zones.tokens import BadToken, Entry, has_quotes, parse_ttl, split_entries

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CLASSES = frozenset({"IN", "CLASS1"})
_OTHER_CLASSES = frozenset({"CH", "HS", "CS", "ANY", "NONE"})
_TYPES = {name.upper(): int(number) for name, number in dns.rdatatype.RdataType.__members__.items()}
_TYPES["NSAP-PTR"] = _TYPES.pop("NSAP_PTR", 23)
_REPORT_LINES = 4096  # some ten milliseconds of reading


def _ignore_progress(done: int, total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one zone file may ask for: protects memory and time from a file that is not what it should be."""

    generate: int = 65_536  # records that one $GENERATE line makes
    records: int = 10_000_000
    include_depth: int = 8  # $INCLUDE inside $INCLUDE
    file_size: int = 1 << 30  # octets of each file
    deletion_percent: int = 30  # of a zone's record sets that a new version of its file may leave out


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """What a zone file holds.

    Attributes:
        zone: None if there are errors among the notices.
        notices: In the order in which they were found.
        files: Every file that was read or could not be read, for watching; the zone file comes first.
        positions: Finds the place of an RRset, for what the semantic checks have to say.
    """

    zone: Zone | None
    notices: tuple[Notice, ...]
    files: tuple[Path, ...]
    positions: Positions


class RecordSink(Protocol):
    """Takes records.

    Attributes:
        count: How many it was given.
    """

    count: int

    def add(self, owner: Name, rdatatype: int, ttl: int, rdata: bytes, place: Place) -> None:
        """Take one record; the owner is lower-cased."""
        ...


class UnusableFile(Exception):
    """A file cannot be read as a master file; the text says why, without its name."""


class _TooManyErrors(Exception):
    """Reading on would only tell more of the same."""


class _BadEntry(ValueError):
    """An entry that is not well-formed; the text says why."""


def load_master_file(
    path: Path,
    origin: Name,
    *,
    directory: Path,
    limits: Limits | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LoadedFile:
    """Read a zone file and what it includes. Nothing is ever written.

    All errors, up to a hundred, are collected as notices; bad content raises no exception.

    Args:
        path: The zone file.
        origin: The apex, lower-cased; names without trailing dot are relative to it at first.
        directory: Files named by $INCLUDE must be inside, after symbolic links are resolved.
        limits: Bounds on what is read; None for the defaults.
        progress: Called now and then with lines read and to read of the zone file, included files apart.
    """
    notices = NoticeList()
    collection = RecordCollection(origin, notices)
    reader = _Reader(origin, directory, limits or Limits(), progress or _ignore_progress, notices, collection)
    try:
        reader.read_file(path)
    except UnusableFile as error:
        reader.notices.add(Severity.ERROR, str(path), None, str(error))
    except _TooManyErrors:
        reader.notices.add(Severity.NOTICE, str(path), None, "too many errors: the rest was not read")
    failed = notices.has_errors and not collection.drafts
    zone = None if failed else collection.make_zone(str(path))
    return LoadedFile(zone, notices.finish(), tuple(reader.files), Positions(collection.drafts))


def read_records(
    text: str, origin: Name, sink: RecordSink, *, max_records: int, default_ttl: int
) -> tuple[Notice, ...]:
    """Read the records of a text that came from afar: it may include and generate nothing.

    Args:
        text: One character for each octet.
        origin: Names without trailing dot are relative to it at first.
        sink: Takes the records, whatever their owner and type.
        max_records: With one more there is an error.
        default_ttl: Of records without TTL before any that states one, without $TTL.

    Returns:
        What is wrong; with errors among it the records are not all there.
    """
    notices = NoticeList()
    limits = Limits(records=max_records)
    reader = _Reader(origin, None, limits, _ignore_progress, notices, sink, default_ttl)
    with suppress(_TooManyErrors):  # the first ones say enough
        reader.read_entries(text, None, "the text")
    return notices.finish()


def read_text(path: Path, limit: int) -> str:
    """Read a regular file as one character for each octet.

    Args:
        path: Opened without waiting, so a FIFO does not hang the reader.
        limit: Most octets.

    Raises:
        UnusableFile: Missing, not permitted, not a regular file, too large, or with NUL octets.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UnusableFile("not a regular file")
            if status.st_size > limit:
                raise UnusableFile(f"{status.st_size} octets; {limit} are allowed")
            octets = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL octet in the path
        raise UnusableFile(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(octets) > limit:
        raise UnusableFile(f"more than {limit} octets")
    if (position := octets.find(0)) >= 0:
        line = octets.count(b"\n", 0, position) + 1
        raise UnusableFile(f"NUL octet in line {line}: not a text file, or in UTF-16")
    return octets.removeprefix(_BYTE_ORDER_MARK).decode("latin-1")


class _Reader:
    """State of reading one zone file with what it includes."""

    def __init__(
        self,
        origin: Name,
        directory: Path | None,
        limits: Limits,
        progress: Callable[[int, int], None],
        notices: NoticeList,
        collection: RecordSink,
        last_ttl: int | None = None,
    ) -> None:
        self.notices = notices
        self.collection = collection
        self.files: dict[Path, None] = {}
        self._directory = directory
        self._limits = limits
        self._progress = progress
        self._rdata = RdataReader(origin)
        self._origin = origin
        self._owner: Name | None = None
        self._default_ttl: int | None = None  # of $TTL (RFC 2308, section 4)
        self._last_ttl = last_ttl  # without $TTL the last one stated (RFC 1035, section 5.1)
        self._open_files: list[Path] = []  # resolved, outermost first
        self._types = dict(_TYPES)  # also as spelled in the file
        self._owners: tuple[str, Name] = ("", origin)  # the last one, as in the file and as a name
        self._stated_ttl: tuple[str, int] = ("", 0)  # likewise

    def read_file(self, path: Path) -> None:
        """Read one file to its end.

        Raises:
            UnusableFile: It cannot be read at all.
        """
        self.files[path] = None
        try:
            resolved = path.resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
            raise UnusableFile(f"cannot be read: {error}") from error
        text = read_text(path, self._limits.file_size)
        self._open_files.append(resolved)
        self.read_entries(text, path, str(path))
        self._open_files.pop()

    def read_entries(self, text: str, path: Path | None, name: str) -> None:
        """Read the text of one file, or a text that is in none."""
        is_zone_file = len(self._open_files) <= 1
        lines = text.count("\n") + 1
        report_at = _REPORT_LINES if is_zone_file else lines + 1
        for entry in split_entries(text):
            place = Place(name, entry.line)
            if entry.line >= report_at:
                self._progress(entry.line, lines)
                report_at = entry.line + _REPORT_LINES
            try:
                if entry.problem is not None:
                    raise _BadEntry(entry.problem)
                if entry.has_owner and entry.tokens[0][0] == "$":
                    self._follow_directive(entry, path, place)
                else:
                    self._read_record(entry, place)
            except (_BadEntry, BadName, BadToken, BadRdata) as error:
                self.notices.add(Severity.ERROR, name, entry.line, str(error))
                if self.notices.is_full_of_errors:
                    raise _TooManyErrors from error
        if is_zone_file:
            self._progress(lines, lines)

    def _read_record(self, entry: Entry, place: Place) -> None:
        tokens = entry.tokens
        if entry.has_owner:
            owner = self._parse_owner(tokens[0])
            self._owner = owner
            position = 1
        elif self._owner is None:
            raise _BadEntry("no owner name: the line begins with a blank, and no record is before it")
        else:
            owner = self._owner
            position = 0
        self._add_record(owner, tokens, position, place)

    def _parse_owner(self, text: str) -> Name:
        if text == self._owners[0]:
            return self._owners[1]
        if has_quotes(text):
            raise _BadEntry(f"quoted owner name {text[:80]}")
        owner = fold_case(parse_name(text, self._origin))
        self._owners = text, owner
        return owner

    def _add_record(self, owner: Name, tokens: Sequence[str], position: int, place: Place) -> None:
        """Read TTL, class and type in any order that makes sense, then the data."""
        ttl: int | None = None
        has_class = False
        end = len(tokens)
        while True:
            if position == end:
                raise _BadEntry("no type")
            token = tokens[position]
            position += 1
            rdatatype = self._types.get(token)
            if rdatatype is not None:
                break
            upper = token.upper()
            if upper in _CLASSES and not has_class:
                has_class = True
            elif ttl is None and token == self._stated_ttl[0]:
                ttl = self._stated_ttl[1]
            elif token[0].isdecimal() and ttl is None and (seconds := parse_ttl(token)) is not None:
                ttl = _check_ttl(seconds)
                self._stated_ttl = token, ttl
            elif upper in _OTHER_CLASSES or upper.startswith("CLASS"):
                raise _BadEntry(f"class {token[:40]}; only IN is served")
            else:
                rdatatype = self._types[token] = _find_type(token)
                break
        if rt.is_meta(rdatatype):
            raise _BadEntry(f"type {rt.format_type(rdatatype)} cannot stand in a zone")
        try:
            rdata = self._rdata.read(rdatatype, tokens[position:])
        except BadRdata as error:
            raise _BadEntry(f"{format_name(owner)} {rt.format_type(rdatatype)}: {error}") from error
        if ttl is not None:
            self._last_ttl = ttl
        else:
            ttl = self._choose_ttl(rdatatype, rdata, place)
        if self.collection.count >= self._limits.records:
            self.notices.add(
                Severity.ERROR,
                place.file,
                place.line,
                f"more than {self._limits.records} records in the zone",
            )
            raise _TooManyErrors
        self.collection.add(owner, rdatatype, ttl, rdata, place)

    def _choose_ttl(self, rdatatype: int, rdata: bytes, place: Place) -> int:
        if self._default_ttl is not None:
            return self._default_ttl
        if self._last_ttl is None:
            if rdatatype != rt.SOA:
                raise _BadEntry("no TTL, and neither $TTL nor a record with a TTL is before it")
            self._last_ttl = _check_ttl(int.from_bytes(rdata[-4:]))  # as named does
            reason = f"no TTL and no $TTL; the SOA minimum, {self._last_ttl}, is used"
            self.notices.add(Severity.WARNING, place.file, place.line, reason)
        return self._last_ttl

    def _follow_directive(self, entry: Entry, path: Path | None, place: Place) -> None:
        directive, *arguments = entry.tokens
        match directive.upper():
            case "$ORIGIN":
                self._set_origin(self._parse_owner(_only(arguments, "$ORIGIN takes one name")))
            case "$TTL":
                text = _only(arguments, "$TTL takes one time")
                if (seconds := parse_ttl(text)) is None:
                    raise _BadEntry(f"$TTL: '{text[:40]}' is not a time such as 3600 or 1h30m")
                self._default_ttl = _check_ttl(seconds)
            case "$INCLUDE" | "$GENERATE" if path is None:
                raise _BadEntry(f"{directive.upper()} is not allowed here")
            case "$INCLUDE" if path is not None:
                self._include(arguments, path, place)
            case "$GENERATE":
                self._generate(arguments, place)
            case _:
                raise _BadEntry(
                    f"unknown directive {directive[:40]}; $ORIGIN, $TTL, $INCLUDE, $GENERATE are known"
                )

    def _set_origin(self, origin: Name) -> None:
        self._origin = origin
        self._owners = "", origin
        self._rdata.set_origin(origin)

    def _include(self, arguments: Sequence[str], path: Path, place: Place) -> None:
        """Read another file; origin and owner are then as before (RFC 1035, section 5.1), $TTL stays."""
        if not 1 <= len(arguments) <= 2:
            raise _BadEntry("$INCLUDE takes a file and, if wanted, an origin")
        name = arguments[0][1:-1] if arguments[0][0] == '"' else arguments[0]
        origin, owner = self._origin, self._owner
        inner_origin = self._parse_owner(arguments[1]) if len(arguments) == 2 else origin
        target = self._locate(name, path)
        if len(self._open_files) > self._limits.include_depth:
            raise _BadEntry(f"$INCLUDE {name}: more than {self._limits.include_depth} files deep")
        opened = len(self._open_files)
        self._set_origin(inner_origin)
        try:
            self.read_file(target)
        except UnusableFile as error:
            raise _BadEntry(f"$INCLUDE {name}: {target} {error}") from error
        finally:
            del self._open_files[opened:]
            self._set_origin(origin)
            self._owner = owner

    def _locate(self, name: str, path: Path) -> Path:
        """Find an included file: named relative to the file that includes it, and inside the directory."""
        try:
            name = name.encode("latin-1").decode()
            directory = (self._directory or path.parent).resolve()
            target = (path.parent / name).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise _BadEntry(f"$INCLUDE {name[:200]}: {error}") from error
        if not target.is_relative_to(directory):
            raise _BadEntry(f"$INCLUDE {name}: {target} is outside of the zone directory {directory}")
        if target in self._open_files:
            raise _BadEntry(f"$INCLUDE {name}: the file includes itself")
        return target

    def _generate(self, arguments: Sequence[str], place: Place) -> None:
        generator = parse_generate(arguments, self._limits.generate)
        for owner_text, *rest in generator.iterate():
            self._add_record(self._parse_owner(owner_text), rest, 0, place)


def _only(arguments: Sequence[str], reason: str) -> str:
    if len(arguments) != 1:
        raise _BadEntry(reason)
    return arguments[0]


def _check_ttl(seconds: int) -> int:
    # RFC 2181, section 8, has receivers take larger ones for 0. In a file they are a slip: refused.
    if seconds > MAX_TTL:
        raise _BadEntry(f"TTL {seconds} is larger than {MAX_TTL} (RFC 2181, section 8)")
    return seconds


def _find_type(token: str) -> int:
    upper = token.upper()
    if (known := _TYPES.get(upper)) is not None:
        return known
    digits = upper.removeprefix("TYPE")
    if (
        upper != digits
        and digits.isdecimal()
        and digits.isascii()
        and len(digits) <= 5
        and int(digits) <= 65_535
    ):
        return int(digits)
    raise _BadEntry(f"'{token[:40]}' is neither a type nor a TTL or class")
