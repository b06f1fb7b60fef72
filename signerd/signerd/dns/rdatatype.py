"""RR types: the numbers this program knows by name, and their mnemonics (IANA registry "DNS Parameters")."""

A = 1
NS = 2
MD = 3
MF = 4
CNAME = 5
SOA = 6
MB = 7
MG = 8
MR = 9
NULL = 10
PTR = 12
HINFO = 13
MINFO = 14
MX = 15
TXT = 16
RP = 17
AFSDB = 18
RT = 21
SIG = 24
KEY = 25
PX = 26
AAAA = 28
NXT = 30
SRV = 33
NAPTR = 35
KX = 36
DNAME = 39
OPT = 41
DS = 43
RRSIG = 46
NSEC = 47
DNSKEY = 48
NSEC3 = 50
NSEC3PARAM = 51
CDS = 59
CDNSKEY = 60
ZONEMD = 63
SVCB = 64
HTTPS = 65
TKEY = 249
TSIG = 250
IXFR = 251
AXFR = 252
MAILB = 253
MAILA = 254
ANY = 255
CAA = 257

MNEMONICS: dict[int, str] = {
    number: name for name, number in list(globals().items()) if name.isupper() and isinstance(number, int)
}


def is_meta(rdatatype: int) -> bool:
    """Say if the type cannot stand in a zone: OPT and the types 128 to 255 (RFC 6895, 3.1)."""
    return rdatatype == OPT or 128 <= rdatatype <= 255 or rdatatype == 0


def format_type(rdatatype: int) -> str:
    """Print a type: its mnemonic if this module has one, else `TYPEn` (RFC 3597, section 5)."""
    return MNEMONICS.get(rdatatype) or f"TYPE{rdatatype}"
