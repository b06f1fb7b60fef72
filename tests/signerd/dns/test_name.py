import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.dns.name import (
    BadName,
    Name,
    fold_case,
    format_name,
    is_subdomain,
    join_labels,
    make_sort_key,
    parse_name,
    read_labels,
)

labels = st.binary(min_size=1, max_size=12)
names = st.lists(labels, max_size=6).map(join_labels)

RFC_4034_SECTION_6_1 = [
    "example.",
    "a.example.",
    "yljkjljk.a.example.",
    "Z.a.example.",
    "zABC.a.EXAMPLE.",
    "z.example.",
    "\\001.z.example.",
    "*.z.example.",
    "\\200.z.example.",
]


def test_canonical_order_is_that_of_rfc_4034_section_6_1() -> None:
    ordered = [parse_name(text) for text in RFC_4034_SECTION_6_1]
    shuffled = ordered[4:] + ordered[:4]
    assert sorted(shuffled, key=make_sort_key) == ordered


@given(st.lists(names, max_size=8))
def test_canonical_order_is_that_of_dnspython(some: list[Name]) -> None:
    folded = [fold_case(name) for name in some]
    oracle = sorted(folded, key=lambda name: dns.name.from_wire(name, 0)[0])
    assert sorted(folded, key=make_sort_key) == oracle


@given(names, names)
def test_two_names_have_one_key_only_if_they_are_equal(a: Name, b: Name) -> None:
    assert (make_sort_key(a) == make_sort_key(b)) == (fold_case(a) == fold_case(b))


@given(names)
def test_parse_undoes_format(name: Name) -> None:
    assert parse_name(format_name(name)) == name


@given(names)
def test_dnspython_reads_what_is_formatted(name: Name) -> None:
    assert dns.name.from_text(format_name(name)).to_wire() == name


@given(names, st.lists(labels, max_size=3))
def test_a_name_with_more_labels_in_front_is_a_subdomain(ancestor: Name, more: list[bytes]) -> None:
    assert is_subdomain(join_labels(more + read_labels(ancestor)), ancestor)


def test_a_shared_text_suffix_is_no_subdomain() -> None:
    assert not is_subdomain(parse_name("badexample."), parse_name("example."))
    assert not is_subdomain(b"\x09\x01a\x07example\x00", parse_name("example."))


@pytest.mark.parametrize(
    "text", ["", "a..b.", ".a.", "a\\25.", "a\\256.", "a\\", "x" * 64 + ".", "ä.", "a.b"]
)
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(BadName):
        parse_name(text)


def test_a_relative_name_gets_the_origin() -> None:
    origin = parse_name("example.")
    assert parse_name("www", origin) == parse_name("www.example.")
    assert parse_name("@", origin) == origin
