"""Asks a validating resolver all the time, and remembers what was wrong."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode


@dataclass
class ValidationWatch:
    """Asks for a name of each zone that exists and for one that does not.

    Attributes:
        port: Of the resolver.
        zones: Names, with final dot; each has an A record at `www`.
        secure: Zones of which the answer for `www` was validated: all answers must be from then on.
        free: Zones that may be insecure for now; an answer is wanted all the same.
        faults: What was wrong: seconds since the start, question, and what came.
        counts: How many answers were validated, by zone.
    """

    port: int
    zones: Sequence[str]
    secure: set[str] = field(default_factory=set[str])
    free: set[str] = field(default_factory=set[str])
    faults: list[str] = field(default_factory=list[str])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    started_at: float = field(default_factory=time.monotonic)

    def watch(self, ended: threading.Event) -> None:
        """Ask until told to stop; the work of a thread."""
        number = 0
        while not ended.wait(0.25):
            number += 1
            for zone in self.zones:
                self.ask(f"www.{zone}", dns.rcode.NOERROR, zone)
                self.ask(f"no-{number}.{zone}", dns.rcode.NXDOMAIN, zone)

    def ask(self, name: str, expected: dns.rcode.Rcode, zone: str) -> None:
        """Ask once, and judge the answer."""
        query = dns.message.make_query(name, "A", want_dnssec=True)
        was_secure = zone in self.secure  # as of before the question: it may be let go at any moment
        try:
            response = dns.query.udp(query, "127.0.0.1", port=self.port, timeout=10)
        except (dns.exception.DNSException, OSError) as error:
            self._note(name, repr(error))
            return
        is_validated = bool(response.flags & dns.flags.AD)
        if response.rcode() != expected:
            self._note(name, dns.rcode.to_text(response.rcode()))
        elif is_validated:
            self.counts[zone] = self.counts.get(zone, 0) + 1
            if zone not in self.free and expected == dns.rcode.NOERROR:
                self.secure.add(zone)  # until then the cache may have an answer from before
        elif was_secure and zone in self.secure:
            self._note(name, "an answer that was not validated")

    def let_go(self, zone: str) -> None:
        """Take note that a zone may be insecure from now on."""
        self.free.add(zone)
        self.secure.discard(zone)

    def demand(self, zone: str) -> None:
        """Take note that a zone must not become insecure any more, once it is secure."""
        self.free.discard(zone)

    def _note(self, name: str, what: str) -> None:
        self.faults.append(f"{time.monotonic() - self.started_at:.2f} s: {name}: {what}")
