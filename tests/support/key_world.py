"""Keys of zones in a state directory of their own."""

from dataclasses import dataclass, field

from kms_world import World
from signerd.signer.zone_key_store import ZoneKeyStore
from signerd_kms.kms import Kms


class StandingClock:
    """A clock that stands."""

    def now(self) -> int:
        return 1_800_000_000

    def monotonic(self) -> float:
        return 0.0


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
