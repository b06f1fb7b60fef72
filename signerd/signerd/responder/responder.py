"""From packet to packet: caches and policy around the core. No sockets here.

Two caches. The first maps a whole query, without its ID and with the name in lower case, to a whole response:
a hot query costs two slices and a look-up, and little more if the name is spelled in random case (0x20). The
second maps the question, with what else matters, to the sections of the response, so a client that sends
options of its own (cookies, for one) costs a parse and a header only. Both belong to one set of zones and are
emptied when that is replaced, in the same thread, so no answer outlives its zone.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from signerd.dns import rcode as rc
from signerd.dns import rdatatype as rt
from signerd.dns.answer import answer_question, refuse
from signerd.dns.chaos import ServerTexts, answer_chaos
from signerd.dns.ede import ExtendedError
from signerd.dns.edns import (
    DEFAULT_UDP_OCTETS,
    FIXED_OCTETS,
    MIN_UDP_OCTETS,
    NSID,
    write_extended_error,
    write_option,
)
from signerd.dns.message import assemble_response, make_bare_response, write_bad_key
from signerd.dns.query import (
    CLASS_CH,
    CLASS_IN,
    HEADER_OCTETS,
    OPCODE_QUERY,
    Query,
    parse_query,
)
from signerd.dns.response import TC, Answer
from signerd.dns.zone_set import ZoneSet
from signerd.responder.answer_cache import AnswerCache
from signerd.responder.counters import Counters

logger = logging.getLogger(__name__)

MAX_STREAM_OCTETS = 65535  # RFC 1035, section 4.2.2: the length prefix has two octets
DEFAULT_CACHE_OCTETS = 32 << 20
MAX_CACHED_OCTETS = 4096  # a larger response is not kept: few would displace many
EXCEPTION_LOG_SECONDS = 60.0
_QUESTION_AT = HEADER_OCTETS - 2  # in a message without its ID
_NXNAME = 128  # RFC 9824, section 3.4
_TRANSFERS = frozenset({rt.AXFR, rt.IXFR})
_NEVER_ASKED = frozenset({0, rt.OPT, rt.TSIG})


@dataclass(frozen=True, slots=True)
class ResponderOptions:
    """How to answer.

    Attributes:
        udp_octets: Largest datagram sent and announced, at least 512.
        texts: Answers of class CH.
        nsid: Sent to who asks for it (RFC 5001); None: not sent.
        cache_octets: Bound of each of the two caches, about.
    """

    udp_octets: int = DEFAULT_UDP_OCTETS
    texts: ServerTexts = field(default_factory=ServerTexts)
    nsid: bytes | None = None
    cache_octets: int = DEFAULT_CACHE_OCTETS


_Key = tuple[bytes, int, bool, int]


class Responder:
    """Answers queries from a set of zones that can be replaced at any time, by the same thread."""

    def __init__(
        self, options: ResponderOptions, monotonic: Callable[[], float], zones: ZoneSet | None = None
    ) -> None:
        """Prepare.

        Args:
            options: How to answer.
            monotonic: A clock; only decides how often the log is written to.
            zones: What to answer from at first.
        """
        self.counters = Counters()
        self.datagrams: AnswerCache[bytes, bytes] = AnswerCache(options.cache_octets)
        self.answers: AnswerCache[_Key, Answer] = AnswerCache(options.cache_octets)
        self._options = options
        self._zones = zones or ZoneSet()
        self._monotonic = monotonic
        self._last_logged = -EXCEPTION_LOG_SECONDS

    @property
    def zones(self) -> ZoneSet:
        """What is answered from."""
        return self._zones

    def replace_zones(self, zones: ZoneSet) -> None:
        """Answer from another set of zones from now on."""
        self._zones = zones
        self.datagrams.clear()
        self.answers.clear()

    def respond_to_datagram(self, packet: bytes) -> bytes | None:
        """Answer a query that came over UDP; None if it is to be ignored. Never raises."""
        key = packet[2:]
        counters = self.counters
        counters.queries_udp += 1
        tail = self.datagrams.get(key)
        if tail is None and key.lower() != key:
            tail = self._find_spelled(key)
        if tail is not None:
            counters.cache_hits += 1
        else:
            try:
                tail = self._respond(packet, key, is_stream=False)
            except Exception as error:  # the one broad catch; _guard says why
                return self._guard(packet, error)
            if tail is None:
                counters.dropped += 1
                return None
        counters.rcodes[tail[1] & 15] += 1
        if tail[0] & TC:
            counters.truncated += 1
        return packet[:2] + tail

    def _find_spelled(self, key: bytes) -> bytes | None:
        """Find the response to a query whose name is perhaps spelled in another case (0x20)."""
        end = _QUESTION_AT
        try:
            while octet := key[end]:
                end += 1 + octet
        except IndexError:
            return None
        spelled = key[_QUESTION_AT:end]
        name = spelled.lower()
        # Only the name is folded: octets outside it can look like letters. One that is not well-formed is not
        # found, as none in the cache has a length octet that is a letter.
        tail = None if name == spelled else self.datagrams.get(key[:_QUESTION_AT] + name + key[end:])
        return None if tail is None else tail[:_QUESTION_AT] + spelled + tail[end:]

    def respond_to_message(self, packet: bytes) -> bytes | None:
        """Answer a query that came over TCP; None if it is to be ignored. Never raises."""
        counters = self.counters
        counters.queries_tcp += 1
        try:
            tail = self._respond(packet, b"", is_stream=True)
        except Exception as error:  # the one broad catch; _guard says why
            return self._guard(packet, error)
        if tail is None:
            counters.dropped += 1
            return None
        counters.rcodes[tail[1] & 15] += 1
        return packet[:2] + tail

    def _guard(self, packet: bytes, error: Exception) -> bytes | None:
        """Answer SERVFAIL for a packet that made the program fail.

        The one place where everything is caught: a bug in answering must cost one answer, not the process, or
        anyone could stop the service with a packet. The log has what is needed to find the bug.
        """
        self.counters.exceptions += 1
        now = self._monotonic()
        if now - self._last_logged >= EXCEPTION_LOG_SECONDS:
            self._last_logged = now
            logger.error("bug: a query made the responder fail: %s", packet.hex(), exc_info=error)
        if len(packet) < HEADER_OCTETS:
            return None
        self.counters.rcodes[rc.SERVFAIL] += 1
        return make_bare_response(packet, rc.SERVFAIL)

    def _respond(self, packet: bytes, key: bytes, *, is_stream: bool) -> bytes | None:
        query = parse_query(packet)
        if query is None:
            return None
        options = b""
        edns = query.edns
        own_limit = self._options.udp_octets
        if edns is not None:
            limit = edns.udp_octets
            if limit > own_limit:
                limit = own_limit
            if is_stream:
                limit = MAX_STREAM_OCTETS
            if edns.wants_nsid and self._options.nsid is not None:
                options = write_option(NSID, self._options.nsid)
            limit -= FIXED_OCTETS + len(options)
        else:
            limit = MAX_STREAM_OCTETS if is_stream else MIN_UDP_OCTETS
        tsig = b""
        if query.rcode == rc.NOERROR and query.tsig is not None:
            answer, tsig = self._reject_key(query.tsig)
        else:
            answer = self._answer(query, limit)
        if answer.error is not None and edns is not None:
            options += write_extended_error(answer.error)
        if answer.rcode == rc.FORMERR:
            self.counters.malformed += 1
        tail = assemble_response(query, answer, udp_octets=own_limit, options=options, tsig=tsig)
        if (
            key
            and query.rcode == rc.NOERROR
            and len(tail) <= MAX_CACHED_OCTETS
            and not tsig
            # Options differ from client to client: entries nobody would ask for.
            and (edns is None or not edns.has_options)
        ):
            name = query.name
            if query.question[:-4] == name:
                self.datagrams.put(key, tail, len(key) + len(tail))
            else:
                end = _QUESTION_AT + len(name)
                folded = key[:_QUESTION_AT] + name + key[end:]
                if self.datagrams.get(folded) is None:
                    self.datagrams.put(folded, tail[:_QUESTION_AT] + name + tail[end:], len(key) + len(tail))
        return tail

    @staticmethod
    def _reject_key(tsig: bytes) -> tuple[Answer, bytes]:
        """RFC 8945, section 5.2.1: no keys are known."""
        record = write_bad_key(tsig)
        return (Answer(rc.FORMERR), b"") if record is None else (Answer(rc.NOTAUTH), record)

    def _answer(self, query: Query, limit: int) -> Answer:
        if query.rcode != rc.NOERROR:
            return Answer(query.rcode)
        if query.edns is not None and query.edns.version:
            return Answer(rc.BADVERS)
        if query.opcode != OPCODE_QUERY:
            return Answer(rc.NOTIMP)
        if query.rdclass != CLASS_IN:
            if query.rdclass == CLASS_CH:
                return answer_chaos(self._options.texts, query.name, query.type, limit=limit)
            return Answer(rc.REFUSED)
        rdatatype = query.type
        if rdatatype != rt.ANY and rt.is_meta(rdatatype):
            return _answer_meta(rdatatype)
        wants_dnssec = query.edns is not None and query.edns.wants_dnssec
        key = query.name, rdatatype, wants_dnssec, limit
        answer = self.answers.get(key)
        if answer is None:
            answer = answer_question(
                self._zones, query.name, rdatatype, wants_dnssec=wants_dnssec, limit=limit
            )
            octets = len(answer.records)
            if octets <= MAX_CACHED_OCTETS:
                self.answers.put(key, answer, octets + len(query.name))
        return answer


def _answer_meta(rdatatype: int) -> Answer:
    """Answer for a QTYPE that no zone can hold."""
    if rdatatype in _TRANSFERS:
        return Answer(rc.REFUSED)
    if rdatatype == _NXNAME:
        return refuse(ExtendedError.INVALID_QUERY_TYPE)
    if rdatatype in _NEVER_ASKED:  # pseudo-records that go with a message, and the reserved type 0
        return Answer(rc.FORMERR)
    return Answer(rc.NOTIMP)  # MAILA and MAILB are obsolete (RFC 1035, section 3.2.3); TKEY is not offered
