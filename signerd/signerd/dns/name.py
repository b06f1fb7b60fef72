"""Domain names as uncompressed wire form.

A name is `bytes`: length octets and labels, ending in the root label's zero octet (RFC 1035, section 3.1).
Inside the program names are lower-cased, except where a comment says that case is kept.
Length octets are at most 63, below "A", so `bytes.lower()` folds the case of the labels alone.
"""

from collections.abc import Iterator, Sequence
from typing import NewType

Name = NewType("Name", bytes)

ROOT = Name(b"\x00")
MAX_NAME_OCTETS = 255  # RFC 1035, section 2.3.4
MAX_LABEL_OCTETS = 63  # RFC 1035, section 2.3.4
WILDCARD_LABEL = b"*"

# Printed with a backslash because the master-file syntax gives them a meaning (RFC 1035, section 5.1).
_ESCAPED = frozenset(b'".;\\()@$')
_LENGTH_OCTETS = [bytes((length,)) for length in range(MAX_LABEL_OCTETS + 1)]


class BadName(ValueError):
    """The text or octets are not a domain name."""


def fold_case(name: bytes) -> Name:
    """Lower the ASCII letters of a wire-form name (RFC 4343, section 3)."""
    return Name(name.lower())


def read_labels(name: bytes) -> list[bytes]:
    """Split a wire-form name into its labels, leftmost first, without the root label."""
    labels: list[bytes] = []
    position = 0
    while length := name[position]:
        labels.append(name[position + 1 : position + 1 + length])
        position += 1 + length
    return labels


def join_labels(labels: Sequence[bytes]) -> Name:
    """Make a wire-form name of labels, leftmost first; the root label is added.

    Raises:
        BadName: A label is empty or longer than 63 octets, or the name is longer than 255.
    """
    name = b""
    for label in labels:
        if not 0 < len(label) <= MAX_LABEL_OCTETS:
            raise BadName(f"label of {len(label)} octets; 1 to {MAX_LABEL_OCTETS} are allowed")
        name += _LENGTH_OCTETS[len(label)] + label
    if len(name) >= MAX_NAME_OCTETS:
        raise BadName(f"name of {len(name) + 1} octets; {MAX_NAME_OCTETS} are allowed")
    return Name(name + b"\x00")


def count_labels(name: bytes) -> int:
    """Count the labels of a name, the root label not counted."""
    count = position = 0
    while length := name[position]:
        count += 1
        position += 1 + length
    return count


def find_parent(name: bytes) -> Name:
    """Take off the leftmost label; the root has no parent and must not be given."""
    return Name(name[1 + name[0] :])


def iterate_ancestors(name: Name, apex: Name) -> Iterator[Name]:
    """Give the proper ancestors of a name, nearest first, up to and including the apex.

    `name` must be at or below `apex`; at the apex there is nothing to give.
    """
    while len(name) > len(apex):
        name = find_parent(name)
        yield name


def is_subdomain(name: bytes, ancestor: bytes) -> bool:
    """Say if a name is the ancestor or below it (RFC 9499, section 2, "subdomain"); both in one case."""
    excess = len(name) - len(ancestor)
    if excess < 0 or not name.endswith(ancestor):
        return False
    position = 0
    while position < excess:  # the suffix must begin at a label, not inside one
        position += 1 + name[position]
    return position == excess


def is_wildcard(name: bytes) -> bool:
    """Say if the leftmost label is the single octet `*` (RFC 4592, section 2.1.1)."""
    return name[:2] == b"\x01*"


def make_sort_key(name: bytes) -> bytes:
    r"""Derive the octets whose plain comparison is the canonical order of names (RFC 4034, section 6.1).

    Labels come rightmost first, lower-cased, each ended by a zero octet; 0 and 1 inside a label are escaped
    so that order is kept. The keys of a name's descendants begin with the name's own key.
    """
    labels = read_labels(name.lower())
    labels.reverse()
    key = b"\x00".join(labels) + b"\x00" if labels else b""
    if key.count(b"\x00") != len(labels) or b"\x01" in key:
        return b"".join(
            label.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01") + b"\x00" for label in labels
        )
    return key


def parse_name(text: str, origin: Name | None = None) -> Name:
    r"""Read a name in presentation form, case kept.

    Args:
        text: For example `www.example.com.`, `@`, `a\.b\032c`; escapes as in RFC 1035, section 5.1.
        origin: Added to a name without trailing dot; without it such a name is an error.

    Raises:
        BadName: Bad escape, empty label, label or name too long, relative name without origin.
    """
    if text == "@" and origin is not None:
        return origin
    if text == ".":
        return ROOT
    if not text:
        raise BadName("empty name")
    is_plain = "\\" not in text and text.isascii()
    labels = text.encode().split(b".") if is_plain else _unescape_labels(text)
    if labels[-1] == b"":
        return join_labels(labels[:-1])
    if origin is None:
        raise BadName(f"'{text}' has no trailing dot")
    name = join_labels(labels)
    if len(name) - 1 + len(origin) > MAX_NAME_OCTETS:
        raise BadName(f"'{text}' with its origin is longer than {MAX_NAME_OCTETS} octets")
    return Name(name[:-1] + origin)


def _unescape_labels(text: str) -> list[bytes]:
    labels: list[bytes] = []
    label = bytearray()
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\":
            digits = text[position : position + 3]
            if digits[:1].isdecimal() and digits.isascii():
                if len(digits) != 3 or not digits.isdecimal() or int(digits) > 255:
                    raise BadName(f"bad escape in '{text}': \\DDD takes three digits, at most 255")
                label.append(int(digits))
                position += 3
            elif digits and digits[0].isascii():
                label.append(ord(digits[0]))
                position += 1
            else:
                raise BadName(f"bad escape in '{text}'")
        elif character == ".":
            labels.append(bytes(label))
            label.clear()
        elif character.isascii():
            label.append(ord(character))
        else:
            raise BadName(f"'{text}' is not ASCII; write internationalised names as xn-- labels")
    labels.append(bytes(label))
    return labels


def format_name(name: bytes) -> str:
    """Print a wire-form name in presentation form, absolute, with escapes (RFC 1035, section 5.1)."""
    if name == ROOT:
        return "."
    return "".join(_format_label(label) + "." for label in read_labels(name))


def _format_label(label: bytes) -> str:
    return "".join(
        f"\\{chr(octet)}" if octet in _ESCAPED else chr(octet) if 0x20 < octet < 0x7F else f"\\{octet:03d}"
        for octet in label
    )
