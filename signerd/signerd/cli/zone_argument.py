"""The name of a zone on the command line."""

from collections.abc import Iterable
from typing import Annotated

import typer

from signerd.cli.command_errors import CommandFailed
from signerd.config.spelling import suggest
from signerd.dns.name import BadName, Name
from signerd.zones.zone_list import format_zone_name, parse_zone_name

ZoneArgument = Annotated[
    str, typer.Argument(metavar="ZONE", help="With or without trailing dot; '.' is the root zone.")
]


def read_zone_argument(text: str) -> Name:
    """Read a zone's name.

    Raises:
        CommandFailed: It is not a domain name.
    """
    try:
        return parse_zone_name(text)
    except BadName as error:
        raise CommandFailed(f"'{text}' is no zone name: {error}") from error


def explain_unknown_zone(zone: Name, known: Iterable[Name]) -> CommandFailed:
    """Make the error for a zone that is not served here, with those that are spelt alike."""
    names = [format_zone_name(name) for name in known]
    text = format_zone_name(zone)
    return CommandFailed(f"zone '{text}' is not served here{suggest(text, names)}")
