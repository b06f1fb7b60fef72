"""Questions of class CH about the server itself (RFC 4892): refused unless the operator set the texts."""

from typing import NamedTuple

from signerd.dns import rcode as rc
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.query import CLASS_CH
from signerd.dns.response import AA, Answer, SectionWriter
from signerd.dns.rrset import RRset

_IDENTITY_NAMES = frozenset({b"\x08hostname\x04bind\x00", b"\x02id\x06server\x00"})
_VERSION_NAMES = frozenset({b"\x07version\x04bind\x00", b"\x07version\x06server\x00"})
MAX_TEXT_OCTETS = 255  # of a character-string (RFC 1035, section 3.3)


class ServerTexts(NamedTuple):
    """What the server says of itself; None: nothing."""

    identity: bytes | None = None  # for id.server and hostname.bind; at most 255 octets
    version: bytes | None = None  # for version.server and version.bind; at most 255 octets


def answer_chaos(texts: ServerTexts, name: Name, rdatatype: int, *, limit: int) -> Answer:
    """Answer a question of class CH."""
    text = None
    if name in _IDENTITY_NAMES:
        text = texts.identity
    elif name in _VERSION_NAMES:
        text = texts.version
    if text is None:
        return Answer(rc.REFUSED)
    if rdatatype not in (rt.TXT, rt.ANY):
        return Answer(rc.NOERROR, AA)
    writer = SectionWriter(name, limit)
    # TTL 0: the next query may reach another server of the same address (RFC 4892, section 2)
    rrset = RRset(name, rt.TXT, 0, (bytes((len(text),)) + text,))
    count = writer.put(rrset, with_signatures=False, rdclass=CLASS_CH)
    return Answer(rc.NOERROR, AA, count.to_bytes(2) + b"\x00\x00", 0, writer.finish())
