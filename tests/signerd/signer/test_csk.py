"""A zone whose only key is in the KMS: from its rows to a version that validators and others accept."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from key_world import KeyWorld
from signerd.dns import rdatatype as rt
from signerd.dns.name import parse_name
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone
from signerd.dnssec.nsec3 import NameHashes
from signerd.dnssec.policy import Denial, SigningPolicy
from signerd.dnssec.signature_plan import SigningPlan, plan_signatures
from signerd.dnssec.signed_zone import assemble
from signerd.dnssec.zone_update import prepare_update, remember
from signerd.signer.bulk_signing import CHUNK_JOBS, carry_out
from signerd.signer.key_set_signatures import KeySetSignatures
from signerd.signer.zone_key_store import BY, ZoneKeys
from signerd.validator.zone_validation import validate
from signerd.zones.master_file import load_master_file
from signerd.zones.printer import write_master_file
from signerd.zones.publication import Publication
from signerd.zones.zone_directory import zone_directory_name
from signerd_kms.audit import AuditEvent
from signerd_kms.errors import Sealed, StatementRefused
from signerd_kms.key import KeyType
from zone_generator import generate_bulk_zone, generate_zone

NOW = 1_800_000_000  # 2027-01-15 08:00:00 UTC
DAY = 86_400
TEXT = "csk.test."
ZONE = parse_name(TEXT)
POLICY = SigningPolicy()


def load(text: str, directory: Path) -> Zone:
    file = directory / "unsigned.zone"
    file.write_text(text)
    zone = load_master_file(file, ZONE, directory=directory).zone
    assert zone is not None
    return zone


def plan(zone: Zone, keys: ZoneKeys, policy: SigningPolicy = POLICY, serial: int = 2) -> SigningPlan:
    assembled = assemble(zone, keys=keys.key_set, policy=policy, serial=serial)
    return plan_signatures(assembled, None, keys.key_set, policy, NOW)


def sign(key_world: KeyWorld, made: SigningPlan, keys: ZoneKeys, workers: int = 2) -> Zone:
    """Carry a plan out as the daemon does: with key sets signed ahead."""
    ahead = KeySetSignatures(key_world.world.engine, 30 * DAY)
    return carry_out(
        made,
        keys.signing_keys,
        workers=workers,
        sign_key_set=lambda jobs: ahead.sign(ZONE, jobs, keys.signing_keys, POLICY, NOW),
    )


def list_batches(events: Sequence[AuditEvent]) -> list[int]:
    """Give the numbers of RRsets that were signed at a time."""
    return [int(event.details["count"]) for event in events if "merkleRoot" in event.details]


@pytest.fixture
def keys(key_world: KeyWorld) -> ZoneKeys:
    return key_world.store.ensure(ZONE, KeyType.ECDSA_P256, None, is_csk=True)


def test_the_key_is_the_only_one_and_stays_it_after_a_restart(key_world: KeyWorld, keys: ZoneKeys) -> None:
    (key,) = keys.key_set.published
    assert key.flags == 257
    assert keys.key_set.ksks == keys.key_set.zsks == keys.key_set.announced == (key,)
    assert [item.dnskey for item in keys.signing_keys] == [key]
    again = key_world.restart().ensure(ZONE, KeyType.ECDSA_P256, None)  # the wish is for new zones only
    assert again.key_set == keys.key_set


def test_a_csk_is_warned_of_when_it_is_loaded(
    key_world: KeyWorld, keys: ZoneKeys, caplog: pytest.LogCaptureFixture
) -> None:
    del keys
    caplog.clear()
    key_world.restart().ensure(ZONE, KeyType.ECDSA_P256, None)
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "zone csk.test: every RRset goes through the KMS" in record.getMessage()


@pytest.mark.parametrize("denial", list(Denial))
@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.RSA_2048])
def test_validator_and_other_programs_accept_a_zone_signed_by_the_kms_alone(
    key_world: KeyWorld, tmp_path: Path, key_type: KeyType, denial: Denial
) -> None:
    keys = key_world.store.ensure(ZONE, key_type, None, is_csk=True)
    unsigned = load(generate_zone(TEXT, 60, seed=7).text, tmp_path)
    policy = SigningPolicy(denial=denial)
    signed = sign(key_world, plan(unsigned, keys, policy), keys)
    report = validate(signed, ds=keys.ds, now=NOW, workers=1)
    assert report.is_accepted, str(report)
    printed = tmp_path / "signed.zone"
    printed.write_text("".join(write_master_file(signed)))
    tool = shutil.which("ldns-verify-zone")
    assert tool is not None, "ldns-verify-zone is not installed"
    done = subprocess.run(
        [tool, "-t", "20270115080100", str(printed)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("workers", [1, 3])
def test_many_rrsets_are_signed_by_few_calls_each_with_one_event(
    key_world: KeyWorld, keys: ZoneKeys, tmp_path: Path, workers: int
) -> None:
    unsigned = load(generate_bulk_zone(TEXT, 700), tmp_path)
    made = plan(unsigned, keys)
    count = len(made.jobs)
    assert count > 2 * CHUNK_JOBS
    events = key_world.world.sink.events
    before = len(events)
    signed = sign(key_world, made, keys, workers)
    new = events[before:]
    batches = list_batches(new)
    assert sum(batches) == count
    assert len(batches) == -(-count // CHUNK_JOBS)
    statements = [event for event in new if "rrtype" in event.details]
    assert len(new) == len(batches) + len(statements)
    assert len(statements) > 3  # DNSKEY, CDS, CDNSKEY, and each of them ahead
    directory = tmp_path / zone_directory_name(ZONE)
    publication = Publication(directory)
    publication.publish(signed, None)
    loaded = Publication(directory).load().zone
    assert loaded is not None
    assert validate(loaded, ds=keys.ds, now=NOW, workers=1).is_accepted


def test_a_change_asks_the_kms_for_what_changed_only(
    key_world: KeyWorld, keys: ZoneKeys, tmp_path: Path
) -> None:
    text = generate_bulk_zone(TEXT, 300)
    unsigned = load(text, tmp_path)
    signed = sign(key_world, plan(unsigned, keys), keys)
    state = remember(unsigned, signed, keys=keys.key_set, policy=POLICY, hashes=NameHashes())
    changed = load(text + f"new.{TEXT} 300 IN A 192.0.2.1\n", tmp_path)
    update = prepare_update(state, changed, Serial(signed.serial + 1))
    assert update is not None
    before = len(key_world.world.sink.events)
    made = plan_signatures(update.assembled, signed, keys.key_set, POLICY, NOW)
    version = update.complete(sign(key_world, made, keys)).zone
    # SOA, the new RRset, its NSEC3 and the one before it; keys stay as they are signed
    assert list_batches(key_world.world.sink.events[before:]) == [4]
    assert validate(version, ds=keys.ds, now=NOW, workers=1).is_accepted


def test_a_sealed_kms_signs_nothing_and_no_half_zone_comes_of_it(
    key_world: KeyWorld, keys: ZoneKeys, tmp_path: Path
) -> None:
    unsigned = load(generate_bulk_zone(TEXT, 300), tmp_path)
    sign(key_world, plan(unsigned, keys), keys)
    key_world.kms.seal()
    with pytest.raises(Sealed):
        sign(key_world, plan(unsigned, keys), keys)


def test_a_csk_that_became_a_ksk_signs_no_data(key_world: KeyWorld, keys: ZoneKeys, tmp_path: Path) -> None:
    (identity,) = keys.kms_keys.values()
    (key,) = key_world.kms.list_keys(key_world.world.scope)
    assert key.identity == identity
    key_world.kms.bind_zone(key_world.world.scope, key.identity, ZONE, by=BY)
    made = plan(load(generate_bulk_zone(TEXT, 5), tmp_path), keys)
    assert rt.A in {job.rrset.type for job in made.jobs}
    with pytest.raises(StatementRefused):
        sign(key_world, made, keys)
