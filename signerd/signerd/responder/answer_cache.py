"""A cache bounded by octets, cheap to ask: what was not used for a while goes, roughly in that order.

Most of what is asked for once is never asked for again (a flood of random names is nothing else), and keeping
it displaces what is. So when the cache is full only every eighth new entry gets in: what is asked for often
soon does, and the rest displaces little.
"""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

ADMIT_ONE_OF = 8  # new entries, when others have to go for them
ENTRY_OCTETS = 250  # estimated cost of one entry beside its key and value


class AnswerCache(Generic[K, V]):
    """Two generations: when the young one has taken half the bound it becomes the old one, and that goes."""

    def __init__(self, max_octets: int) -> None:
        """Begin empty."""
        self._half = max_octets // 2
        self._octets = 0
        self._refused = 0  # since an entry was let in
        self.young: dict[K, V] = {}  # may be looked into directly; `get` also finds the old
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Find a value; one of the old generation moves to the young."""
        value = self.young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self.young[key] = value
        return value

    def put(self, key: K, value: V, octets: int) -> None:
        """Add a value, or perhaps not if the cache is full.

        Args:
            key: Not in the cache.
            value: What to keep.
            octets: Size of key and value.
        """
        if self._old:
            self._refused += 1
            if self._refused < ADMIT_ONE_OF:
                return
            self._refused = 0
        self._octets += octets + ENTRY_OCTETS
        if self._octets > self._half:
            self._old = self.young
            self.young = {}
            self._octets = octets + ENTRY_OCTETS
        self.young[key] = value

    def clear(self) -> None:
        """Forget everything. Whoever holds `young` from before holds nothing of use any more."""
        self.young = {}
        self._old = {}
        self._octets = 0

    def __len__(self) -> int:
        return len(self.young) + len(self._old)
