"""Where DSYNC records are looked up (RFC 9859, section 4.1), and which of them count."""

import dns.rdata
import pytest

from signerd.delegation.dsync import Endpoint, make_first_name, make_next_name, read_endpoint
from signerd.dns.name import Name, format_name, parse_name


def print_name(name: Name | None) -> str | None:
    return None if name is None else format_name(name)


@pytest.mark.parametrize(
    ("child", "first"),
    [
        ("child.example.", "child._dsync.example."),
        ("city.ise.mie.jp.", "city._dsync.ise.mie.jp."),
        ("tld.", "tld._dsync."),
        (".", None),
        (".".join(["a" * 62] * 4) + ".", None),  # no room for the label
    ],
)
def test_the_parent_is_first_taken_to_be_one_label_up(child: str, first: str | None) -> None:
    assert print_name(make_first_name(parse_name(child))) == first


@pytest.mark.parametrize(
    ("child", "asked", "parent", "following"),
    [
        # The example of the RFC: jp delegates a name three labels further down.
        ("city.ise.mie.jp.", "city._dsync.ise.mie.jp.", "jp.", "city.ise.mie._dsync.jp."),
        ("city.ise.mie.jp.", "city.ise.mie._dsync.jp.", "jp.", "_dsync.jp."),
        ("city.ise.mie.jp.", "_dsync.jp.", "jp.", None),
        ("child.example.", "child._dsync.example.", "example.", "_dsync.example."),
        ("child.example.", "child._dsync.example.", ".", "child.example._dsync."),
        ("tld.", "tld._dsync.", ".", "_dsync."),
        ("tld.", "_dsync.", ".", None),
        ("child.example.", "child._dsync.example.", "_dsync.example.", "_dsync.example."),
        # Answers that no parent gives.
        ("child.example.", "child._dsync.example.", "child.example.", None),
        ("child.example.", "child._dsync.example.", "other.", None),
        ("child.example.", "child._dsync.example.", "deeper.child.example.", None),
    ],
)
def test_a_negative_answer_says_where_to_look_next(
    child: str, asked: str, parent: str, following: str | None
) -> None:
    found = make_next_name(parse_name(child), parse_name(asked), parse_name(parent))
    assert print_name(found) == following


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("CDS NOTIFY 5359 Scanner.Example.", Endpoint(parse_name("scanner.example."), 5359)),
        ("CSYNC NOTIFY 5359 scanner.example.", None),
        ("CDS 2 5359 scanner.example.", None),
        ("CDS 0 5359 scanner.example.", None),
        ("CDS NOTIFY 0 scanner.example.", None),
        ("CDS NOTIFY 53 .", None),
    ],
)
def test_only_records_for_notifications_of_cds_count(text: str, endpoint: Endpoint | None) -> None:
    rdata = dns.rdata.from_text("IN", "DSYNC", text).to_wire()
    assert rdata is not None
    assert read_endpoint(rdata) == endpoint


def test_a_cut_record_does_not_count() -> None:
    assert read_endpoint(bytes.fromhex("003b0114ef")) is None
