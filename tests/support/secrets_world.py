"""A secrets manager on a real KMS and database, for tests that look into all three."""

import base64
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kms_world import World, make_world
from signerd_kms.attribution import Attribution
from signerd_kms.key import Key, KeyIdentity, KeyType, Scope
from signerd_kms.kms import Kms
from signerd_secrets.access_policy import Visitor
from signerd_secrets.path import SecretPath, check_path
from signerd_secrets.secret import Secret
from signerd_secrets.secrets_manager import NewSecret, Revealed, SecretsManager
from signerd_secrets.value import SecretValue, make_value

BY = Attribution("user:alice", request_id="r-1", credential="t-1", address="192.0.2.7")
ALICE = Visitor(frozenset({"user:alice"}), "192.0.2.7", 1_800_000_000)


def allow_key(key: KeyIdentity) -> None:
    """Stand in for a caller with the right on every key."""
    del key


def make_text(text: str) -> SecretValue:
    return make_value(secret_string=base64.b64encode(text.encode()).decode())


@dataclass
class SecretsWorld:
    """What a test of secrets needs."""

    world: World
    kms: Kms
    manager: SecretsManager
    key: Key

    @property
    def scope(self) -> Scope:
        return self.world.scope

    def create(self, path: str, text: str = "value", key: KeyIdentity | None = None) -> Secret:
        new = NewSecret(check_path(path), key or self.key.identity, make_text(text))
        return self.manager.create(self.scope, new, by=BY)

    def put(self, path: str, text: str) -> int:
        return self.manager.put(self.scope, SecretPath(path), make_text(text), ALICE, allow_key, by=BY)

    def reveal(self, path: str, version: int | None = None) -> Revealed:
        return self.manager.reveal(self.scope, SecretPath(path), version, ALICE, allow_key, by=BY)

    def read(self, path: str, version: int | None = None) -> str:
        return self.reveal(path, version).value.octets.decode()


@contextmanager
def make_secrets_world(directory: Path) -> Generator[SecretsWorld]:
    with make_world(directory) as world:
        kms = world.open()
        key = kms.create_key(world.scope, "Secrets", KeyType.AES256_GCM96, by=BY)
        yield SecretsWorld(world, kms, SecretsManager(kms.custodian.store, kms), key)
