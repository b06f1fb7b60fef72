import io

import pytest

from signerd.cli.status_report import ParentNoticeStatus, StatusReport, ZoneStatus
from signerd.cli.status_table import format_runway, print_status


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "expired"),
        (0, "expired"),
        (59, "59s"),
        (60, "1m"),
        (3700, "1h1m"),
        (86400, "1d"),
        (1166400 + 59, "13d12h"),
    ],
)
def test_runways_are_printed_in_their_two_largest_units(seconds: int, text: str) -> None:
    assert format_runway(seconds) == text


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_table_fits_its_terminal(width: int) -> None:
    zone = ZoneStatus(name="a-rather-long-zone-name." * 8 + "example", state="serving", last_error="x" * 300)
    output = io.StringIO()
    print_status(StatusReport(zones=(zone,)), output, is_verbose=False, width=width)
    assert max(map(len, output.getvalue().splitlines())) <= width


def test_output_for_programs_is_neither_cut_nor_coloured() -> None:
    name = "label." * 40 + "example"
    output = io.StringIO()
    print_status(StatusReport(running=False, zones=(ZoneStatus(name=name),)), output, is_verbose=True)
    assert name in output.getvalue()
    assert "\x1b" not in output.getvalue()
    assert all(line == line.rstrip() for line in output.getvalue().splitlines())


def test_markup_in_names_stays_text() -> None:
    output = io.StringIO()
    zone = ZoneStatus(name="[red]x[/red]", last_error="[bold]:warning:")
    print_status(StatusReport(zones=(zone,)), output, is_verbose=False)
    assert "[red]x[/red]" in output.getvalue()
    assert "[bold]:warning:" in output.getvalue()


@pytest.mark.parametrize(
    ("notice", "text"),
    [
        (
            ParentNoticeStatus(changed_at=0, next_at=60),
            "the parent will be at 1970-01-01 00:01:00",
        ),
        (
            ParentNoticeStatus(
                changed_at=0,
                tried_at=60,
                result="taken",
                detail="answered NOERROR",
                endpoint="scanner.test. port 53",
                dsync_validated=True,
            ),
            "taken: answered NOERROR at scanner.test. port 53, 1970-01-01 00:01:00",
        ),
        (
            ParentNoticeStatus(
                changed_at=0, tried_at=60, next_at=120, result="unreached", detail="timed out"
            ),
            "unreached: timed out, 1970-01-01 00:01:00",
        ),
    ],
)
def test_what_the_parent_was_told_is_in_the_details(notice: ParentNoticeStatus, text: str) -> None:
    output = io.StringIO()
    zone = ZoneStatus(name="child.test", parent_notice=notice)
    print_status(StatusReport(zones=(zone,)), output, is_verbose=True)
    assert text in output.getvalue()


@pytest.mark.parametrize(("responders", "text"), [([7], "1 responder\n"), ([7, 8], "2 responders\n")])
def test_an_unsigned_zone_is_said_to_be_served_and_not_signed(responders: list[int], text: str) -> None:
    output = io.StringIO()
    zone = ZoneStatus(name="plain.test", signed=False, served_by=responders)
    print_status(StatusReport(zones=(zone,)), output, is_verbose=True)
    assert "  signed:        no\n" in output.getvalue()
    assert f"  served by:     {text}" in output.getvalue()
