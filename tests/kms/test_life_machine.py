"""The life of a key against a model: any row of calls leaves the KMS and the model in the same state."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from kms_world import make_world
from signerd_kms.attribution import Attribution
from signerd_kms.errors import (
    DecryptFailed,
    InvalidRequest,
    KeyNameTaken,
    KeyNotUsable,
    KeyUnknown,
    KeyVersionNotUsable,
)
from signerd_kms.key import KeyIdentity, KeyStatus, KeyType
from signerd_kms.kms import Kms

BY = Attribution("user:tester")
DAY = 86_400
NAMES = st.sampled_from(["one", "two", "three"])


@dataclass
class Calendar:
    seconds: int = 1_800_000_000

    def now(self) -> int:
        return self.seconds


@dataclass
class Model:
    """What a key should be."""

    name: str
    status: KeyStatus = KeyStatus.ACTIVE
    versions: list[int] = field(default_factory=list[int])  # when each was made
    enabled: bool = False
    period: int | None = None
    due_at: int | None = None
    is_gone: bool = False
    object_version: int = 1
    ciphertexts: list[tuple[str, bytes, int]] = field(default_factory=list[tuple[str, bytes, int]])


class KeyLifeMachine(RuleBasedStateMachine):
    keys = Bundle[KeyIdentity]("keys")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.world = self.stack.enter_context(make_world(directory))
        self.clock = Calendar()
        self.models: dict[KeyIdentity, Model] = {}
        self.kms = Kms.open(self.world.engine, self.world.seal, self.clock, self.world.sink)

    def teardown(self) -> None:
        self.stack.close()

    @initialize(target=keys)
    def start(self) -> KeyIdentity:
        return self.make("zero")

    def make(self, name: str) -> KeyIdentity:
        key = self.kms.create_key(self.world.scope, name, KeyType.AES256_GCM96, by=BY)
        self.models[key.identity] = Model(name, versions=[self.clock.seconds])
        return key.identity

    def is_name_free(self, name: str) -> bool:
        return not any(
            model.name == name and not model.is_gone and model.status is not KeyStatus.PENDING_DELETION
            for model in self.models.values()
        )

    def expect(self, key: KeyIdentity, *, active: bool = True) -> type[Exception] | None:
        """Say how a use of a key should fail."""
        model = self.models[key]
        if model.is_gone:
            return KeyUnknown
        if active and model.status is not KeyStatus.ACTIVE:
            return KeyNotUsable
        return None

    @rule(target=keys, name=NAMES)
    def create(self, name: str) -> KeyIdentity:
        if self.is_name_free(name):
            return self.make(name)
        with pytest.raises(KeyNameTaken):
            self.make(name)
        return next(key for key, model in self.models.items() if model.name == name)

    @rule(key=keys, plaintext=st.binary(min_size=1, max_size=20), version=st.integers(0, 4))
    def encrypt(self, key: KeyIdentity, plaintext: bytes, version: int) -> None:
        model = self.models[key]
        expected = self.expect(key)
        if expected is None and version > len(model.versions):
            expected = KeyVersionNotUsable
        chosen = version or None
        if expected is not None:
            with pytest.raises(expected):
                self.kms.encrypt(self.world.scope, key, plaintext, by=BY, version=chosen)
            return
        made = self.kms.encrypt(self.world.scope, key, plaintext, by=BY, version=chosen)
        assert made.version == (chosen or len(model.versions))
        model.ciphertexts.append((made.text, plaintext, made.version))

    @rule(key=keys, other=keys)
    def decrypt(self, key: KeyIdentity, other: KeyIdentity) -> None:
        expected = self.expect(key)
        for text, plaintext, version in self.models[other].ciphertexts[-3:]:
            if expected is None and key == other:
                opened = self.kms.decrypt(self.world.scope, key, text, by=BY)
                assert (opened.plaintext, opened.version) == (plaintext, version)
            else:
                with pytest.raises(expected or DecryptFailed):
                    self.kms.decrypt(self.world.scope, key, text, by=BY)

    @rule(key=keys)
    def rotate(self, key: KeyIdentity) -> None:
        if (expected := self.expect(key)) is not None:
            with pytest.raises(expected):
                self.kms.rotate(self.world.scope, key, by=BY)
            return
        self.kms.rotate(self.world.scope, key, by=BY)
        self.count_rotation(self.models[key])

    def count_rotation(self, model: Model) -> None:
        model.versions.append(self.clock.seconds)
        model.object_version += 1

    @rule(key=keys, enabled=st.sampled_from([None, True, False]), period=st.sampled_from([None, 1, 30]))
    def update_rotation(self, key: KeyIdentity, enabled: bool | None, period: int | None) -> None:
        model = self.models[key]
        expected = self.expect(key, active=False)
        if expected is None and model.status is KeyStatus.PENDING_DELETION:
            expected = KeyNotUsable
        after = (
            model.enabled if enabled is None else enabled,
            model.period if period is None else period,
        )
        if expected is None and after[0] and after[1] is None:
            expected = InvalidRequest
        if expected is not None:
            with pytest.raises(expected):
                self.kms.update_rotation(self.world.scope, key, by=BY, enabled=enabled, period_in_days=period)
            return
        self.kms.update_rotation(self.world.scope, key, by=BY, enabled=enabled, period_in_days=period)
        model.object_version += after != (model.enabled, model.period)
        model.enabled, model.period = after

    @rule(key=keys, status=st.sampled_from([KeyStatus.ACTIVE, KeyStatus.DISABLED]))
    def set_status(self, key: KeyIdentity, status: KeyStatus) -> None:
        change = self.kms.enable if status is KeyStatus.ACTIVE else self.kms.disable
        model = self.models[key]
        expected = self.expect(key, active=False)
        if expected is None and model.status is KeyStatus.PENDING_DELETION:
            expected = KeyNotUsable
        if expected is not None:
            with pytest.raises(expected):
                change(self.world.scope, key, by=BY)
            return
        change(self.world.scope, key, by=BY)
        model.object_version += model.status is not status
        model.status = status

    @rule(key=keys, days=st.integers(7, 30))
    def schedule_deletion(self, key: KeyIdentity, days: int) -> None:
        if (expected := self.expect(key, active=False)) is not None:
            with pytest.raises(expected):
                self.kms.schedule_deletion(self.world.scope, key, by=BY, pending_days=days)
            return
        self.kms.schedule_deletion(self.world.scope, key, by=BY, pending_days=days)
        model = self.models[key]
        if model.status is not KeyStatus.PENDING_DELETION:
            model.status = KeyStatus.PENDING_DELETION
            model.due_at = self.clock.seconds + days * DAY
            model.object_version += 1

    @rule(key=keys)
    def cancel_deletion(self, key: KeyIdentity) -> None:
        model = self.models[key]
        expected = self.expect(key, active=False)
        is_pending = model.status is KeyStatus.PENDING_DELETION
        if expected is None and is_pending and not self.is_name_free(model.name):
            expected = KeyNameTaken
        if expected is not None:
            with pytest.raises(expected):
                self.kms.cancel_deletion(self.world.scope, key, by=BY)
            return
        self.kms.cancel_deletion(self.world.scope, key, by=BY)
        if is_pending:
            model.status, model.due_at = KeyStatus.ACTIVE, None
            model.object_version += 1

    @rule(days=st.integers(1, 20))
    def let_time_pass(self, days: int) -> None:
        self.clock.seconds += days * DAY

    @rule()
    def look_after_keys(self) -> None:
        now = self.clock.seconds
        due = {
            key
            for key, model in self.models.items()
            if not model.is_gone and model.due_at is not None and model.due_at <= now
        }
        assert set(self.kms.purge_due(now)) == due
        for key in due:
            self.models[key].is_gone = True
        old = {
            key
            for key, model in self.models.items()
            if not model.is_gone
            and model.status is KeyStatus.ACTIVE
            and model.enabled
            and model.versions[-1] + (model.period or 0) * DAY <= now
        }
        assert set(self.kms.rotate_due(now)) == old
        for key in old:
            self.count_rotation(self.models[key])

    @rule()
    def restart(self) -> None:
        self.kms = Kms.open(self.world.engine, self.world.seal, self.clock, self.world.sink)

    @invariant()
    def agrees_with_the_model(self) -> None:
        stored = {key.identity: key for key in self.kms.list_keys(self.world.scope)}
        expected = {key: model for key, model in self.models.items() if not model.is_gone}
        assert stored.keys() == expected.keys()
        for identity, model in expected.items():
            key = stored[identity]
            assert (key.name, key.status, key.latest_version) == (
                model.name,
                model.status,
                len(model.versions),
            )
            assert [version.created_at for version in key.versions] == model.versions
            assert (key.rotation_enabled, key.rotation_period_in_days) == (model.enabled, model.period)
            assert (key.deletion_scheduled_at, key.object_version) == (model.due_at, model.object_version)


KeyLifeMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
TestKeyLife = KeyLifeMachine.TestCase
