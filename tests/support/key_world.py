"""Keys of zones in a state directory of their own."""

from dataclasses import dataclass, field

from kms_world import World
from signerd.dns.name import Name
from signerd.dns.rdatatype import DNSKEY
from signerd.dns.rrset import RRset
from signerd.dnssec.rrsig import make_signer
from signerd.signer.zone_key_store import ZoneKeys, ZoneKeyStore
from signerd_kms.kms import Kms


class StandingClock:
    """A clock that stands."""

    def now(self) -> int:
        return 1_800_000_000

    def monotonic(self) -> float:
        return 0.0


def sign_key_set(keys: ZoneKeys, zone: Name, *, now: int = 1_800_000_000) -> bytes:
    """Have the KSK sign the zone's DNSKEY RRset; gives the RRSIG RDATA."""
    dnskeys = sorted(key.rdata for key in (*keys.key_set.ksks, *keys.key_set.zsks))
    sign = make_signer(keys.signing_keys[0], zone, now - 3600)
    return sign(RRset(zone, DNSKEY, 3600, tuple(dnskeys)), now + 86400)


@dataclass
class KeyWorld:
    """A state directory whose KMS and key store can be opened again, as after a restart."""

    world: World
    kms: Kms = field(init=False)
    store: ZoneKeyStore = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> ZoneKeyStore:
        self.kms = self.world.open()
        self.store = ZoneKeyStore(self.world.engine, self.kms, self.world.scope, StandingClock())
        return self.store
