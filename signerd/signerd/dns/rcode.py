"""Response codes (IANA registry "DNS RCODEs"); above 15 they need EDNS (RFC 6891, section 6.1.3)."""

NOERROR = 0
FORMERR = 1
SERVFAIL = 2
NXDOMAIN = 3
NOTIMP = 4
REFUSED = 5
YXDOMAIN = 6
NOTAUTH = 9
BADVERS = 16

NAMES: dict[int, str] = {
    number: name for name, number in list(globals().items()) if name.isupper() and isinstance(number, int)
}
