"""The zones whose keys are looked after, as they are whenever one is asked for."""

from collections.abc import Iterator, Mapping

from signerd.dns.name import Name
from signerd.rollover.care import ServedZone
from signerd.zones.keeper import ZoneKeeper


class LookedAfter(Mapping[Name, ServedZone]):
    """Gives the zones of the fleet one at a time: there may be very many."""

    def __init__(self, keepers: Mapping[Name, ZoneKeeper]) -> None:
        """Do nothing yet.

        Args:
            keepers: By zone; may change.
        """
        self._keepers = keepers

    def __getitem__(self, name: Name) -> ServedZone:
        """Give a zone. Raises KeyError."""
        keeper = self._keepers[name]
        return ServedZone(keeper.entry, keeper.state.published, keeper.state.next_due)

    def __iter__(self) -> Iterator[Name]:
        """Go through the names."""
        return iter(self._keepers)

    def __len__(self) -> int:
        """Count them."""
        return len(self._keepers)
