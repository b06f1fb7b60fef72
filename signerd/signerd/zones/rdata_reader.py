"""RDATA in presentation form to wire form: names uncompressed and absolute, case kept.

Common types have readers of their own, for speed; all others go through dnspython.
"""

import binascii
import re
import struct
from collections.abc import Callable, Sequence
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

import dns.dnssectypes
import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from signerd.dns import rdatatype as rt
from signerd.dns.name import BadName, Name, parse_name
from signerd.zones.tokens import BadToken, has_quotes, parse_string, parse_ttl, split_quoted_values

MAX_RDATA_OCTETS: Final = 65_535
MAX_TIME: Final = 2**32 - 1  # an SOA's times have 32 bits (RFC 1035, section 3.3.13)
_NAME_CACHE_ENTRIES = 50_000  # bounds the memory for targets of one origin
_GENERIC = "\\#"  # RFC 3597, section 5
_NOT_ASCII = re.compile("[\x80-\xff]")
_IN = dns.rdataclass.IN


class BadRdata(ValueError):
    """The text is not RDATA of the type."""


class RdataReader:
    """Reads the RDATA of one master file relative to its current origin."""

    def __init__(self, origin: Name) -> None:
        self._names: dict[str, Name] = {}
        self._origin = origin
        self._dnspython_origin = dns.name.from_wire(origin, 0)[0]
        self._readers: dict[int, Callable[[Sequence[str]], bytes]] = {
            rt.A: _read_a,
            rt.AAAA: _read_aaaa,
            rt.NS: self._read_name,
            rt.CNAME: self._read_name,
            rt.PTR: self._read_name,
            rt.DNAME: self._read_name,
            rt.MX: self._read_mx,
            rt.SRV: self._read_srv,
            rt.SOA: self._read_soa,
            rt.TXT: _read_txt,
            rt.DS: _read_ds,
        }

    def set_origin(self, origin: Name) -> None:
        """Make names without trailing dot relative to another name from here on."""
        if origin != self._origin:
            self._names.clear()
            self._origin = origin
            self._dnspython_origin = dns.name.from_wire(origin, 0)[0]

    def read(self, rdatatype: int, tokens: Sequence[str]) -> bytes:
        r"""Give the wire form of RDATA, in the form of its type or as `\# length hex` (RFC 3597, section 5).

        Args:
            rdatatype: Not a meta type.
            tokens: As in an Entry: escapes not resolved, quoted strings with their quotes.

        Raises:
            BadRdata: It is not well-formed; the text says why.
        """
        if not tokens:
            raise BadRdata("no data after the type")
        reader = self._readers.get(rdatatype)
        try:
            if tokens[0] == _GENERIC:
                return _read_generic(rdatatype, tokens)
            if reader is not None:
                return reader(tokens)
        except (BadName, BadToken, ValueError, struct.error) as error:
            raise BadRdata(str(error)) from error
        return self.read_with_dnspython(rdatatype, tokens)

    def read_with_dnspython(self, rdatatype: int, tokens: Sequence[str]) -> bytes:
        """Read RDATA of any type without the fast readers of this module.

        Raises:
            BadRdata: It is not well-formed.
        """
        text = _NOT_ASCII.sub(lambda match: f"\\{ord(match[0]):03d}", " ".join(tokens))
        try:
            value = dns.rdata.from_text(
                _IN, _make_type(rdatatype), text, self._dnspython_origin, relativize=False
            )
            wire = value.to_wire()
        except _DNSPYTHON_ERRORS as error:
            raise BadRdata(str(error) or f"not well-formed ({type(error).__name__})") from error
        if wire is None or len(wire) > MAX_RDATA_OCTETS:
            raise BadRdata(f"more than {MAX_RDATA_OCTETS} octets")
        return wire

    def _parse_name(self, text: str) -> Name:
        name = self._names.get(text)
        if name is None:
            name = parse_name(text, self._origin)
            if len(self._names) >= _NAME_CACHE_ENTRIES:
                self._names.clear()
            self._names[text] = name
        return name

    def _read_name(self, tokens: Sequence[str]) -> bytes:
        (name,) = _expect(tokens, "NAME")
        return self._parse_name(name)

    def _read_mx(self, tokens: Sequence[str]) -> bytes:
        preference, exchange = _expect(tokens, "PREFERENCE EXCHANGE")
        return _parse_number(preference, 2) + self._parse_name(exchange)

    def _read_srv(self, tokens: Sequence[str]) -> bytes:
        priority, weight, port, target = _expect(tokens, "PRIORITY WEIGHT PORT TARGET")
        return (
            _parse_number(priority, 2)
            + _parse_number(weight, 2)
            + _parse_number(port, 2)
            + self._parse_name(target)
        )

    def _read_soa(self, tokens: Sequence[str]) -> bytes:
        primary, mailbox, serial, *times = _expect(tokens, "MNAME RNAME SERIAL REFRESH RETRY EXPIRE MINIMUM")
        return (
            self._parse_name(primary)
            + self._parse_name(mailbox)
            + _parse_number(serial, 4)
            + b"".join(_parse_time(time) for time in times)
        )


# What dnspython raises for text or octets that are not of the type; the last five escape from a few types.
_DNSPYTHON_ERRORS = (
    dns.exception.DNSException,
    ValueError,  # UnicodeError and binascii.Error too
    struct.error,
    LookupError,
    TypeError,
    ArithmeticError,
    AssertionError,
)


def _make_type(rdatatype: int) -> dns.rdatatype.RdataType:
    return dns.rdatatype.RdataType.make(rdatatype)


def _expect(tokens: Sequence[str], fields: str) -> Sequence[str]:
    """Check that there are as many tokens as fields, none of them quoted."""
    if len(tokens) != fields.count(" ") + 1:
        raise BadRdata(f"{len(tokens)} fields where '{fields}' is expected")
    for token in tokens:
        if has_quotes(token):
            raise BadRdata(f"quoted {token} where '{fields}' is expected")
    return tokens


def _parse_number(text: str, octets: int) -> bytes:
    if not (text.isdecimal() and text.isascii()) or len(text) > 20 or int(text) >= 1 << 8 * octets:
        raise BadRdata(f"'{text[:40]}' is not a number from 0 to {(1 << 8 * octets) - 1}")
    return int(text).to_bytes(octets)


def _parse_time(text: str) -> bytes:
    seconds = parse_ttl(text)
    if seconds is None or seconds > MAX_TIME:
        raise BadRdata(f"'{text[:40]}' is not a time from 0 to {MAX_TIME} seconds")
    return seconds.to_bytes(4)


def _read_a(tokens: Sequence[str]) -> bytes:
    try:
        (address,) = tokens
        return inet_pton(AF_INET, address)
    except (OSError, ValueError) as error:
        raise BadRdata(f"'{' '.join(tokens)[:80]}' is not an IPv4 address") from error


def _read_aaaa(tokens: Sequence[str]) -> bytes:
    try:
        (address,) = tokens
        return inet_pton(AF_INET6, address)
    except (OSError, ValueError) as error:
        raise BadRdata(f"'{' '.join(tokens)[:80]}' is not an IPv6 address") from error


def _read_txt(tokens: Sequence[str]) -> bytes:
    wire = bytearray()
    for token in split_quoted_values(tokens):
        string = parse_string(token)
        if len(string) > 255:
            raise BadRdata(f"string of {len(string)} octets; 255 are allowed, so split it into several")
        wire.append(len(string))
        wire += string
    if len(wire) > MAX_RDATA_OCTETS:
        raise BadRdata(f"more than {MAX_RDATA_OCTETS} octets")
    return bytes(wire)


_DIGEST_OCTETS = {
    1: 20,
    2: 32,
    3: 32,
    4: 48,
}  # IANA registry "Delegation Signer (DS) Resource Record Digest Types"


def _read_ds(tokens: Sequence[str]) -> bytes:
    if len(tokens) < 4:
        raise BadRdata(f"{len(tokens)} fields where 'KEYTAG ALGORITHM DIGESTTYPE DIGEST' is expected")
    key_tag, algorithm, digest_type, *digest = tokens
    try:
        octets = binascii.unhexlify("".join(digest))
    except binascii.Error as error:
        raise BadRdata(f"the digest is not hexadecimal: {error}") from error
    wire = _parse_number(key_tag, 2) + _parse_algorithm(algorithm) + _parse_number(digest_type, 1) + octets
    if len(octets) != _DIGEST_OCTETS.get(wire[3], len(octets)):
        raise BadRdata(f"digest of {len(octets)} octets; type {wire[3]} takes {_DIGEST_OCTETS[wire[3]]}")
    return wire


def _parse_algorithm(text: str) -> bytes:
    """Read a DNSSEC algorithm, a number or a mnemonic (RFC 4034, section 5.3)."""
    if text.isdecimal():
        return _parse_number(text, 1)
    try:
        return bytes([dns.dnssectypes.Algorithm.from_text(text)])
    except (dns.exception.DNSException, ValueError) as error:
        raise BadRdata(f"'{text[:40]}' is not a DNSSEC algorithm") from error


def _read_generic(rdatatype: int, tokens: Sequence[str]) -> bytes:
    """Read the form of RFC 3597, section 5; RDATA of a type that dnspython knows must be of its form."""
    if len(tokens) < 2:
        raise BadRdata("no length after \\#")
    length = int.from_bytes(_parse_number(tokens[1], 2))
    try:
        wire = binascii.unhexlify("".join(tokens[2:]))
    except (binascii.Error, ValueError) as error:
        raise BadRdata(f"the data after \\# is not hexadecimal: {error}") from error
    if len(wire) != length:
        raise BadRdata(f"{len(wire)} octets after \\# {length}")
    validate_rdata(rdatatype, wire)
    return wire


def validate_rdata(rdatatype: int, wire: bytes) -> None:
    """Check that octets are RDATA of the type, uncompressed, as far as dnspython knows the type.

    Raises:
        BadRdata: They are not.
    """
    try:
        again = dns.rdata.from_wire(_IN, _make_type(rdatatype), wire, 0, len(wire)).to_wire()
    except _DNSPYTHON_ERRORS as error:
        reason = f"the data is not of type {rt.format_type(rdatatype)}: {error or type(error).__name__}"
        raise BadRdata(reason) from error
    if again != wire:
        raise BadRdata(f"the data is not of type {rt.format_type(rdatatype)}, or holds compressed names")
