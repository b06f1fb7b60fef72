"""A receiver of events, as the configuration has it."""

from dataclasses import dataclass
from pathlib import Path

from signerd.config.alarm_options import matches


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where events go.

    Attributes:
        name: For people, metrics and the outbox.
        url: Where they are posted.
        events: What codes begin with, up to a full stop; all events if empty.
        key: Identity or name of the KMS key that signs them.
        timeout_seconds: For an attempt.
        max_attempts: An event is given up after so many.
        max_age_seconds: Likewise, after so long.
        max_waiting: More events are not kept: the oldest are given up.
        allow_private: Whether its name may lead to a private network.
        ca_file: Certificates that are trusted; those of the system if None.
    """

    name: str
    url: str
    events: tuple[str, ...] = ()
    key: str = "signerd webhooks"
    timeout_seconds: float = 10.0
    max_attempts: int = 100
    max_age_seconds: int = 3 * 86400
    max_waiting: int = 1000
    allow_private: bool = False
    ca_file: Path | None = None

    def wants(self, code: str) -> bool:
        """Say if an event of a code is for it."""
        return not self.events or any(matches(code, beginning) for beginning in self.events)
