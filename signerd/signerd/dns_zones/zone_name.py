"""Names of zones as the API takes them: exactly as they are echoed, never normalised."""

import re
from typing import Final

from signerd.dns.name import Name, parse_name
from signerd.dns_zones.errors import InvalidDnsValue

MAX_CHARACTERS: Final = 253  # what 255 octets on the wire leave for dotted text
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ZONE_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.ASCII)


def read_zone_name(text: str) -> Name:
    """Read a zone name: lower case, at least two labels, no trailing dot.

    Raises:
        InvalidDnsValue: It is none; it is not brought into form, since clients compare the echo.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidDnsValue("zoneName", f"has {len(text)} characters; {MAX_CHARACTERS} are allowed")
    if text.endswith("."):
        raise InvalidDnsValue("zoneName", "has a trailing dot; leave it out")
    if text != text.lower():
        raise InvalidDnsValue("zoneName", "must be in lower case")
    if _ZONE_NAME.fullmatch(text) is None:
        raise InvalidDnsValue(
            "zoneName",
            "must have at least two labels of 1 to 63 letters, digits and inner hyphens; "
            "internationalised names are written as xn-- labels",
        )
    return parse_name(text + ".")
