"""Secrets against a model: whatever row of operations, both agree on what there is and who gets it."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from secrets_world import ALICE, BY, allow_key, make_secrets_world, make_text
from signerd_kms.errors import KeyNotUsable, KeyUnknown, KmsError
from signerd_kms.key import Key, KeyStatus, KeyType
from signerd_secrets.access_policy import Action, Visitor, parse_policy
from signerd_secrets.errors import AccessDenied, SecretExists, SecretsError, SecretUnknown, VersionUnknown
from signerd_secrets.path import Directory, SecretPath
from signerd_secrets.secrets_manager import NewSecret

PATHS = ["/a", "/a/b", "/a/b/c", "/a-b", "/d/e", "/d/f"]
POLICIES: dict[str, dict[str, object] | None] = {
    "none": None,
    "no reading": {"statements": [{"effect": "Deny", "actions": ["read"]}]},
    "no writing": {"statements": [{"effect": "Deny", "actions": ["write"]}]},
    "alice only": {"statements": [{"effect": "Allow", "principals": ["user:alice"]}]},
    "elsewhere": {"conditions": [{"type": "ip", "effect": "allow", "cidrs": ["10.0.0.0/8"]}]},
}
FORBIDS = {
    "none": set[Action](),
    "no reading": {Action.REVEAL},
    "no writing": {Action.ADD_VERSION},
    "alice only": set[Action](),
    "elsewhere": {Action.REVEAL, Action.ADD_VERSION},
}
paths = st.sampled_from(PATHS)
numbers = st.integers(1, 6)


class Everything:
    def shows(self, path: str) -> bool:
        return bool(path)

    def list_ranges(self) -> None:
        return None


class ModelSecret:
    def __init__(self, key: str, text: str) -> None:
        self.key = key
        self.values: dict[int, str | None] = {1: text}
        self.policy = "none"

    @property
    def current(self) -> int:
        return max((number for number, text in self.values.items() if text is not None), default=0)


class SecretsMachine(RuleBasedStateMachine):
    keys = Bundle("keys")

    @initialize()
    def start(self) -> None:
        self.stack = ExitStack()
        directory = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.here = self.stack.enter_context(make_secrets_world(Path(directory)))
        self.model: dict[str, ModelSecret] = {}
        self.status: dict[str, KeyStatus | None] = {}  # None: destroyed
        self.made = 0

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    @rule(target=keys)
    def make_key(self) -> Key:
        self.made += 1
        key = self.here.kms.create_key(self.here.scope, f"K{self.made}", KeyType.AES256_GCM96, by=BY)
        self.status[key.identity] = KeyStatus.ACTIVE
        return key

    def expect_key(self, key: str) -> type[KmsError] | None:
        status = self.status[key]
        if status is None:
            return KeyUnknown
        return None if status is KeyStatus.ACTIVE else KeyNotUsable

    @rule(path=paths, key=keys, text=st.text("abc", min_size=1, max_size=5))
    def create(self, path: str, key: Key, text: str) -> None:
        new = NewSecret(SecretPath(path), key.identity, make_text(text))
        expected: type[Exception] | None = self.expect_key(key.identity)
        if expected is None and path in self.model:
            expected = SecretExists
        if expected is not None:
            with pytest.raises(expected):
                self.here.manager.create(self.here.scope, new, by=BY)
            return
        self.here.manager.create(self.here.scope, new, by=BY)
        self.model[path] = ModelSecret(key.identity, text)

    def find_obstacle(self, path: str, action: Action) -> type[Exception] | None:
        secret = self.model.get(path)
        if secret is None:
            return SecretUnknown
        if action in FORBIDS[secret.policy]:
            return AccessDenied
        return None

    @rule(path=paths, text=st.text("abc", min_size=1, max_size=5))
    def put(self, path: str, text: str) -> None:
        expected = self.find_obstacle(path, Action.ADD_VERSION)
        if expected is None:
            expected = self.expect_key(self.model[path].key)
        if expected is not None:
            with pytest.raises(expected):
                self.here.put(path, text)
            return
        secret = self.model[path]
        number = self.here.put(path, text)
        assert number == max(secret.values) + 1
        secret.values[number] = text

    @rule(path=paths, version=st.none() | numbers)
    def reveal(self, path: str, version: int | None) -> None:
        expected = self.find_obstacle(path, Action.REVEAL)
        if expected is None:
            secret = self.model[path]
            number = secret.current if version is None else version
            expected = VersionUnknown if secret.values.get(number) is None else self.expect_key(secret.key)
        if expected is not None:
            with pytest.raises(expected):
                self.here.reveal(path, version)
            return
        secret = self.model[path]
        number = secret.current if version is None else version
        assert self.here.read(path, version) == secret.values[number]

    @rule(path=paths, version=numbers)
    def destroy(self, path: str, version: int) -> None:
        secret = self.model.get(path)
        expected: type[SecretsError] | None = SecretUnknown if secret is None else None
        if secret is not None and version not in secret.values:
            expected = VersionUnknown
        if expected is not None:
            with pytest.raises(expected):
                self.here.manager.destroy_version(self.here.scope, SecretPath(path), version, by=BY)
            return
        assert secret is not None
        self.here.manager.destroy_version(self.here.scope, SecretPath(path), version, by=BY)
        secret.values[version] = None

    @rule(path=paths)
    def delete(self, path: str) -> None:
        if path not in self.model:
            with pytest.raises(SecretUnknown):
                self.here.manager.delete(self.here.scope, SecretPath(path), by=BY)
            return
        self.here.manager.delete(self.here.scope, SecretPath(path), by=BY)
        del self.model[path]

    @rule(path=paths, policy=st.sampled_from(sorted(POLICIES)))
    def set_policy(self, path: str, policy: str) -> None:
        if path not in self.model:
            return
        self.here.manager.set_policy(self.here.scope, SecretPath(path), parse_policy(POLICIES[policy]), by=BY)
        self.model[path].policy = policy

    @rule(key=keys)
    def rotate_key(self, key: Key) -> None:
        if self.status[key.identity] is KeyStatus.ACTIVE:
            self.here.kms.rotate(self.here.scope, key.identity, by=BY)

    @rule(key=keys, status=st.sampled_from([KeyStatus.ACTIVE, KeyStatus.DISABLED]))
    def change_key(self, key: Key, status: KeyStatus) -> None:
        if self.status[key.identity] is None:
            return
        change = self.here.kms.enable if status is KeyStatus.ACTIVE else self.here.kms.disable
        change(self.here.scope, key.identity, by=BY)
        self.status[key.identity] = status

    @rule(key=keys)
    def purge_key(self, key: Key) -> None:
        if self.status[key.identity] is None:
            return
        self.here.kms.schedule_deletion(self.here.scope, key.identity, by=BY)
        self.here.kms.purge_due(self.here.world.clock.now() + 31 * 86400)
        self.status[key.identity] = None

    @rule()
    def restart(self) -> None:
        kms = self.here.world.open()
        self.here.kms = kms
        self.here.manager = type(self.here.manager)(kms.custodian.store, kms)

    @rule(path=paths)
    def reveal_as_a_stranger(self, path: str) -> None:
        secret = self.model.get(path)
        if secret is None or secret.policy != "alice only":
            return
        stranger = Visitor(frozenset({"user:mallory"}), ALICE.address, ALICE.now)
        with pytest.raises(AccessDenied):
            self.here.manager.reveal(self.here.scope, SecretPath(path), None, stranger, allow_key, by=BY)

    @invariant()
    def lists_agree(self) -> None:
        if not hasattr(self, "model"):
            return
        found = self.here.manager.list_below(self.here.scope, "/", Everything())
        assert [(secret.path, secret.current_version) for secret in found] == sorted(
            (path, secret.current) for path, secret in self.model.items()
        )
        level = self.here.manager.browse(self.here.scope, Directory("/a/"), Everything())
        assert [secret.path for secret in level.secrets] == sorted(self.model.keys() & {"/a/b"})
        assert list(level.prefixes) == (["/a/b/"] if "/a/b/c" in self.model else [])


TestSecretsMachine = SecretsMachine.TestCase
TestSecretsMachine.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
