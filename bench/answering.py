"""Microseconds to answer a query that no cache holds, by kind of answer: in this process, without sockets.

Each figure is also given as a multiple of what a cached answer takes in the same run, so that figures of
different machines can be compared.

    python -P bench/answering.py [--names 10000] [--nsec] [--rounds 5]
"""

import argparse
import gc
import random
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

import dns.rdatatype

from sign_here import sign_text
from signerd.dns import rdatatype as rt
from signerd.dns.name import parse_name
from signerd.dns.zone_index import ZoneIndex
from signerd.dns.zone_set import ZoneSet
from signerd.dnssec.policy import Denial, SigningPolicy
from signerd.responder.responder import Responder, ResponderOptions
from zone_generator import GeneratedZone, generate_zone

ORIGIN = "bench.test."
QUERIES = 3000  # of each kind
OPT_DO = b"\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x00"


def make_query(name: str, rdatatype: int, *, dnssec: bool = True) -> bytes:
    """Make a query as dnsperf does."""
    question = parse_name(name) + rdatatype.to_bytes(2) + b"\x00\x01"
    counts = b"\x00\x01\x00\x00\x00\x00" + (b"\x00\x01" if dnssec else b"\x00\x00")
    return b"\x12\x34\x01\x00" + counts + question + (OPT_DO if dnssec else b"")


def make_kinds(zone: GeneratedZone) -> dict[str, list[bytes]]:
    """Make queries for each kind of answer."""
    source = random.Random(3)
    hosts = [name for name in zone.owners if name[0] == "n" and name[1].isdigit()]
    aliases = [name for name in zone.owners if name[0] == "c" and name[1].isdigit()]
    secure = [name for name in zone.delegations if name.startswith("sec")]
    insecure = [name for name in zone.delegations if name.startswith("ins")]
    wildcards = [name[1:] for name in zone.owners if name.startswith("*.wild")]
    renamed = [name for name in zone.owners if name.startswith("dn")]
    uniform = list(zone.make_questions(QUERIES, 1))

    def pick(names: list[str]) -> list[str]:
        return [source.choice(names) for _ in range(QUERIES)]

    def spoil(name: str) -> str:
        return f"x{source.randrange(10**9)}.{name}"

    return {
        "positive": [make_query(name, rt.A) for name in pick(hosts)],
        "positive, no DO": [make_query(name, rt.A, dnssec=False) for name in pick(hosts)],
        "no such type": [make_query(name, rt.MX) for name in pick(hosts)],
        "no such name at the apex": [make_query(spoil(ORIGIN), rt.A) for _ in range(QUERIES)],
        "no such name, no DO": [make_query(spoil(ORIGIN), rt.A, dnssec=False) for _ in range(QUERIES)],
        "no such name below a host": [make_query(spoil(name), rt.A) for name in pick(hosts)],
        "alias of three hops": [make_query(name, rt.A) for name in pick(aliases)],
        "signed delegation": [make_query(spoil(name), rt.A) for name in pick(secure)],
        "unsigned delegation": [make_query(spoil(name), rt.A) for name in pick(insecure)],
        "wildcard": [make_query(f"x{source.randrange(10**9)}{name}", rt.A) for name in pick(wildcards)],
        "DNAME": [make_query(spoil(name), rt.A) for name in pick(renamed)],
        "uniform mixture": [make_query(name, dns.rdatatype.from_text(kind)) for name, kind in uniform],
    }


def read_resident_mebibytes() -> float:
    """Give the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def time_queries(ask: Callable[[bytes], bytes | None], queries: list[bytes]) -> float:
    """Give microseconds a query."""
    start = process_time()
    for query in queries:
        ask(query)
    return (process_time() - start) / len(queries) * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nsec", action="store_true", help="NSEC in place of NSEC3")
    options = parser.parse_args()
    generated = generate_zone(ORIGIN, options.names, 1)
    policy = SigningPolicy(denial=Denial.NSEC if options.nsec else Denial.NSEC3)
    with tempfile.TemporaryDirectory() as directory:
        zone = sign_text(generated.text, ORIGIN, Path(directory), policy=policy)
    before = read_resident_mebibytes()
    start = perf_counter()
    index = ZoneIndex.build(zone)
    print(
        f"index of {len(zone.names):,} names: {perf_counter() - start:.3f} s, "
        f"{read_resident_mebibytes() - before:.1f} MiB\n"
    )
    gc.collect()
    gc.freeze()
    responder = Responder(ResponderOptions(), lambda: 0.0, ZoneSet({zone.origin: index}))
    kinds = make_kinds(generated)
    results: dict[str, list[float]] = {kind: [] for kind in kinds}
    cached: list[float] = []
    for _ in range(options.rounds):
        for kind, queries in kinds.items():
            responder.replace_zones(responder.zones)
            results[kind].append(time_queries(responder.respond_to_datagram, queries))
        cached.append(time_queries(responder.respond_to_datagram, [kinds["positive"][0]] * QUERIES))
    unit = statistics.median(cached)
    print("| Answer | Microseconds | Cached answers |\n|---|---|---|")
    print(f"| cached | {unit:.2f} | 1 |")
    for kind, values in results.items():
        value = statistics.median(values)
        print(f"| {kind} | {value:.1f} | {value / unit:.0f} |")


if __name__ == "__main__":
    main()
