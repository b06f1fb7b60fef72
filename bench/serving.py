"""Queries answered per CPU second: signerd beside NSD, Knot DNS and BIND, on one zone, in one run.

dnsperf asks each server in turn for some seconds, over and over; what counts is the CPU time of the server's
own processes (user and system, from /proc), so that a noisy machine and the load generator do not matter.

    python -P bench/serving.py [--seconds 4] [--rounds 3] [--names 10000]
"""

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from peers import find_free_port, find_tool, run_knotd, run_named, run_nsd, wait_for_answer
from sign_here import sign_text
from signerd.zones.manifest import write_manifest
from signerd.zones.printer import write_master_file
from signerd.zones.publication import Publication
from signerd.zones.zone_directory import zone_directory_name
from zone_generator import GeneratedZone, generate_zone

ORIGIN = "bench.test."
TICKS = os.sysconf("SC_CLK_TCK")


def read_cpu_seconds(pid: int) -> float:
    """Give user and system time of a process and all of its descendants."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        process = int(entry.parent.name)
        parents[process] = int(fields[1])
        seconds[process] = (int(fields[11]) + int(fields[12])) / TICKS

    def belongs(process: int) -> bool:
        while process not in (pid, 0):
            process = parents.get(process, 0)
        return process == pid

    return sum(spent for process, spent in seconds.items() if belongs(process))


@contextmanager
def run_signerd(directory: Path, published: Path, port: int) -> Generator[subprocess.Popen[bytes]]:
    """Answer with one responder process."""
    command = [sys.executable, "-P", "-m", "signerd.responder", "--published", str(published)]
    with (directory / "signerd.log").open("wb") as log:
        process = subprocess.Popen([*command, "--listen", f"127.0.0.1@{port}"], stdout=log, stderr=log)
        try:
            wait_for_answer(port, ORIGIN, process)
            yield process
        finally:
            process.terminate()
            process.wait()


def start(
    server: str, directory: Path, zones: dict[str, Path], published: Path, port: int
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Start one of the servers with one worker."""
    if server == "signerd":
        return run_signerd(directory, published, port)
    return {"nsd": run_nsd, "knotd": run_knotd, "named": run_named}[server](directory / server, zones, port)


def make_scenarios(zone: GeneratedZone, directory: Path) -> dict[str, tuple[Path, list[str]]]:
    """Write dnsperf's query files; give file and extra arguments for each scenario."""
    source = random.Random(7)
    uniform = [f"{name} {rdatatype}" for name, rdatatype in zone.make_questions(50_000, 1)]
    hot = uniform[:100]
    missing = [f"x{source.randrange(10**9)}.{zone.origin} A" for _ in range(50_000)]
    mixed = ["".join(source.choice((c.upper(), c.lower())) for c in line) for line in hot * 100]
    contents: dict[str, tuple[list[str], list[str]]] = {
        "hot set": (hot, []),
        "hot set, DO": (hot, ["-e", "-D"]),
        "hot set, mixed case": (mixed, []),
        "hot set, TCP": (hot, ["-m", "tcp"]),
        "uniform, DO": (uniform, ["-e", "-D"]),
        "random missing names, DO": (missing, ["-e", "-D"]),
    }
    scenarios: dict[str, tuple[Path, list[str]]] = {}
    for number, (name, (lines, arguments)) in enumerate(contents.items()):
        file = directory / f"queries{number}"
        file.write_text("\n".join(lines) + "\n")
        scenarios[name] = file, arguments
    return scenarios


def measure(pid: int, port: int, queries: Path, arguments: list[str], seconds: int) -> tuple[float, float]:
    """Give answers a CPU second of the server, and answers a second."""
    before = read_cpu_seconds(pid)
    command = [find_tool("dnsperf"), "-s", "127.0.0.1", "-p", str(port), "-d", str(queries), "-c", "8"]
    run = subprocess.run(
        [*command, "-q", "200", "-l", str(seconds), *arguments], capture_output=True, text=True, check=True
    )
    spent = read_cpu_seconds(pid) - before
    found = re.search(r"Queries completed:\s+(\d+)", run.stdout)
    rate = re.search(r"Queries per second:\s+([\d.]+)", run.stdout)
    assert found is not None, run.stdout
    assert rate is not None, run.stdout
    return int(found[1]) / spent, float(rate[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--names", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        zone = generate_zone(ORIGIN, options.names, 1)
        signed = sign_text(zone.text, zone.origin, directory)
        file = directory / "signed.zone"
        with file.open("w") as output:
            output.writelines(write_master_file(signed))
        published = directory / "published"
        published.mkdir()
        Publication(published / zone_directory_name(signed.origin)).publish(signed, None)
        write_manifest(published, [signed.origin])
        zones = {ORIGIN.rstrip("."): file}
        scenarios = make_scenarios(zone, directory)
        results: dict[str, dict[str, list[tuple[float, float]]]] = {key: {} for key in scenarios}
        for _ in range(options.rounds):
            for server in ("nsd", "knotd", "named", "signerd"):
                port = find_free_port()
                with start(server, directory, zones, published, port) as process:
                    for scenario, (queries, arguments) in scenarios.items():
                        figures = measure(process.pid, port, queries, arguments, options.seconds)
                        results[scenario].setdefault(server, []).append(figures)
    print("Answers per CPU second of the server, median; in brackets the ratio to NSD\n")
    print("| Scenario | signerd | NSD | Knot DNS | BIND |\n|---|---|---|---|---|")
    for scenario, by_server in results.items():
        medians = {key: statistics.median(f[0] for f in values) for key, values in by_server.items()}
        cells = [
            f"{medians[key]:,.0f} ({medians[key] / medians['nsd']:.2f})"
            for key in ("signerd", "nsd", "knotd", "named")
        ]
        print(f"| {scenario} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
