"""Values of records as the API writes them."""

import pytest

from signerd.dns import rdatatype as rt
from signerd.dns.name import parse_name
from signerd.dns_zones.record_value import TYPE_NAMES, format_value, read_values

HOST = parse_name("mail.example.com.")
ROOT = b"\0"


@pytest.mark.parametrize(
    ("number", "rdata", "text"),
    [
        (rt.NS, HOST, "mail.example.com"),
        (rt.CNAME, HOST, "mail.example.com"),
        (rt.MX, b"\x01\x02" + HOST, "258 mail.example.com"),
        (rt.MX, b"\0\0" + ROOT, "0 ."),
        (rt.SRV, b"\0\1\0\2\x13\xc4" + HOST, "1 2 5060 mail.example.com"),
        (rt.SRV, b"\0\0\0\0\0\0" + ROOT, "0 0 0 ."),
    ],
)
def test_a_host_name_is_written_without_its_last_dot_and_read_back(
    number: int, rdata: bytes, text: str
) -> None:
    assert format_value(number, rdata) == text
    assert read_values(TYPE_NAMES[number], [text]) == (rdata,)
