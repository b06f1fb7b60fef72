import dns.rdatatype
import dns.rdtypes.util
from hypothesis import given
from hypothesis import strategies as st

from signerd.dnssec.type_bitmap import BitmapCache, encode_bitmap

types = st.sets(st.one_of(st.integers(1, 65535), st.integers(1, 300)), max_size=40)


def encode_with_dnspython(numbers: set[int]) -> bytes:
    bitmap = dns.rdtypes.util.Bitmap.from_rdtypes([dns.rdatatype.RdataType(n) for n in numbers])
    return b"".join(bytes((window, len(bits))) + bits for window, bits in bitmap.windows)


def test_the_bitmap_is_that_of_rfc_4034_section_4_3() -> None:
    expected = bytes.fromhex("0006400100000003041b") + bytes(26) + b"\x20"
    assert encode_bitmap([1, 15, 46, 47, 1234]) == expected


def test_no_types_have_an_empty_bitmap() -> None:
    assert encode_bitmap([]) == b""


@given(types)
def test_the_bitmap_is_that_of_dnspython_whatever_the_order(numbers: set[int]) -> None:
    assert encode_bitmap(numbers) == encode_with_dnspython(numbers)
    assert encode_bitmap(sorted(numbers, reverse=True)) == encode_with_dnspython(numbers)


@given(st.lists(types, max_size=6), types)
def test_a_cache_gives_what_encoding_gives(asked: list[set[int]], added: set[int]) -> None:
    cache = BitmapCache(*added)
    for numbers in asked * 2:
        assert cache.encode(numbers) == encode_with_dnspython(numbers | added)
