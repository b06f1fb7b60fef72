"""A parent zone that named signs with keys of its own, and the registrar that follows its children."""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.node
import dns.query
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.update
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from peers import find_free_port, run_named_with

TTL = 1  # seconds, of all that the parent publishes but DS records
DS_TTL = 6
START_SECONDS = 30.0
_POLICY = f"""dnssec-policy "swift" {{
    keys {{ csk lifetime unlimited algorithm ecdsap256sha256; }};
    dnskey-ttl {TTL}; max-zone-ttl {DS_TTL}; zone-propagation-delay 0;
    publish-safety 0; retire-safety 0; parent-ds-ttl {DS_TTL}; parent-propagation-delay 0;
}};"""

Ask = Callable[[str, str], dns.message.Message]


@dataclass(slots=True)
class ParentZone:
    """The zone, which takes changes as dynamic updates.

    Attributes:
        name: With final dot.
        port: Of its name server.
    """

    name: str
    port: int

    def ask(self, name: str, rdatatype: str) -> dns.message.Message:
        """Ask its name server."""
        query = dns.message.make_query(name, rdatatype, want_dnssec=True)
        return dns.query.udp_with_fallback(query, "127.0.0.1", 5, self.port)[0]

    def find_anchor(self) -> str:
        """Wait until named has made its key, and give the DS record of it."""
        apex = dns.name.from_text(self.name)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            answer = self.ask(self.name, "DNSKEY").answer
            is_signed = any(
                rrset.rdtype == dns.rdatatype.RRSIG for rrset in self.ask(self.name, "SOA").answer
            )
            for key in list_rdatas(answer, dns.rdatatype.DNSKEY):
                if is_signed:
                    return f"{self.name} DS {dns.dnssec.make_ds(apex, cast('DNSKEY', key), 'SHA256')}"
            time.sleep(0.05)
        raise AssertionError(f"named has not signed {self.name} within {START_SECONDS} s")

    def replace_ds(self, child: str, records: Sequence[str]) -> None:
        """Have these DS records for a child, and no others."""
        update = dns.update.UpdateMessage(self.name)
        owner = dns.name.from_text(child)
        update.delete(owner, "DS")
        for record in records:
            update.add(owner, DS_TTL, "DS", record)
        rcode = dns.query.tcp(update, "127.0.0.1", 10, self.port).rcode()
        assert rcode == dns.rcode.NOERROR, dns.rcode.to_text(rcode)

    def list_ds(self, child: str) -> frozenset[str]:
        """Give the DS records of a child as they are served."""
        return frozenset(map(str, list_rdatas(self.ask(child, "DS").answer, dns.rdatatype.DS)))


@contextmanager
def run_parent(directory: Path, name: str, children: Sequence[str]) -> Generator[ParentZone]:
    """Serve a signed parent that delegates to children without DS records; names end with a dot."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = [
        f"$ORIGIN {name}\n$TTL {TTL}",
        f"@ SOA ns h 1 3600 600 86400 {TTL}",
        "@ NS ns\nns A 127.0.0.1",
        *(f"{child} NS ns.{child}\nns.{child} A 127.0.0.1" for child in children),
    ]
    file = directory / "parent.zone"
    file.write_text("\n".join(lines) + "\n")
    port = find_free_port()
    options = f'dnssec-policy "swift"; key-directory "{directory}"; allow-update {{ 127.0.0.1; }};'
    with run_named_with(directory, {name: file}, port, statements=_POLICY, zone_options=options):
        yield ParentZone(name, port)


@dataclass
class Registrar:
    """Does at the parent what the CDS records of children ask for (RFC 7344), as soon as it sees them.

    Attributes:
        parent: Where DS records are put.
        ask_child: Asks the children's name server.
        children: Names of zones, with final dot.
        asleep: Children whose wishes wait.
        changes: What was done: child, DS records before and after.
        errors: Why wishes were not followed.
    """

    parent: ParentZone
    ask_child: Ask
    children: Sequence[str]
    asleep: set[str] = field(default_factory=set[str])
    changes: list[tuple[str, frozenset[str], frozenset[str]]] = field(
        default_factory=list[tuple[str, frozenset[str], frozenset[str]]]
    )
    errors: list[str] = field(default_factory=list[str])

    def look(self, child: str) -> None:
        """Look at one child, and follow it."""
        signed_cds = self.ask_child(child, "CDS").answer
        wanted = list_rdatas(signed_cds, dns.rdatatype.CDS)
        if not wanted:
            return
        is_removal = [str(cds) for cds in wanted] == ["0 0 0 00"]  # RFC 8078, section 4
        new = frozenset[str]() if is_removal else frozenset(map(str, wanted))
        present = self.parent.list_ds(child)
        if new == present:
            return
        owner = dns.name.from_text(child)
        dnskeys = [
            cast("DNSKEY", rdata)
            for rdata in list_rdatas(self.ask_child(child, "DNSKEY").answer, dns.rdatatype.DNSKEY)
        ]
        # RFC 7344 section 4.1: signed by a key that the present DS records point to; for the first ones any
        # key that may be pointed to will do here (RFC 8078, section 3).
        trusted = [
            key
            for key in dnskeys
            if key.flags & 1 and (not present or present & {_make_ds(owner, key, ds) for ds in (2, 4)})
        ]
        _validate(signed_cds, owner, trusted)
        known = {_make_ds(owner, key, digest) for key in dnskeys for digest in (2, 4)}
        assert new <= known, f"{child} asks for DS records of no key: {new - known}"
        self.parent.replace_ds(child, sorted(new))
        self.changes.append((child, present, new))

    def follow(self, ended: threading.Event) -> None:
        """Look at all children until told to stop; the work of a thread."""
        while not ended.wait(0.2):
            for child in self.children:
                if child in self.asleep:
                    continue
                try:
                    self.look(child)
                except (dns.exception.DNSException, OSError):
                    continue  # the children's server is not there, or answered from two versions
                except AssertionError as error:
                    self.errors.append(str(error))


def _make_ds(owner: dns.name.Name, key: DNSKEY, digest_type: int) -> str:
    return str(dns.dnssec.make_ds(owner, key, {2: "SHA256", 4: "SHA384"}[digest_type]))


def _validate(answer: Sequence[dns.rrset.RRset], owner: dns.name.Name, keys: Sequence[DNSKEY]) -> None:
    records = next(rrset for rrset in answer if rrset.rdtype == dns.rdatatype.CDS)
    signatures = next((rrset for rrset in answer if rrset.rdtype == dns.rdatatype.RRSIG), None)
    if signatures is None:
        raise AssertionError(f"the CDS records of {owner} are not signed")
    trusted: dict[dns.name.Name, dns.node.Node | dns.rdataset.Rdataset] = {
        owner: dns.rdataset.from_rdata_list(TTL, list(keys))
    }
    dns.dnssec.validate(records, signatures, trusted)  # pyright: ignore[reportUnknownMemberType]


def list_rdatas(answer: Sequence[dns.rrset.RRset], rdatatype: int) -> list[object]:
    """Give the records of a type in a section."""
    return [rdata for rrset in answer if rrset.rdtype == rdatatype for rdata in cast("list[object]", rrset)]
