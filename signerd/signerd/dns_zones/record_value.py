"""Values of records between the text of the API and RDATA, type by type."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Final

from signerd.dns import rdatatype as rt
from signerd.dns.name import ROOT, BadName, Name, parse_name
from signerd.dns_zones.errors import InvalidDnsValue
from signerd.zones.rdata_printer import format_rdata
from signerd.zones.record_collection import fold_names

TYPES: Final = {
    "A": rt.A,
    "AAAA": rt.AAAA,
    "CAA": rt.CAA,
    "CNAME": rt.CNAME,
    "MX": rt.MX,
    "NS": rt.NS,
    "SRV": rt.SRV,
    "TXT": rt.TXT,
}
"""The types that records can have, by name."""

TYPE_NAMES: Final = {number: name for name, number in TYPES.items()}
MAX_TEXT_CHARACTERS: Final = 4096  # of one value of TXT
MAX_RECORD_SET_OCTETS: Final = 60_000  # leaves room for a signature and the header in one message
_OVERHEAD_OCTETS: Final = 12  # of each record in a message
_CHUNK: Final = 255  # octets of a character-string (RFC 1035, section 3.3)
_HOST_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
# Targets of aliases often are service names: _x.acm-validations.aws, s1._domainkey.example.net
_ALIAS_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_CAA: Final = re.compile(r"([0-9]{1,3})[ \t]+([A-Za-z0-9]+)[ \t]+(.+)", re.ASCII)
_CAA_TAGS: Final = ("issue", "issuewild", "iodef")


def read_values(type_text: str, values: Sequence[str]) -> tuple[bytes, ...]:
    """Give the RDATA of a record's values, in their order.

    Args:
        type_text: One of TYPES.
        values: As sent.

    Raises:
        InvalidDnsValue: A value is not well-formed, two mean the same, or there are too few or too many.
    """
    if not values:
        raise InvalidDnsValue("values", "at least one is required")
    if type_text == "CNAME" and len(values) > 1:
        raise InvalidDnsValue("values", "a CNAME has exactly one (RFC 2181, section 10.1)")
    read, number = _READERS[type_text], TYPES[type_text]
    rdatas: dict[bytes, bytes] = {}
    for index, value in enumerate(values):
        try:
            rdata = read(value)
        except _BadValue as error:
            raise InvalidDnsValue(f"values[{index}]", str(error)) from error
        folded = fold_names(number, rdata)
        if folded in rdatas:
            raise InvalidDnsValue(f"values[{index}]", "says the same as another value")
        rdatas[folded] = rdata
    if type_text == "MX" and len(rdatas) > 1 and any(rdata[2:] == ROOT for rdata in rdatas):
        raise InvalidDnsValue("values", "a null MX stands alone (RFC 7505, section 3)")
    if sum(len(rdata) + _OVERHEAD_OCTETS for rdata in rdatas) > MAX_RECORD_SET_OCTETS:
        raise InvalidDnsValue("values", f"are more than {MAX_RECORD_SET_OCTETS} octets together")
    return tuple(rdatas.values())


def format_value(number: int, rdata: bytes) -> str:
    """Give the text of the API for RDATA; `read_values` gives the RDATA back, TXT joined into full chunks.

    Args:
        number: One of the values of TYPES.
        rdata: Well-formed.

    Raises:
        InvalidDnsValue: The API has no text for it, such as TXT that is not UTF-8.
    """
    return _FORMATTERS[number](rdata)


class _BadValue(ValueError):
    """A value that is not well-formed; the text says why and holds nothing of it."""


def _read_a(text: str) -> bytes:
    try:
        return IPv4Address(text).packed
    except ValueError as error:
        raise _BadValue("is not an IPv4 address") from error


def _read_aaaa(text: str) -> bytes:
    try:
        address = IPv6Address(text)
    except ValueError as error:
        raise _BadValue("is not an IPv6 address") from error
    if address.scope_id is not None:
        raise _BadValue("has a zone index, which means something on one machine only")
    return address.packed


def _read_host(text: str, label_form: re.Pattern[str] = _HOST_LABEL) -> Name:
    """Read a host name; it is absolute with or without the trailing dot."""
    labels = text.removesuffix(".").split(".")
    if any(label_form.fullmatch(label) is None for label in labels):
        raise _BadValue("is not a host name: labels are 1 to 63 letters, digits and inner hyphens")
    if labels[-1].isdigit():
        raise _BadValue("is an address or ends in a number, where a host name is needed")
    try:
        return parse_name(text.removesuffix(".") + ".")
    except BadName as error:
        raise _BadValue("is longer than a domain name can be") from error


def _read_alias(text: str) -> bytes:
    return _read_host(text, _ALIAS_LABEL)


def _read_number(text: str, what: str) -> bytes:
    if _NUMBER.fullmatch(text) is None or int(text) > 65_535:
        raise _BadValue(f"the {what} must be a number from 0 to 65535")
    return int(text).to_bytes(2)


def _split(text: str, form: str) -> list[str]:
    parts = re.split(r"[ \t]+", text)
    if len(parts) != form.count("<"):
        raise _BadValue(f"must be {form}")
    return parts


def _read_mx(text: str) -> bytes:
    priority, host = _split(text, "<priority> <host>")
    number = _read_number(priority, "priority")
    if host == ".":  # RFC 7505, section 3
        if number != b"\0\0":
            raise _BadValue("the priority of a null MX is 0 (RFC 7505, section 3)")
        return number + ROOT
    return number + _read_host(host)


def _read_srv(text: str) -> bytes:
    priority, weight, port, target = _split(text, "<priority> <weight> <port> <target>")
    numbers = _read_number(priority, "priority") + _read_number(weight, "weight") + _read_number(port, "port")
    return numbers + (ROOT if target == "." else _read_host(target))  # RFC 2782: "." is "not available"


def _strip_quotes(text: str) -> str:
    """Take off one pair of surrounding quotes: presentation, not data."""
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def _read_txt(text: str) -> bytes:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise _BadValue(f"has {len(text)} characters; {MAX_TEXT_CHARACTERS} are allowed")
    try:
        octets = _strip_quotes(text).encode()
    except UnicodeEncodeError as error:
        raise _BadValue("is no text: it holds half of a surrogate pair") from error
    chunks = [octets[start : start + _CHUNK] for start in range(0, len(octets), _CHUNK)] or [b""]
    return b"".join(bytes((len(chunk),)) + chunk for chunk in chunks)


def _read_caa(text: str) -> bytes:
    match = _CAA.fullmatch(text)
    if match is None:
        raise _BadValue("must be <flags> <tag> <value>")
    flags, tag, value = match.groups()
    if int(flags) > 255:
        raise _BadValue("the flags must be a number from 0 to 255")
    if tag.lower() not in _CAA_TAGS:
        raise _BadValue(f"the tag must be one of {', '.join(_CAA_TAGS)}")
    value = _strip_quotes(value)
    if '"' in value or not value.isascii() or (value and not value.isprintable()):
        raise _BadValue("the value must be printable ASCII, with a matching pair of quotes or none")
    return bytes((int(flags), len(tag))) + tag.lower().encode() + value.encode()


_READERS: Final[dict[str, Callable[[str], bytes]]] = {
    "A": _read_a,
    "AAAA": _read_aaaa,
    "CAA": _read_caa,
    "CNAME": _read_alias,
    "MX": _read_mx,
    "NS": _read_host,
    "SRV": _read_srv,
    "TXT": _read_txt,
}


def _format_host(number: int, rdata: bytes) -> str:
    """Give what a master file has, without the last dot of the name at its end; the root is its dot."""
    text = format_rdata(number, rdata)
    return text if text.endswith(" .") or text == "." else text[:-1]


def join_strings(rdata: bytes) -> bytes:
    """Join the character-strings of a TXT record."""
    joined: list[bytes] = []
    position = 0
    while position < len(rdata):
        end = position + 1 + rdata[position]
        joined.append(rdata[position + 1 : end])
        position = end
    return b"".join(joined)


def _format_txt(rdata: bytes) -> str:
    try:
        text = join_strings(rdata).decode()
    except UnicodeDecodeError as error:
        raise InvalidDnsValue("values", "TXT that is not UTF-8 has no form here") from error
    # data that begins and ends with a quote would lose them as presentation
    return f'"{text}"' if _strip_quotes(text) != text else text


def _format_caa(rdata: bytes) -> str:
    end = 2 + rdata[1]
    value = rdata[end:].decode("latin-1")
    return f'{rdata[0]} {rdata[2:end].decode("latin-1")} "{value}"'


_FORMATTERS: Final[dict[int, Callable[[bytes], str]]] = {
    rt.A: lambda rdata: inet_ntop(AF_INET, rdata),
    rt.AAAA: lambda rdata: inet_ntop(AF_INET6, rdata),
    rt.CAA: _format_caa,
    rt.CNAME: partial(_format_host, rt.CNAME),
    rt.MX: partial(_format_host, rt.MX),
    rt.NS: partial(_format_host, rt.NS),
    rt.SRV: partial(_format_host, rt.SRV),
    rt.TXT: _format_txt,
}
