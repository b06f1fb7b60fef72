"""Where domain names stand inside RDATA.

Needed for canonical form (RFC 4034, section 6.2, as changed by RFC 6840, section 5.1) and for compression
(RFC 3597, section 4: only the types of RFC 1035 may be compressed by a sender).
"""

from typing import Final

from signerd.dns import rdatatype as rt

# A layout is a row of fields from the start of the RDATA: an int skips that many octets, NAME is a domain
# name, STRING a character-string. What follows the last name of interest need not be described.
NAME: Final = -1
STRING: Final = -2
Layout = tuple[int, ...]

NAME_LAYOUTS: dict[int, Layout] = {
    rt.NS: (NAME,),
    rt.MD: (NAME,),
    rt.MF: (NAME,),
    rt.CNAME: (NAME,),
    rt.SOA: (NAME, NAME),
    rt.MB: (NAME,),
    rt.MG: (NAME,),
    rt.MR: (NAME,),
    rt.PTR: (NAME,),
    rt.MINFO: (NAME, NAME),
    rt.MX: (2, NAME),
    rt.RP: (NAME, NAME),
    rt.AFSDB: (2, NAME),
    rt.RT: (2, NAME),
    rt.SIG: (18, NAME),
    rt.PX: (2, NAME, NAME),
    rt.NXT: (NAME,),
    rt.SRV: (6, NAME),
    rt.NAPTR: (4, STRING, STRING, STRING, NAME),
    rt.KX: (2, NAME),
    rt.DNAME: (NAME,),
    rt.RRSIG: (18, NAME),
}
"""Types whose names are lower-cased in canonical form: the list of RFC 4034, section 6.2, without HINFO (it
has no name), NSEC and, by RFC 6840, section 5.1, with RRSIG's signer name lower-cased. A6 is historic and
left out (its RDATA holds a name only behind a variable prefix; RFC 6563)."""

COMPRESSIBLE_TYPES: frozenset[int] = frozenset(
    {rt.NS, rt.MD, rt.MF, rt.CNAME, rt.SOA, rt.MB, rt.MG, rt.MR, rt.PTR, rt.MINFO, rt.MX}
)


def find_names(rdatatype: int, rdata: bytes) -> list[tuple[int, int]]:
    """Give start and end of each domain name in the RDATA of a type in NAME_LAYOUTS; none for other types.

    The RDATA must be well-formed and uncompressed.
    """
    spans: list[tuple[int, int]] = []
    position = 0
    for field in NAME_LAYOUTS.get(rdatatype, ()):
        if field == NAME:
            start = position
            while length := rdata[position]:
                position += 1 + length
            position += 1
            spans.append((start, position))
        elif field == STRING:
            position += 1 + rdata[position]
        else:
            position += field
    return spans
