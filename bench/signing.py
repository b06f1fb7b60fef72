"""Signs one zone with signerd and with kzonesign in the same run, and prints what each step takes.

    python -P bench/signing.py [--names 10000,100000] [--threads 2] [--rounds 3] [--csk]

The same work is compared: read and check the zone file, make the chain, sign with ECDSA P-256 and NSEC3
without salt or extra iterations, write the result. kzonesign does not validate what it wrote; signerd always
does, so that is given apart. Both run as processes of their own, so that their peak of memory can be told;
signerd's has its keys in memory, and times its steps itself. Each figure is the least of the rounds; on a
busy machine CPU time is the fair one.

With --csk it compares, in this process, signing with a KSK and a ZSK to signing with a CSK, whose every
signature is made in the KMS and is in the audit log, both on disk.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import NamedTuple, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from sqlalchemy import delete

from deployment import make_deployment
from key_world import StandingClock
from signerd.dns.name import parse_name
from signerd.dns.zone import Zone
from signerd.dnssec.algorithm import ECDSAP256SHA256
from signerd.dnssec.ds import make_ds_set
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.policy import SigningPolicy
from signerd.dnssec.signature_plan import SigningPlan, plan_signatures
from signerd.dnssec.signed_zone import assemble
from signerd.garbage import look_for_cycles_seldom
from signerd.signer.bulk_signing import carry_out
from signerd.signer.signing_keys import LocalSigningKey, generate_private_key, read_public_half
from signerd.signer.zone_key_store import ZoneKeyStore
from signerd.store.zone_tables import zone_signing_keys
from signerd.validator.report import Report
from signerd.validator.zone_validation import validate
from signerd.zones.checks import check_zone
from signerd.zones.master_file import load_master_file
from signerd.zones.notice import Severity
from signerd.zones.snapshot import write_snapshot
from signerd_kms.key import KeyType, Scope
from zone_generator import generate_bulk_zone

ZONE = "bench.test."
ORIGIN = parse_name(ZONE)
FILE = "bench.zone"
NOW = 1_800_000_000  # the time at which the clocks of the comparison with a CSK stand
SIGNING_STEPS = ("parse", "plan", "sign", "write")
VALIDATION = "validate"
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
    file: {file}
    dnssec-signing: on
    dnssec-policy: bench
"""
T = TypeVar("T")


class Cost(NamedTuple):
    """What a step takes, in seconds."""

    wall: float
    cpu: float

    def lesser(self, other: "Cost | None") -> "Cost":
        """Give the least of both, wall and CPU apart."""
        return self if other is None else Cost(min(self.wall, other.wall), min(self.cpu, other.cpu))


class Outcome(NamedTuple):
    """What one program takes for all of it."""

    steps: dict[str, Cost]
    peak_megabytes: float
    signatures: int = 0


def measure(steps: dict[str, Cost], step: str, work: Callable[[], T]) -> T:
    """Do a step and note what it takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    steps[step] = Cost(time.perf_counter() - wall, time.process_time() - cpu)
    return result


def make_key(flags: int) -> LocalSigningKey:
    """Make a key in memory."""
    private_key = generate_private_key(ECDSAP256SHA256)
    return LocalSigningKey(private_key, read_public_half(private_key, flags))


def sign_here(directory: Path, threads: int) -> Outcome:
    """Take the zone through signerd's steps in this process."""
    look_for_cycles_seldom()
    keys = [make_key(257), make_key(256)]
    key_set, policy, now = KeySet.from_keys(key.dnskey for key in keys), SigningPolicy(), int(time.time())
    steps: dict[str, Cost] = {}

    def parse() -> Zone:
        zone = load_master_file(directory / FILE, ORIGIN, directory=directory).zone
        assert zone is not None, "the generated zone was refused"
        assert all(notice.severity is not Severity.ERROR for notice in check_zone(zone))
        return zone

    def plan() -> SigningPlan:
        assembled = assemble(unsigned, keys=key_set, policy=policy, serial=2)
        return plan_signatures(assembled, None, key_set, policy, now)

    def check() -> Report:
        return validate(signed, ds=make_ds_set(ORIGIN, keys[0].dnskey), now=now, workers=threads)

    unsigned = measure(steps, "parse", parse)
    planned = measure(steps, "plan", plan)
    signed = measure(steps, "sign", lambda: carry_out(planned, keys, workers=threads))
    measure(steps, "write", lambda: write_snapshot(directory / "snapshot", signed))
    report = measure(steps, VALIDATION, check)
    assert report.is_accepted, str(report)
    signatures = sum(len(rrset.signatures) for rrset in signed.iterate_rrsets())
    return Outcome(steps, getrusage(RUSAGE_SELF).ru_maxrss / 1024, signatures)


def run_process(command: list[str], output: Path) -> Outcome:
    """Run a program to its end, its output into a file and what it says on errors into one beside it.

    Raises:
        RuntimeError: It failed.
    """
    wall = time.perf_counter()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 1, str(output), flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, str(output.with_suffix(".errors")), flags, 0o600),
    ]
    process = os.posix_spawnp(command[0], tuple(command), os.environ, file_actions=actions)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        said = output.with_suffix(".errors").read_text()
        raise RuntimeError(f"{command[0]} failed with status {os.waitstatus_to_exitcode(status)}: {said}")
    cost = Cost(time.perf_counter() - wall, usage.ru_utime + usage.ru_stime)
    return Outcome({"all": cost}, usage.ru_maxrss / 1024)


def run_signerd(directory: Path, threads: int) -> Outcome:
    """Run this script for one zone in a process of its own."""
    output = directory / "outcome.json"
    command = [sys.executable, "-P", __file__, "--sign", str(directory), "--threads", str(threads)]
    run_process(command, output)
    steps, peak, signatures = json.loads(output.read_text())
    return Outcome({step: Cost(*cost) for step, cost in steps.items()}, peak, signatures)


def run_kzonesign(directory: Path, threads: int) -> Outcome:
    """Sign with keys that kzonesign makes; nothing is kept of an earlier run."""
    with tempfile.TemporaryDirectory(dir=directory) as own:
        config, output = Path(own, "knot.conf"), Path(own, "signed")
        output.mkdir()
        Path(own, "keys").mkdir()
        Path(own, FILE).hardlink_to(directory / FILE)
        config.write_text(KNOT_CONFIG.format(directory=own, threads=threads, zone=ZONE, file=FILE))
        outcome = run_process(
            ["kzonesign", "-c", str(config), "-o", str(output), ZONE], directory / "kzonesign.log"
        )
        with (output / FILE).open() as signed:
            signatures = sum(line.split(None, 3)[2:3] == ["RRSIG"] for line in signed)
        return outcome._replace(signatures=signatures)


def take_least(outcomes: Sequence[Outcome]) -> Outcome:
    """Give the least of each figure."""
    steps: dict[str, Cost] = {}
    for outcome in outcomes:
        for step, cost in outcome.steps.items():
            steps[step] = cost.lesser(steps.get(step))
    return Outcome(steps, min(outcome.peak_megabytes for outcome in outcomes), outcomes[0].signatures)


def compare(names: int, threads: int, rounds: int) -> None:
    """Sign a zone with both, in turns, and print a table."""
    ours: list[Outcome] = []
    theirs: list[Outcome] = []
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / FILE).write_text(generate_bulk_zone(ZONE, names))
        for _ in range(rounds):
            ours.append(run_signerd(directory, threads))
            theirs.append(run_kzonesign(directory, threads))
    signerd, kzonesign = take_least(ours), take_least(theirs)
    rival = kzonesign.steps["all"]
    print(
        f"\n{names:,} names, {signerd.signatures:,} signatures (kzonesign: {kzonesign.signatures:,}), "
        f"{threads} threads, {os.cpu_count()} cores, least of {rounds} rounds; "
        "in brackets the ratio to kzonesign\n"
    )
    print("| Step | Wall s | CPU s |\n|---|---|---|")

    def show(step: str, cost: Cost) -> None:
        ratios = f"{cost.wall / rival.wall:.2f}", f"{cost.cpu / rival.cpu:.2f}"
        print(f"| {step} | {cost.wall:.2f} ({ratios[0]}) | {cost.cpu:.2f} ({ratios[1]}) |")

    show("kzonesign", rival)
    for step in SIGNING_STEPS:
        show(f"signerd: {step}", signerd.steps[step])
    whole = [signerd.steps[step] for step in SIGNING_STEPS]
    total = Cost(sum(cost.wall for cost in whole), sum(cost.cpu for cost in whole))
    show("signerd: sum of these", total)
    checked = signerd.steps[VALIDATION]
    show(f"signerd: {VALIDATION}", checked)
    show("signerd: all", Cost(total.wall + checked.wall, total.cpu + checked.cpu))
    peaks = f"signerd {signerd.peak_megabytes:.0f} MB, kzonesign {kzonesign.peak_megabytes:.0f} MB"
    print(f"\nPeak of memory: {peaks}")


def compare_csk(names: int, threads: int, rounds: int) -> None:
    """Sign a zone with KSK and ZSK and with a CSK, in turns, and print a table."""
    steps: dict[str, dict[str, Cost]] = {"KSK and ZSK": {}, "CSK": {}}
    with tempfile.TemporaryDirectory() as temporary, make_deployment(Path(temporary)) as deployment:
        file = Path(temporary, FILE)
        file.write_text(generate_bulk_zone(ZONE, names))
        unsigned = load_master_file(file, ORIGIN, directory=file.parent).zone
        assert unsigned is not None, "the generated zone was refused"
        scope = Scope(deployment.platform.organisation, deployment.platform.region)
        count = 0
        for _ in range(rounds):
            for name, costs in steps.items():
                # another store and zone name each time would change the work; the rows are taken away instead
                with deployment.engine.begin() as connection:
                    connection.execute(delete(zone_signing_keys))
                store = ZoneKeyStore(deployment.engine, deployment.kms, scope, StandingClock())
                keys = store.ensure(ORIGIN, KeyType.ECDSA_P256, None, is_csk=name == "CSK")
                policy = SigningPolicy()
                assembled = assemble(unsigned, keys=keys.key_set, policy=policy, serial=2)
                plan = plan_signatures(assembled, None, keys.key_set, policy, NOW)
                count = len(plan.jobs)
                taken: dict[str, Cost] = {}
                measure(taken, "sign", partial(carry_out, plan, keys.signing_keys, workers=threads))
                costs["sign"] = taken["sign"].lesser(costs.get("sign"))
    plain = steps["KSK and ZSK"]["sign"]
    print(
        f"\n{names:,} names, {count:,} RRsets, {threads} threads, {os.cpu_count()} cores, least of {rounds} "
        "rounds; in brackets the ratio to KSK and ZSK\n"
    )
    print("| Signed with | Wall s | CPU s | RRsets a second |\n|---|---|---|---|")
    for name, costs in steps.items():
        cost = costs["sign"]
        wall, cpu = f"{cost.wall / plain.wall:.2f}", f"{cost.cpu / plain.cpu:.2f}"
        print(f"| {name} | {cost.wall:.2f} ({wall}) | {cost.cpu:.2f} ({cpu}) | {count / cost.wall:,.0f} |")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description="Sign one zone with signerd and with kzonesign.")
    parser.add_argument("--names", default="10000,100000", help="sizes of zones, with commas between")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csk", action="store_true", help="compare a CSK to a KSK and a ZSK")
    parser.add_argument("--sign", type=Path, metavar="DIRECTORY", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sign is not None:
        print(json.dumps(sign_here(arguments.sign, arguments.threads)))
        return
    for names in arguments.names.split(","):
        (compare_csk if arguments.csk else compare)(int(names), arguments.threads, arguments.rounds)


if __name__ == "__main__":
    main()
