"""RRsets as they are signed, put together part by part, and keys bound to a zone."""

import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kms_world import World
from signerd_kms.attribution import Attribution
from signerd_kms.key import Key, KeyType
from signerd_kms.kms import Kms
from signerd_kms.zone_statement import ZoneKey, compute_key_tag, make_zone_key

BY = Attribution(None, via="dns-dnssec")
ZONE, OTHER = b"\x07example\x03com\x00", b"\x07example\x03net\x00"
NOW = 1_800_000_000
DAY = 86_400
DNSKEY, CDS, CDNSKEY = 48, 59, 60


@dataclass(frozen=True)
class Parts:
    """What a statement is put together from; a test replaces one part."""

    rdatas: tuple[bytes, ...]
    covered: int = DNSKEY
    algorithm: int = 13
    labels: int = 2
    ttl: int = 3600
    expiration: int = NOW + 14 * DAY
    inception: int = NOW - 3600
    key_tag: int = 0
    signer: bytes = ZONE
    owner: bytes = ZONE
    record_type: int | None = None
    record_class: int = 1
    record_ttl: int | None = None
    tail: bytes = b""

    def encode(self) -> bytes:
        octets = struct.pack(
            "!HBBIIIH",
            self.covered,
            self.algorithm,
            self.labels,
            self.ttl,
            self.expiration & 0xFFFFFFFF,
            self.inception & 0xFFFFFFFF,
            self.key_tag,
        )
        octets += self.signer
        for rdata in self.rdatas:
            record_type = self.covered if self.record_type is None else self.record_type
            ttl = self.ttl if self.record_ttl is None else self.record_ttl
            octets += (
                self.owner + struct.pack("!HHIH", record_type, self.record_class, ttl, len(rdata)) + rdata
            )
        return octets + self.tail


def make_bound(
    kms: Kms,
    world: World,
    name: str = "ksk",
    key_type: KeyType = KeyType.ECDSA_P256,
    *,
    signs_data: bool = False,
) -> Key:
    key = kms.create_key(world.scope, name, key_type, by=BY)
    kms.bind_zone(world.scope, key.identity, ZONE, by=BY, signs_data=signs_data)
    return key


def read_zone_key(kms: Kms, world: World, key: Key) -> ZoneKey:
    made = make_zone_key(key.key_type, kms.public_key(world.scope, key.identity, 1))
    assert made is not None
    return made


def make_foreign_key() -> ZoneKey:
    spki = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    made = make_zone_key(KeyType.ECDSA_P256, spki)
    assert made is not None
    return made


def state(kms: Kms, world: World, key: Key) -> Parts:
    """Make the statement of a zone with this KSK and a ZSK."""
    ksk = read_zone_key(kms, world, key).encode(257)
    rdatas = tuple(sorted([ksk, make_foreign_key().encode(256)]))
    return Parts(rdatas, algorithm=ksk[3], key_tag=compute_key_tag(ksk))
