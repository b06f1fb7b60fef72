"""What all option models have in common."""

from collections.abc import Sequence
from typing import Annotated, Final, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, model_validator
from pydantic_core import PydanticCustomError

from signerd.config.quantity import (
    format_duration,
    parse_duration,
    parse_interval,
    parse_listen_address,
    parse_size,
)
from signerd.control.listen_address import ListenAddress

IMPOSSIBLE: Final = "impossible"  # pydantic error type of options that are right alone and wrong together

MAX_TEXT_OCTETS: Final = 255  # what one character-string of a TXT record holds (RFC 1035, section 3.3)

Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""Whole seconds."""

Interval = Annotated[
    float,
    BeforeValidator(parse_interval),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""Seconds, also parts of one."""


def is_duration(annotations: Sequence[object]) -> bool:
    """Say if what is annotated so is a `Duration` or an `Interval`, alone or among other types."""
    return any(
        isinstance(one, BeforeValidator) and one.func in (parse_duration, parse_interval)
        for one in annotations
    ) or any(is_duration(get_args(one)) for one in annotations if get_args(one))


Size = Annotated[int, BeforeValidator(parse_size)]
"""Octets."""

Address = Annotated[
    ListenAddress,
    BeforeValidator(parse_listen_address),
    PlainSerializer(str, return_type=str, when_used="json"),
]


def _check_text(text: str) -> str:
    if not 0 < len(text.encode()) <= MAX_TEXT_OCTETS:
        raise ValueError(f"must be 1 to {MAX_TEXT_OCTETS} octets long")
    if not text.isprintable():
        raise ValueError(f"{text!r} holds characters that cannot be printed")
    return text


Text = Annotated[str, AfterValidator(_check_text)]
"""Printable, 1 to 255 octets."""


class Section(BaseModel):
    """A group of options: a value that cannot be changed, in which only known options stand."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=False)

    @model_validator(mode="before")
    @classmethod
    def _take_empty_as_defaults(cls, value: object) -> object:
        """Read `section:` with nothing below it, as is left when all its lines are commented out."""
        return {} if value is None else value


def impossible(problems: Sequence[tuple[tuple[str | int, ...], str]]) -> PydanticCustomError:
    """Make the error for options that contradict each other.

    Args:
        problems: Path of each option to blame, from the section that raises, and the reason.
    """
    text = "; ".join(reason for _, reason in problems)
    return PydanticCustomError(IMPOSSIBLE, "{text}", {"text": text, "problems": list(problems)})
