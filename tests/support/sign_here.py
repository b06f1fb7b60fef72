"""Signs a zone in this process, with keys of its own: for tests and benchmarks that need no server."""

from collections.abc import Sequence
from pathlib import Path

from signerd.dns.name import parse_name
from signerd.dns.serial import Serial
from signerd.dns.zone import Zone
from signerd.dnssec.algorithm import ECDSAP256SHA256
from signerd.dnssec.key_set import KeySet
from signerd.dnssec.policy import SigningPolicy
from signerd.dnssec.signature_plan import plan_signatures
from signerd.dnssec.signed_zone import assemble
from signerd.signer.bulk_signing import carry_out
from signerd.signer.signing_keys import LocalSigningKey, generate_private_key, read_public_half
from signerd.zones.master_file import load_master_file

NOW = 1_800_000_000


def make_keys(algorithm: int = ECDSAP256SHA256) -> list[LocalSigningKey]:
    """Make a KSK and a ZSK."""
    keys: list[LocalSigningKey] = []
    for flags in (257, 256):
        private_key = generate_private_key(algorithm)
        keys.append(LocalSigningKey(private_key, read_public_half(private_key, flags)))
    return keys


def sign_zone(
    unsigned: Zone,
    *,
    keys: Sequence[LocalSigningKey] = (),
    policy: SigningPolicy | None = None,
    now: int = NOW,
    workers: int = 2,
) -> Zone:
    """Sign a zone, with a serial one above its own.

    Args:
        unsigned: The zone.
        keys: KSK and ZSK; without any, new ones are made.
        policy: How to sign.
        now: The time of signing.
        workers: Threads.
    """
    policy = policy or SigningPolicy()
    keys = keys or make_keys()
    key_set = KeySet.from_keys([key.dnskey for key in keys])
    assembled = assemble(unsigned, keys=key_set, policy=policy, serial=Serial(unsigned.serial + 1))
    plan = plan_signatures(assembled, None, key_set, policy, now)
    return carry_out(plan, keys, workers=workers)


def sign_text(
    text: str, origin: str, directory: Path, *, policy: SigningPolicy | None = None, now: int = NOW
) -> Zone:
    """Load and sign a zone file.

    Args:
        text: The zone file.
        origin: With trailing dot.
        directory: Where the file is written.
        policy: How to sign.
        now: The time of signing.
    """
    file = directory / "unsigned.zone"
    file.write_text(text)
    loaded = load_master_file(file, parse_name(origin), directory=directory)
    assert loaded.zone is not None, loaded.notices
    return sign_zone(loaded.zone, policy=policy, now=now)
