"""Where the keys of a zone stand, for those who show it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from signerd.timetable.duties import Duty, list_duties
from signerd.timetable.policy import TimetablePolicy
from signerd.timetable.presence import Presence
from signerd.timetable.timetable import Outcome


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """Where the keys of a zone stand, as of the last step of its timetable.

    Attributes:
        zone: Its name, without final dot.
        policy_name: Of the configuration.
        policy: What the operator wants of the keys.
        outcome: Of the last step: state, sentence, waits, problem, when it looks again.
        looked_at: When that step was, epoch seconds.
        tags: Name of each key that exists, and its key tag.
        next_look: When it is looked at again at the latest, epoch seconds; None: when the outcome says.
    """

    zone: str
    policy_name: str
    policy: TimetablePolicy
    outcome: Outcome
    looked_at: int
    tags: Mapping[str, int] = field(default_factory=dict[str, int])
    next_look: int | None = None

    @property
    def looks_again_at(self) -> int:
        """When the zone is looked at again at the latest, epoch seconds."""
        return self.outcome.wake_at if self.next_look is None else self.next_look

    @property
    def is_delegated(self) -> bool:
        """Whether the parent was seen to have a DS of the zone, or may still have one that is to go."""
        return any(
            key.ds.is_everywhere
            or key.ds.presence is Presence.UNRETENTIVE
            or (key.ds.is_wanted and key.ds.settles_at is not None)
            for key in self.outcome.state.keys
        )

    @property
    def sentence(self) -> str:
        """Where the zone stands, for people."""
        return self.spell_keys(self.outcome.sentence)

    @property
    def problem(self) -> str | None:
        """Why key changes have stopped; None if they go on."""
        return None if self.outcome.problem is None else self.spell_keys(self.outcome.problem)

    def list_duties(self) -> tuple[Duty, ...]:
        """Say who must do what."""
        return tuple(replace(duty, what=self.spell_keys(duty.what)) for duty in list_duties(self.outcome))

    def spell_keys(self, text: str) -> str:
        """Put the tags of keys beside their names, for registrars, and the zone into commands."""
        text = text.replace("rollover approve ZONE ", f"rollover approve {self.zone} ")
        if not self.tags:
            return text
        names = "|".join(map(re.escape, self.tags))
        return re.sub(rf"\b(?:{names})\b", lambda found: f"{found[0]} (tag {self.tags[found[0]]})", text)
