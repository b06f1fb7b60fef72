"""RDATA in wire form to presentation form: names absolute, every octet kept."""

import base64
import time
from collections.abc import Callable
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from signerd.dns import rdatatype as rt
from signerd.dns.name import ROOT, format_name
from signerd.zones.rdata_reader import BadRdata, RdataReader

# What dnspython prints of these, all readers read; of others RFC 3597's form is printed.
_PRINTED_BY_ALL = frozenset(
    {
        rt.HINFO,
        rt.MINFO,
        rt.RP,
        rt.AFSDB,
        rt.RT,
        rt.PX,
        rt.NAPTR,
        rt.KX,
        rt.DS,
        rt.DNSKEY,
        rt.CDS,
        rt.CDNSKEY,
        rt.CAA,
    }
    | {rt.NSEC3PARAM, rt.ZONEMD, rt.SVCB, rt.HTTPS}
    | {29, 44, 52, 61}  # LOC, SSHFP, TLSA, OPENPGPKEY
)


_READER = RdataReader(ROOT)


def format_rdata(rdatatype: int, rdata: bytes) -> str:
    r"""Print RDATA so that other name servers read back the same octets.

    Types that not every server knows come as `\# length hex` (RFC 3597, section 5), as does RDATA that
    is not of its type's form.
    """
    formatter = _FORMATTERS.get(rdatatype)
    if formatter is not None:
        return formatter(rdata)
    if rdatatype in _PRINTED_BY_ALL:
        try:
            number = dns.rdatatype.RdataType.make(rdatatype)
            text = dns.rdata.from_wire(dns.rdataclass.IN, number, rdata, 0, len(rdata)).to_text()
            # Some forms are printed that cannot be read, such as empty digests.
            if _READER.read_with_dnspython(rdatatype, [text]) == rdata:
                return text
        except (BadRdata, dns.exception.DNSException, ValueError):
            pass
    return format_generic(rdata)


def format_generic(rdata: bytes) -> str:
    r"""Print RDATA as `\# length hex` (RFC 3597, section 5)."""
    return f"\\# {len(rdata)} {rdata.hex()}" if rdata else "\\# 0"


_format_cached_name = lru_cache(20_000)(format_name)


def _format_soa(rdata: bytes) -> str:
    end = len(rdata) - 20
    middle = _find_name_end(rdata, 0)
    numbers = " ".join(str(int.from_bytes(rdata[at : at + 4])) for at in range(end, end + 20, 4))
    return f"{format_name(rdata[:middle])} {format_name(rdata[middle:end])} {numbers}"


def _find_name_end(rdata: bytes, position: int) -> int:
    while length := rdata[position]:
        position += 1 + length
    return position + 1


def _format_mx(rdata: bytes) -> str:
    return f"{int.from_bytes(rdata[:2])} {_format_cached_name(rdata[2:])}"


def _format_srv(rdata: bytes) -> str:
    numbers = " ".join(str(int.from_bytes(rdata[at : at + 2])) for at in (0, 2, 4))
    return f"{numbers} {_format_cached_name(rdata[6:])}"


def _format_txt(rdata: bytes) -> str:
    strings: list[str] = []
    position = 0
    while position < len(rdata):
        length = rdata[position]
        strings.append(_format_string(rdata[position + 1 : position + 1 + length]))
        position += 1 + length
    return " ".join(strings)


def _format_string(octets: bytes) -> str:
    if octets.isascii() and (text := octets.decode("ascii")).isprintable() and not set(text) & {'"', "\\"}:
        return f'"{text}"'
    escaped = "".join(
        f"\\{chr(octet)}" if octet in b'"\\' else chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03d}"
        for octet in octets
    )
    return f'"{escaped}"'


def _format_rrsig(rdata: bytes) -> str:
    signer_end = _find_name_end(rdata, 18)
    return (
        f"{_format_type(int.from_bytes(rdata[:2]))} {rdata[2]} {rdata[3]} {int.from_bytes(rdata[4:8])} "
        f"{_format_time(int.from_bytes(rdata[8:12]))} {_format_time(int.from_bytes(rdata[12:16]))} "
        f"{int.from_bytes(rdata[16:18])} {_format_cached_name(rdata[18:signer_end])} "
        f"{base64.b64encode(rdata[signer_end:]).decode()}"
    )


@lru_cache(10_000)
def _format_time(seconds: int) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds))  # RFC 4034, section 3.2


@lru_cache(1_000)
def format_bitmap(bitmap: bytes) -> str:
    """Print the types of a bitmap (RFC 4034, section 4.1.2), each after a space."""
    types: list[str] = []
    position = 0
    while position + 2 <= len(bitmap):
        window, length = bitmap[position], bitmap[position + 1]
        for index, octet in enumerate(bitmap[position + 2 : position + 2 + length]):
            types.extend(
                _format_type(window << 8 | index << 3 | bit) for bit in range(8) if octet & 0x80 >> bit
            )
        position += 2 + length
    return "".join(f" {name}" for name in types)


@lru_cache(1_000)
def _format_type(rdatatype: int) -> str:
    return rt.format_type(rdatatype)


def _format_nsec(rdata: bytes) -> str:
    end = _find_name_end(rdata, 0)
    return format_name(rdata[:end]) + format_bitmap(rdata[end:])


def _format_nsec3(rdata: bytes) -> str:
    salt_end = 5 + rdata[4]
    hash_end = salt_end + 1 + rdata[salt_end]
    salt = rdata[5:salt_end].hex() or "-"
    next_hash = base64.b32hexencode(rdata[salt_end + 1 : hash_end]).decode().rstrip("=").lower()
    iterations = int.from_bytes(rdata[2:4])
    return f"{rdata[0]} {rdata[1]} {iterations} {salt} {next_hash}{format_bitmap(rdata[hash_end:])}"


_FORMATTERS: dict[int, Callable[[bytes], str]] = {
    rt.A: lambda rdata: inet_ntop(AF_INET, rdata),
    rt.AAAA: lambda rdata: inet_ntop(AF_INET6, rdata),
    rt.NS: _format_cached_name,
    rt.CNAME: _format_cached_name,
    rt.PTR: _format_cached_name,
    rt.DNAME: _format_cached_name,
    rt.MX: _format_mx,
    rt.SRV: _format_srv,
    rt.SOA: _format_soa,
    rt.TXT: _format_txt,
    rt.RRSIG: _format_rrsig,
    rt.NSEC: _format_nsec,
    rt.NSEC3: _format_nsec3,
}
