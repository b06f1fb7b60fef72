"""Signs one zone with signerd and with kzonesign in the same run, and prints what each step takes.

    python bench/signing.py [--names 100000] [--rounds 3]

signerd runs in this process, with keys in memory, so that its steps can be timed apart; kzonesign is timed as a
process. The same work is compared: read the zone file, make the chain, sign with ECDSA P-256 and NSEC3 without salt
or extra iterations, write the result. kzonesign does not validate what it wrote; signerd always does, so that is
given apart. Each figure is the least of the rounds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from signerd.dns.name import parse_name
from signerd.dns.zone import Zone
from signerd.dnssec.algorithm import ECDSAP256SHA256
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.policy import SigningPolicy
from signerd.dnssec.signature_plan import SigningPlan, plan_signatures
from signerd.dnssec.signed_zone import AssembledZone, assemble
from signerd.signer.bulk_signing import carry_out
from signerd.signer.signing_keys import LocalSigningKey, generate_private_key, read_public_half
from signerd.validator.zone_validation import validate
from signerd.zones.master_file import load_master_file
from signerd.zones.snapshot import write_snapshot
from zone_generator import generate_flat_zone

ZONE = "bench.test."
ORIGIN = parse_name(ZONE)
T = TypeVar("T")
KNOT_CONFIG = """
database:
  storage: "{directory}/keys"
server:
  rundir: "{directory}"
policy:
  - id: bench
    algorithm: ecdsap256sha256
    nsec3: on
    nsec3-iterations: 0
    nsec3-salt-length: 0
    signing-threads: {threads}
zone:
  - domain: {zone}
    storage: "{directory}"
    file: flat.zone
    dnssec-signing: on
    dnssec-policy: bench
"""


class Stopwatch:
    """Keeps the least wall time, with its CPU time, of each step."""

    def __init__(self) -> None:
        self.best: dict[str, tuple[float, float]] = {}

    def run(self, step: str, work: Callable[[], T]) -> T:
        wall, cpu = time.perf_counter(), sum(os.times()[:4])
        result = work()
        taken = time.perf_counter() - wall, sum(os.times()[:4]) - cpu
        self.best[step] = min(self.best.get(step, taken), taken)
        return result


def make_key(flags: int) -> LocalSigningKey:
    private_key = generate_private_key(ECDSAP256SHA256)
    return LocalSigningKey(private_key, read_public_half(private_key, flags))


def run_signerd(watch: Stopwatch, directory: Path) -> None:
    keys = [make_key(257), make_key(256)]
    key_set, policy, now = KeySet.from_keys(key.dnskey for key in keys), SigningPolicy(), int(time.time())

    def load() -> Zone:
        zone = load_master_file(directory / "flat.zone", ORIGIN, directory=directory).zone
        assert zone is not None
        return zone

    unsigned = watch.run("load", load)

    def prepare() -> AssembledZone:
        return assemble(unsigned, keys=key_set, policy=policy, serial=1)

    assembled = watch.run("assemble", prepare)

    def plan() -> SigningPlan:
        return plan_signatures(assembled, None, key_set, policy, now)

    for workers in (1, 2):
        planned = watch.run("plan", plan)  # each plan is used up by signing
        signed = watch.run(f"sign, {workers} thread(s)", lambda: carry_out(planned, keys, workers=workers))
    watch.run("write", lambda: write_snapshot(directory / "flat.snapshot", signed))
    ds = make_ds_set(ORIGIN, keys[0].dnskey)
    for workers in (1, 2):
        report = watch.run(
            f"validate, {workers} thread(s)", lambda: validate(signed, ds=ds, now=now, workers=workers)
        )
        assert not report.findings, report.findings[:3]


def run_kzonesign(watch: Stopwatch, directory: Path, threads: int) -> None:
    with tempfile.TemporaryDirectory(dir=directory) as own:
        config, output = Path(own, "knot.conf"), Path(own, "signed")
        output.mkdir()
        Path(own, "keys").mkdir()
        Path(own, "flat.zone").hardlink_to(directory / "flat.zone")
        config.write_text(KNOT_CONFIG.format(directory=own, threads=threads, zone=ZONE))
        command = ["kzonesign", "-c", str(config), "-o", str(output), ZONE]
        watch.run(
            f"kzonesign, {threads} thread(s)",
            lambda: subprocess.run(command, check=True, capture_output=True),
        )
        assert any(output.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description="Sign one zone with signerd and with kzonesign.")
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / "flat.zone").write_text(generate_flat_zone(ZONE, arguments.names))
        for _ in range(arguments.rounds):
            run_signerd(watch, directory)
            for threads in (1, 2):
                run_kzonesign(watch, directory, threads)
    print(f"{arguments.names} names, {os.cpu_count()} cores, least of {arguments.rounds} rounds\n")
    print(f"{'step':<24}{'wall s':>8}{'CPU s':>8}")
    for step, (wall, cpu) in watch.best.items():
        print(f"{step:<24}{wall:>8.2f}{cpu:>8.2f}")
    print()
    for threads in (1, 2):
        steps = ("load", "assemble", "plan", f"sign, {threads} thread(s)", "write")
        whole = sum(watch.best[step][0] for step in steps)
        checked = whole + watch.best[f"validate, {threads} thread(s)"][0]
        other = watch.best[f"kzonesign, {threads} thread(s)"][0]
        print(
            f"{threads} thread(s): load to write {whole:.2f} s, {whole / other:.2f} times kzonesign's {other:.2f} s;",
            end=" ",
        )
        print(f"with validation {checked:.2f} s, {checked / other:.2f} times")


if __name__ == "__main__":
    main()
