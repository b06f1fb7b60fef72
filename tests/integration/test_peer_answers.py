"""The same signed zones served by named, knotd, nsd and signerd: thousands of answers beside each other."""

import gzip
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bulk_questions import Question, ask_over_tcp, ask_over_udp
from corner_zone import list_corner_names, make_corner_zones
from daemon_process import run_daemon
from peer_differences import DIFFERENCES, explain
from peers import find_free_port, run_knotd, run_named, run_nsd
from plain_response import PlainResponse, read_response
from zone_generator import generate_zone

EXAMPLES = Path(__file__).parent.parent.parent / "zones"
ROOT = Path(__file__).parent.parent / "data" / "root.zone.gz"
PEERS = {"named": run_named, "knotd": run_knotd, "nsd": run_nsd}
GENERATED = {
    "nsec3.test": generate_zone("nsec3.test.", 1000, 11),
    "nsec.test": generate_zone("nsec.test.", 1000, 12),
}
CORNERS = {"corner3.test": "corner3.test.", "corner.test": "corner.test."}
OPTIONS = """
policies:
  with-nsec: {denial: nsec}
zones:
  - {name: nsec.test, policy: with-nsec}
  - {name: corner.test, policy: with-nsec}
  - {name: child.corner.test, policy: with-nsec}
"""
TYPES = ["A", "AAAA", "NS", "MX", "TXT", "SOA", "CNAME", "DS", "DNAME", "ANY", "NSEC", "NSEC3", "DNSKEY"]
MORE_TYPES = [*TYPES, "RRSIG", "CDS", "CDNSKEY", "NSEC3PARAM", "SRV", "CAA", "TLSA", "TYPE65280"]
STREAM_EVERY = 10  # questions that are asked over TCP, too, are one in so many


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question with what one server answered; `tcp` is None where it was not asked over TCP."""

    udp: PlainResponse
    tcp: PlainResponse | None
    tcp_octets: int

    @property
    def whole(self) -> PlainResponse:
        """What a client has in the end."""
        if self.udp.is_truncated:
            assert self.tcp is not None
            return self.tcp
        return self.udp


@dataclass(frozen=True, slots=True)
class Transcript:
    """All questions with the answers of each server, in the same order."""

    questions: list[Question]
    exchanges: dict[str, list[Exchange]]


def make_pairs() -> Iterator[tuple[str, str]]:
    source = random.Random(7)
    for zone in GENERATED.values():
        yield from zone.make_questions(1500, 5)
        for name in [zone.origin, *zone.delegations[:10], *source.sample(zone.owners, 60)]:
            yield from ((name, rdatatype) for rdatatype in MORE_TYPES)
        for cut in zone.delegations:
            yield from ((cut, rdatatype) for rdatatype in ("A", "NS", "DS"))
            yield from ((f"{prefix}.{cut}", "A") for prefix in ("ns", "ns1", "www", "*"))
    for origin in CORNERS.values():
        for name in list_corner_names(origin):
            yield from ((name, rdatatype) for rdatatype in TYPES)
    examples = [
        "",
        "www",
        "ftp",
        "mail",
        "_imaps._tcp",
        "_tcp",
        "user.pages",
        "*.pages",
        "pages",
        "a.b.pages",
    ]
    examples += [
        "old",
        "www.old",
        "no.old",
        "new",
        "secure",
        "x.secure",
        "insecure",
        "x.insecure",
        "pool-007",
    ]
    for relative in [*examples, "nothing", "unknown", "ns1", "ns1.secure"]:
        name = f"{relative}.example.com." if relative else "example.com."
        yield from ((name, rdatatype) for rdatatype in MORE_TYPES)


def converse(port: int, questions: list[Question], streamed: set[int]) -> list[Exchange]:
    datagrams = [read_response(octets) for octets in ask_over_udp(port, questions)]
    chosen = sorted(streamed | {at for at, response in enumerate(datagrams) if response.is_truncated})
    messages = dict(zip(chosen, ask_over_tcp(port, [questions[at] for at in chosen]), strict=True))
    return [
        Exchange(udp, read_response(messages[at]) if at in messages else None, len(messages.get(at, b"")))
        for at, udp in enumerate(datagrams)
    ]


def make_root_pairs(text: str) -> Iterator[tuple[str, str]]:
    source = random.Random(8)
    owners = sorted({line.split()[0].lower() for line in text.splitlines() if line[:1].isalpha()})
    for name in source.sample(owners, 500):
        yield from ((name, rdatatype) for rdatatype in ("A", "DS"))
        yield from ((f"{prefix}{name}", "AAAA") for prefix in ("www.", "x"))
    yield from ((".", rdatatype) for rdatatype in MORE_TYPES)


def serve_and_ask(
    directory: Path, files: dict[str, str], names: list[str], pairs: Iterator[tuple[str, str]]
) -> Transcript:
    """Ask all four servers, which have the same zones; signerd signed them."""
    questions = [Question(*pair, dnssec) for pair in dict.fromkeys(pairs) for dnssec in (False, True)]
    streamed = set(range(0, len(questions), STREAM_EVERY))
    options = OPTIONS if "nsec.test" in names else ""
    with ExitStack() as running:
        daemon = running.enter_context(run_daemon(directory / "signerd", files, options))
        dumps: dict[str, Path] = {}
        for name in names:
            result = daemon.run_command("dump", name)
            assert result.returncode == 0, result.stderr
            dumps[name] = directory / f"{name}.signed"
            dumps[name].write_text(result.stdout)
        ports = {"signerd": daemon.port}
        for server, run in PEERS.items():
            ports[server] = find_free_port()
            running.enter_context(run(directory / server, dumps, ports[server]))
        exchanges = {server: converse(port, questions, streamed) for server, port in ports.items()}
    return Transcript(questions, exchanges)


@pytest.fixture(scope="module")
def transcript(tmp_path_factory: pytest.TempPathFactory) -> Transcript:
    texts = {name: zone.text for name, zone in GENERATED.items()}
    for origin in CORNERS.values():
        texts |= make_corner_zones(origin)
    files = {f"{name}.zone": text for name, text in texts.items()}
    files |= {file.name: file.read_text() for file in EXAMPLES.glob("example.com.*")}
    small = serve_and_ask(tmp_path_factory.mktemp("small"), files, [*texts, "example.com"], make_pairs())
    # By themselves: beside the root zone no name would be without a zone.
    text = gzip.decompress(ROOT.read_bytes()).decode()
    pairs = make_root_pairs(text)
    root = serve_and_ask(tmp_path_factory.mktemp("root"), {"root.zone": text}, ["."], pairs)
    exchanges = {server: small.exchanges[server] + root.exchanges[server] for server in small.exchanges}
    return Transcript(small.questions + root.questions, exchanges)


@pytest.mark.parametrize("server", PEERS)
def test_every_difference_is_explained(transcript: Transcript, server: str) -> None:
    seen: Counter[str] = Counter()
    equal = 0
    ours_and_theirs = zip(transcript.exchanges["signerd"], transcript.exchanges[server], strict=True)
    for question, (ours, theirs) in zip(transcript.questions, ours_and_theirs, strict=True):
        kinds, left = explain(server, question, ours.whole, theirs.whole)
        assert left == ours.whole, f"{question} {kinds}\nsignerd: {ours.whole}\n{server}: {theirs.whole}"
        seen.update(kinds)
        equal += not kinds
    assert seen.keys() == {kind for kind, difference in DIFFERENCES.items() if server in difference.servers}
    assert equal > len(transcript.questions) * 0.9, seen


@pytest.mark.parametrize("server", ["signerd", *PEERS])
def test_only_what_does_not_fit_is_truncated(transcript: Transcript, server: str) -> None:
    for question, exchange in zip(transcript.questions, transcript.exchanges[server], strict=True):
        if exchange.udp.is_truncated:
            assert exchange.tcp_octets > (1232 if question.dnssec else 512), question
            assert exchange.tcp is not None
            assert not exchange.tcp.is_truncated


def test_answers_over_tcp_are_those_over_udp(transcript: Transcript) -> None:
    compared = 0
    for question, exchange in zip(transcript.questions, transcript.exchanges["signerd"], strict=True):
        if exchange.tcp is not None and not exchange.udp.is_truncated:
            # What is sent if it fits may be there over TCP alone.
            optional = exchange.tcp.additional - exchange.udp.additional
            assert exchange.udp == replace(exchange.tcp, additional=exchange.tcp.additional - optional), (
                question
            )
            compared += 1
    assert compared > 1000


def test_the_questions_lead_everywhere(transcript: Transcript) -> None:
    assert len(transcript.questions) > 10_000
    kinds = Counter(
        (exchange.whole.rcode, exchange.whole.is_authoritative, bool(exchange.whole.answer))
        for exchange in transcript.exchanges["signerd"]
    )
    assert kinds.keys() == {
        (0, True, True),
        (0, True, False),
        (0, False, False),  # a referral
        (3, True, False),
        (3, True, True),  # an alias to nothing
        (5, False, False),  # not a zone of ours
        (6, True, True),  # a DNAME that makes too long a name
    }
    assert min(kinds.values()) >= 20, kinds
    assert sum(exchange.udp.is_truncated for exchange in transcript.exchanges["signerd"]) > 50
