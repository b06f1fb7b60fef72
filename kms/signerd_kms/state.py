"""States of the KMS, and the one table of what is allowed in which."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Whether the root key is in memory."""

    UNINITIALISED = "uninitialised"  # the database holds no KMS
    SEALED = "sealed"
    UNSEALED = "unsealed"
    DRAINING = "draining"  # sealing, once the operations under way are done


class Task(StrEnum):
    """Kinds of operations, as far as the state matters."""

    INITIALISE = "initialise"
    UNSEAL = "unseal"
    READ = "read"  # metadata and public keys
    CHANGE_STATUS = "change status"  # an incident must not wait for an unseal
    CREATE = "create"
    USE = "use"  # anything with key material
    SEAL = "seal"


_KNOWN = frozenset({State.SEALED, State.UNSEALED, State.DRAINING})
_OPEN = frozenset({State.UNSEALED})

ALLOWED: Mapping[Task, frozenset[State]] = MappingProxyType(
    {
        Task.INITIALISE: frozenset({State.UNINITIALISED}),
        Task.UNSEAL: frozenset({State.SEALED}),
        Task.READ: _KNOWN,
        Task.CHANGE_STATUS: _KNOWN,
        Task.CREATE: _OPEN,
        Task.USE: _OPEN,
        Task.SEAL: _KNOWN,
    }
)
