"""The status as a table for people."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from signerd.alarm.alarm import format_age
from signerd.cli.status_report import (
    AlarmStatus,
    KeyStatus,
    KmsStatus,
    ParentNoticeStatus,
    StatusReport,
    ZoneStatus,
)
from signerd.config.quantity import format_duration

PLAIN_COLUMNS = 100_000  # a file or pipe has no width: nothing is cut or wrapped
_GOOD_STATES = frozenset({"published", "serving", "signed"})
_SOON_SECONDS = 3 * 86400  # a runway shorter than this is shown in red
_NOTHING = "-"


def print_status(report: StatusReport, file: IO[str], *, is_verbose: bool, width: int | None = None) -> None:
    """Print the report, fitted to a terminal or plain for anything else.

    Args:
        report: What to print.
        file: Where to.
        is_verbose: With all that is known of each zone and responder.
        width: Columns of the terminal, None to ask it.
    """
    is_terminal = file.isatty() or width is not None
    console = make_console(file, width)
    if report.running:
        console.print(_describe_server(report), soft_wrap=not is_terminal)
    if report.zones:
        _print_table(console, _tabulate_zones(report.zones))
    else:
        console.print("no zones")
    print_alarms(console, report.alarms)
    if is_verbose:
        for zone in report.zones:
            _print_details(console, zone)
        if report.responders:
            console.print()
            _print_table(console, _tabulate_responders(report))
        return
    for zone in report.zones:
        if zone.last_error is not None:
            console.print(Text(f"{clean_text(zone.name)}: {clean_text(zone.last_error)}", style="red"))
        changes = zone.key_changes
        if changes is not None and (changes.needs_person or changes.is_changing):
            again = (
                f" It looks again at {format_time(changes.looks_again_at)}." if changes.looks_again_at else ""
            )
            style = "red" if changes.problem is not None else "yellow" if changes.needs_person else ""
            console.print(
                Text(f"{clean_text(zone.name)}: {clean_text(changes.sentence)}{again}", style=style)
            )


def make_console(file: IO[str], width: int | None = None) -> Console:
    """Make what prints to a terminal or, plain, to anything else."""
    is_terminal = file.isatty() or width is not None
    return Console(
        file=file,
        width=width if is_terminal else PLAIN_COLUMNS,
        force_terminal=is_terminal if width is None else False,
        highlight=False,
        emoji=False,
        markup=False,
    )


def print_alarms(console: Console, alarms: Sequence[AlarmStatus]) -> None:
    """Print how many alarms there are, and a line for each; nothing if there is none."""
    if not alarms:
        return
    console.print(Text(f"{len(alarms)} alarm{'s' if len(alarms) > 1 else ''}", style="red bold"))
    for alarm in alarms:
        place = f"zone {alarm.zone}: " if alarm.zone else ""
        who = f"; {alarm.who} must act" if alarm.who else ""
        age = f"for {format_age(int(alarm.age_seconds))}"
        console.print(Text(clean_text(f"  {alarm.code} {age}: {place}{alarm.text}{who}"), style="red"))


def _describe_server(report: StatusReport) -> str:
    alive = sum(responder.alive for responder in report.responders)
    parts = [_show_count(alive, "responder")]
    if report.addresses:
        parts.append(f"on {' '.join(report.addresses)}")
    if report.admin is not None:
        parts.append(f"admin on {report.admin}")
    if report.started_at is not None:
        parts.append(f"since {format_time(report.started_at)}")
    if report.kms is not None:
        reason = f" ({report.kms.reason})" if report.kms.reason else ""
        parts.append(f"KMS {report.kms.state}{reason}")
    return clean_text(", ".join(parts))


def print_seals(status: KmsStatus, file: IO[str], *, width: int | None = None) -> None:
    """Print the state of the KMS and its seals."""
    is_terminal = file.isatty() or width is not None
    console = Console(
        file=file,
        width=width if is_terminal else PLAIN_COLUMNS,
        highlight=False,
        emoji=False,
        markup=False,
    )
    reason = f": {status.reason}" if status.reason else ""
    console.print(clean_text(f"the KMS is {status.state}{reason}"), soft_wrap=not is_terminal)
    table = _make_table((("SEAL", False), ("TYPE", False), ("HOLDS ROOT KEY", False), ("WRAPPED", False)))
    for seal in status.seals:
        held = {True: f"generation {_show(seal.root_generation)}", False: "no: reseal", None: "unknown"}
        table.add_row(
            Text(clean_text(seal.id)),
            Text(clean_text(seal.kind or "not configured")),
            held[seal.holds_root_key],
            _show_time(seal.wrapped_at) or _NOTHING,
        )
    _print_table(console, table)
    if status.needs_rewrap:
        console.print("old key-encryption keys are kept, for a day or until nothing needs them")


def _print_table(console: Console, table: Table) -> None:
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        console.out(line.rstrip(), highlight=False)


def _make_table(columns: Iterable[tuple[str, bool]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, is_number in columns:
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    return table


def _tabulate_zones(zones: Sequence[ZoneStatus]) -> Table:
    table = _make_table(
        (
            ("ZONE", False),
            ("STATE", False),
            ("SERIAL", True),
            ("RECORDS", True),
            ("KEYS", False),
            ("RUNWAY", True),
        )
    )
    for zone in zones:
        runway = _NOTHING if zone.runway_seconds is None else format_runway(int(zone.runway_seconds))
        is_short = zone.runway_seconds is not None and zone.runway_seconds < _SOON_SECONDS
        table.add_row(
            Text(clean_text(zone.name)),
            Text(clean_text(zone.state), style="green" if zone.state in _GOOD_STATES else "yellow"),
            _show(zone.serial),
            _show(zone.records),
            Text(" ".join(map(_name_key, zone.keys)) or _NOTHING),
            Text(runway, style="red" if is_short else ""),
        )
    return table


def _tabulate_responders(report: StatusReport) -> Table:
    table = _make_table(
        (("RESPONDER", True), ("STATE", False), ("QUERIES", True), ("RESTARTS", True), ("ZONES", True))
    )
    for responder in report.responders:
        table.add_row(
            str(responder.pid),
            "alive" if responder.alive else "gone",
            _show(responder.queries),
            str(responder.restarts),
            _show_count(responder.loaded),
        )
    return table


def _print_details(console: Console, zone: ZoneStatus) -> None:
    console.print()
    console.print(Text(clean_text(zone.name), style="bold"))
    details: list[tuple[str, str | None]] = [
        ("policy", zone.policy),
        ("serial", f"{_show(zone.serial)} (zone file: {_show(zone.source_serial)})"),
        ("signed", _show_signed(zone.signed)),
        ("next refresh", _show_time(zone.next_refresh_at)),
        ("first expiry", _show_time(zone.expires_at)),
        ("served by", _show_count(zone.served_by, "responder")),
        *((key.role, _describe_key(key)) for key in zone.keys),
        ("key changes", None if zone.key_changes is None else zone.key_changes.sentence),
        ("error", zone.last_error),
        ("parent notice", _describe_parent_notice(zone.parent_notice)),
        *(("notice", notice) for notice in zone.notices),
    ]  # fmt: skip
    for name, value in details:
        if value:
            console.print(Text(f"  {name + ':':<14} {clean_text(value)}"))


def _name_key(key: KeyStatus) -> str:
    return f"{key.role}:{key.tag}/{key.algorithm}"


def _describe_key(key: KeyStatus) -> str:
    return f"{key.tag} algorithm {key.algorithm} {key.kms_key or ''}".rstrip()


def _show(number: int | None) -> str:
    return _NOTHING if number is None else str(number)


def _show_time(seconds: float | None) -> str | None:
    return None if seconds is None else format_time(seconds)


def _show_signed(signed: int | str | None) -> str | None:
    if isinstance(signed, bool):
        return "yes" if signed else "no"
    return None if signed is None else str(signed)


def _show_count(counted: int | list[int] | dict[str, int] | None, noun: str = "") -> str:
    """Print a number, or how many there are in a list of what is counted."""
    if counted is None:
        return _NOTHING
    number = counted if isinstance(counted, int) else len(counted)
    return f"{number} {noun if number == 1 else f'{noun}s'}" if noun else str(number)


def clean_text(text: str) -> str:
    """Take out what could steer the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def format_time(seconds: float) -> str:
    """Print a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def format_runway(seconds: int) -> str:
    """Print a runway in its two largest units: `13d5h`, `5h3m`."""
    if seconds <= 0:
        return "expired"
    for length in (86400, 3600, 60):
        if seconds >= length:
            smaller = max(length // 24 if length == 86400 else length // 60, 1)
            return format_duration(seconds - seconds % smaller)
    return format_duration(seconds)


def _describe_parent_notice(notice: ParentNoticeStatus | None) -> str | None:
    if notice is None:
        return None
    if notice.tried_at is None:
        return f"the parent will be at {_show_time(notice.next_at)}"
    trust = "" if notice.dsync_validated else ", found without DNSSEC"
    where = f" at {notice.endpoint}{trust}" if notice.endpoint else ""
    again = f"; again at {_show_time(notice.next_at)}" if notice.next_at is not None else ""
    return f"{notice.result}: {notice.detail}{where}, {_show_time(notice.tried_at)}{again}"
