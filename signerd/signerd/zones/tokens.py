"""The text of a master file cut into entries and tokens (RFC 1035, section 5.1).

The text holds one character for each octet of the file (latin-1), so what stands in quoted strings is kept as
it is whatever encoding the operator used.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MAX_ENTRY_CHARACTERS = 1 << 20
"""Bounds the text of one entry: 65,535 octets of RDATA written as `\\DDD` need a quarter of it."""

# A quote ends an unquoted token, but a quoted value after `=` belongs to it: `alpn="h2,h3"` (RFC 9460,
# section 2.1).
_TOKEN = re.compile(
    r"""
    [ \t\r\f\v]*+(?:
      (?P<word>(?:[^ \t\r\n\f\v"();\\]|\\.)+(?:(?<==)"(?:[^"\\\n]|\\.)*")?)
    | (?P<quoted>"(?:[^"\\\n]|\\.)*")
    | (?P<comment>;[^\n]*)
    | (?P<mark>[\n()])
    | (?P<end>\Z)
    )
    """,
    re.VERBOSE,
)
_BLANKS = " \t\r\f\v"
# Lines with none of these are cut with str.split(), to which some controls and octets above 127 are blanks.
_NEEDS_CARE = re.compile(r'["();\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xff]')
_TTL_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_TTL = re.compile(r"(?:\d+[wdhms])*(?:\d+[wdhms]?)", re.IGNORECASE | re.ASCII)
_TTL_PART = re.compile(r"(\d+)([wdhms]?)", re.IGNORECASE | re.ASCII)


class BadToken(ValueError):
    """The text cannot be cut into tokens, or a token is not what it should be."""


class Entry(NamedTuple):
    """One entry of a master file: a directive or a record."""

    line: int  # where it begins
    has_owner: bool  # False: it begins with a blank, so the owner is the one before
    tokens: list[str]  # escapes not yet resolved; quoted strings with their quotes
    problem: str | None = None  # why the entry could not be read; tokens are then empty


def split_entries(text: str) -> Iterator[Entry]:
    """Cut the text of a master file into entries, blank and comment lines left out.

    Errors are given as entries with a problem; reading goes on in the line after.
    """
    lines = text.split("\n")
    number = 0
    needs_care = _NEEDS_CARE.search
    while number < len(lines):
        line = lines[number]
        number += 1
        if needs_care(line) is None:
            if tokens := line.split():
                if len(line) > MAX_ENTRY_CHARACTERS:
                    yield Entry(number, True, [], _TOO_LONG)
                else:
                    yield Entry(number, line[0] not in " \t", tokens)
            continue
        entry, number = _split_entry(lines, number - 1)
        if entry.tokens or entry.problem:
            yield entry


_TOO_LONG = f"the entry is longer than {MAX_ENTRY_CHARACTERS} characters"


def _split_entry(lines: list[str], index: int) -> tuple[Entry, int]:
    """Cut the entry that begins at a line; gives it and the index of the line after it."""
    first = index
    tokens: list[str] = []
    depth = characters = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        characters += len(line)
        if characters > MAX_ENTRY_CHARACTERS:
            return Entry(first + 1, True, [], _TOO_LONG), index
        position = 0
        while position < len(line):
            match = _TOKEN.match(line, position)
            if match is None:
                reason = (
                    "unterminated quoted string"
                    if line[position:].lstrip(_BLANKS)[0] == '"'
                    else "backslash at the end of the line"
                )
                return Entry(index, True, [], reason), index
            position = match.end()
            match kind := match.lastgroup:
                case "word" | "quoted":
                    tokens.append(match[kind])
                case "mark" if match[kind] == "(":
                    depth += 1
                case "mark":
                    depth -= 1
                    if depth < 0:
                        return Entry(index, True, [], "closing parenthesis without an opening one"), index
                case _:
                    pass
        if depth == 0:
            return Entry(first + 1, lines[first][:1] not in (" ", "\t"), tokens), index
    return Entry(first + 1, True, [], "opening parenthesis without a closing one"), index


def parse_ttl(text: str) -> int | None:
    """Read a TTL or another time in seconds, with or without units: `3600`, `1h30m`; None if it is none.

    The value is not checked against a range.
    """
    if text.isdecimal() and text.isascii():
        return int(text) if len(text) <= 20 else 10**20
    if len(text) > 60 or _TTL.fullmatch(text) is None:
        return None
    return sum(int(count) * _TTL_UNITS[unit.lower() or "s"] for count, unit in _TTL_PART.findall(text))


def parse_string(token: str) -> bytes:
    r"""Read a character-string token, quoted or not, with escapes (RFC 1035, section 5.1).

    Raises:
        BadToken: A bad `\DDD` escape.
    """
    if token[0] == '"':
        token = token[1:-1]
    if "\\" not in token:
        return token.encode("latin-1")
    return _ESCAPE.sub(_unescape, token).encode("latin-1")


def has_quotes(token: str) -> bool:
    """Say if a token is a quoted string, or ends in one as `a="b c"` does; escaped quotes do not count."""
    return '"' in token and (token[0] == '"' or _QUOTED_VALUE.fullmatch(token) is not None)


def split_quoted_values(tokens: Sequence[str]) -> Iterator[str]:
    """Take tokens such as `a="b c"` apart, for types to which they are two strings."""
    for token in tokens:
        match = _QUOTED_VALUE.fullmatch(token) if '"' in token else None
        if match is None:
            yield token
        else:
            yield from match.groups()


_QUOTED_VALUE = re.compile(r"""((?:[^"\\]|\\.)+)("(?:[^"\\]|\\.)*")""", re.DOTALL)
_ESCAPE = re.compile(r"\\([0-9]{1,3}|.)", re.DOTALL)


def _unescape(match: re.Match[str]) -> str:
    escaped = match[1]
    if escaped[0] not in "0123456789":
        return escaped
    if len(escaped) != 3 or int(escaped) > 255:
        raise BadToken(f"bad escape {match[0]}: \\DDD takes three digits, at most 255")
    return chr(int(escaped))
