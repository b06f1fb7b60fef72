"""RSA keys made ahead, as making one of 4096 bits may take seconds.

They are of nobody until they are taken, exist in memory only, and are wiped when the KMS is sealed.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from signerd_kms.custodian import Custodian
from signerd_kms.errors import KmsError
from signerd_kms.key import KeyType
from signerd_kms.key_material import RSA_BITS, generate_material
from signerd_kms.state import Task
from signerd_kms.wrapping import LiveKey


@dataclass(slots=True)
class ReadyCount:
    """How it stands with the keys of a type.

    Attributes:
        ready: Keys that can be taken at once.
        taken: Keys that were ready when one was asked for.
        waited: Keys that had to be made while somebody waited.
    """

    ready: int = 0
    taken: int = 0
    waited: int = 0


class ReadyKeys:
    """Gives key material, from what is ready if there is any. Safe to use from several threads."""

    def __init__(
        self, custodian: Custodian, generate: Callable[[KeyType], bytes] = generate_material
    ) -> None:
        self._generate = generate
        self._custodian = custodian
        self._lock = threading.Lock()
        self._ready: dict[KeyType, deque[LiveKey]] = {kind: deque() for kind in RSA_BITS}
        self._counts = {kind: ReadyCount() for kind in RSA_BITS}
        custodian.call_when_sealed(self._drop)

    def take(self, key_type: KeyType) -> bytes:
        """Give new material in its secret form, a fresh object which the caller wipes."""
        if key_type not in RSA_BITS:
            return self._generate(key_type)
        with self._lock:
            counts, ready = self._counts[key_type], self._ready[key_type]
            if ready:
                counts.taken += 1
                return ready.popleft().release()
            counts.waited += 1
        return self._generate(key_type)

    def make_one(self, wanted: int) -> KeyType | None:
        """Make one key where fewer than wanted are ready: a background job, which may take seconds.

        Returns:
            Of which type; None if there is enough of each, or the KMS is not unsealed.
        """
        with self._lock:
            lacking = [kind for kind, ready in self._ready.items() if len(ready) < wanted]
        if not lacking:
            return None
        key_type = min(lacking, key=lambda kind: len(self._ready[kind]))
        try:
            self._custodian.require(Task.CREATE)
            made = LiveKey(self._generate(key_type))
            with self._custodian.unsealed(Task.CREATE), self._lock:  # or it would outlive the sealing
                self._ready[key_type].append(made)
        except KmsError:
            return None
        return key_type

    def count(self) -> dict[KeyType, ReadyCount]:
        """Say how it stands with each type since the start."""
        with self._lock:
            return {
                kind: ReadyCount(len(self._ready[kind]), counts.taken, counts.waited)
                for kind, counts in self._counts.items()
            }

    def _drop(self) -> None:
        with self._lock:
            for ready in self._ready.values():
                while ready:
                    ready.popleft().close()
