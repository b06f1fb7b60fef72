"""What the calls about zones need from those who serve them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from signerd.dns.name import Name
from signerd.dns.zone import Zone
from signerd.dns_zones.apex import ApexDefaults


@dataclass(frozen=True, slots=True)
class ServedZone:
    """How far a zone has come.

    Attributes:
        serial: Of the version in service; None if there is none.
        data_version: Of the rows that it was made of; None for a zone of a file, and if it is not known.
        error: Why there is no newer version; None if nothing stands in the way.
    """

    serial: int | None
    data_version: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class FileZone:
    """A zone that is kept in a file and so only read over the API.

    Attributes:
        apex: Its name.
        text: Its name without trailing dot.
        place: The file, or that it is gone.
        zone: Its data, unsigned; None if it could never be read.
        served: What is in service.
        failure: Why the last attempt to sign and publish it came to nothing, and since when that is so, epoch
            seconds; None if it did not.
        has_ds: Whether its parent is to have a DS, as its policy says.
    """

    apex: Name
    text: str
    place: str
    zone: Zone | None
    served: ServedZone
    failure: tuple[str, int] | None = None
    has_ds: bool = True


class ZonePublisher(Protocol):
    """Serves zones. Called in worker threads of the event loop; waits are bounded."""

    def publish(self, apex: Name, identity: str, data_version: int) -> None:
        """Have a committed change served; return when it is, when it cannot be, or after a short time."""
        ...

    def withdraw(self, apex: Name) -> None:
        """End the service of a deleted zone; return when it has ended or after a short time."""
        ...

    def find_served(self, apex: Name, identity: str) -> ServedZone | None:
        """Say what is in service of a zone of the API; None if nothing is known of it yet."""
        ...

    def list_file_zones(self) -> Sequence[FileZone]:
        """List the zones that are not of the API."""
        ...


@dataclass(frozen=True, slots=True)
class ServedZones:
    """Who serves the zones of the API, and what they get besides their records.

    Attributes:
        publisher: Serves them.
        apex: What they get.
        deletion_percent: How much of a zone an import may delete without being told so.
    """

    publisher: ZonePublisher
    apex: ApexDefaults
    deletion_percent: int = 30
