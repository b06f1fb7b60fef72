"""Names of records: relative to their zone, compared without case, echoed as sent."""

import re
from typing import Final

from signerd.dns.name import BadName, Name, fold_case, parse_name, read_labels
from signerd.dns_zones.errors import InvalidDnsValue

APEX: Final = "@"
_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,63}", re.ASCII)


def read_record_name(text: str, zone: Name, field: str = "name") -> Name:
    """Give the owner name, lower-cased, of a record's name: `@`, `www`, `*`, `*.x`, `_sip._tcp`.

    Raises:
        InvalidDnsValue: It is not relative or not well-formed.
    """
    if text == APEX:
        return zone
    if not text:
        raise InvalidDnsValue(field, "is required; @ is the zone itself")
    if text.endswith("."):
        raise InvalidDnsValue(field, "has a trailing dot; it is relative to the zone")
    labels = text.split(".")
    for index, label in enumerate(labels):
        if index == 0 and label == "*":
            continue
        if _LABEL.fullmatch(label) is None:
            raise InvalidDnsValue(
                field,
                "must be labels of 1 to 63 letters, digits, hyphens and underscores; "
                "* is allowed as the leftmost label only",
            )
    try:
        return fold_case(parse_name(text, zone))
    except BadName as error:
        raise InvalidDnsValue(field, "is too long together with the zone's name") from error


def relate(owner: bytes, zone: Name) -> str:
    """Print an owner name of a zone relative to it; its labels must be those of `read_record_name`."""
    count = len(read_labels(owner)) - len(read_labels(zone))
    if count <= 0:
        return APEX
    return ".".join(label.decode("ascii") for label in read_labels(owner)[:count])
