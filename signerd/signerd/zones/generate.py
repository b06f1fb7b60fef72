"""The $GENERATE directive: records made of a template and a range (as in BIND; no RFC describes it)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from signerd.zones.tokens import BadToken

MAX_WIDTH = 255  # wider than a name may be

_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})(?:/([0-9]{1,10}))?")
_PLACE = re.compile(r"\\(?P<escaped>.)|\$\$|\$\{(?P<modifier>[^}]*)\}|\$", re.DOTALL)
_MODIFIER = re.compile(r"([+-]?[0-9]{1,10})(?:,([0-9]{1,5})(?:,([doxXnN]))?)?")


@dataclass(frozen=True, slots=True)
class Generator:
    """A parsed $GENERATE line.

    Attributes:
        values: The numbers that take the place of `$`.
        owner: Template of the owner name.
        rest: Template tokens after the owner: TTL, class, type, RDATA.
    """

    values: range
    owner: str
    rest: tuple[str, ...]

    def iterate(self) -> Iterator[list[str]]:
        """Give the tokens of each record, the owner first.

        Raises:
            BadToken: A modifier makes no sense for a value.
        """
        for value in self.values:
            yield [expand(self.owner, value), *(expand(token, value) for token in self.rest)]


def parse_generate(tokens: Sequence[str], limit: int) -> Generator:
    """Read the tokens after $GENERATE: `start-stop[/step] owner [ttl] [class] type rdata`.

    RDATA of several fields may be given as one quoted string, as BIND wants it, or as it is.

    Args:
        tokens: Without the directive itself.
        limit: Most records that the line may make.

    Raises:
        BadToken: The line is not of this form, or makes too many records.
    """
    if len(tokens) < 4:
        raise BadToken("$GENERATE takes a range, an owner, a type and data")
    bounds, owner, *rest = tokens
    match = _RANGE.fullmatch(bounds)
    if match is None:
        raise BadToken(f"'{bounds[:40]}' is not a range such as 1-100 or 0-254/2")
    start, stop, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if stop < start or step == 0 or stop > 2**31 - 1:
        raise BadToken(f"range {bounds} must go up, in steps of at least 1, to at most {2**31 - 1}")
    values = range(start, stop + 1, step)
    if len(values) > limit:
        raise BadToken(f"range {bounds} makes {len(values)} records; {limit} are allowed")
    quoted = rest[-1]
    if quoted[0] == '"':
        rest[-1:] = quoted[1:-1].split()
    generator = Generator(values, owner, tuple(rest))
    for token in (owner, *generator.rest):
        expand(token, start)
    return generator


def expand(template: str, value: int) -> str:
    r"""Put a value in the place of each `$` or `${offset,width,base}`.

    `\$` stays as it is and is a dollar sign to the reader of names and strings; so is `$$`.

    Raises:
        BadToken: A modifier is not of its form.
    """
    if "$" not in template:
        return template

    def replace(match: re.Match[str]) -> str:
        if match["escaped"] is not None:
            return match[0]
        if match[0] == "$$":
            return "$"
        if match["modifier"] is None:
            return str(value)
        return _format_modified(value, match["modifier"])

    return _PLACE.sub(replace, template)


def _format_modified(value: int, modifier: str) -> str:
    match = _MODIFIER.fullmatch(modifier)
    if match is None or int(match[2] or 0) > MAX_WIDTH:
        raise BadToken(
            f"${{{modifier[:40]}}} is not of the form ${{offset[,width[,base]]}}, base one of d o x X n N"
        )
    number, width, base = value + int(match[1]), int(match[2] or 0), match[3] or "d"
    if base == "d":
        return f"{number:0{width}d}"
    if number < 0:
        raise BadToken(f"${{{modifier}}} is negative for {value}")
    if base in "nN":
        return _format_nibbles(number, width, "x" if base == "n" else "X")
    return f"{number:0{width}{base}}"


def _format_nibbles(number: int, width: int, base: str) -> str:
    """Print hexadecimal digits, lowest first, as labels; the width counts digits and dots."""
    text = ""
    while True:
        text += f"{number & 15:{base}}"
        number >>= 4
        if number == 0 and len(text) >= width:
            return text
        text += "."
        if number == 0 and len(text) >= width:
            return text
