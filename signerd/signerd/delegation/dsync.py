"""Where a parent takes notifications: DSYNC records, and the names at which they are looked up (RFC 9859)."""

from dataclasses import dataclass
from typing import Final

from signerd.dns.name import BadName, Name, fold_case, join_labels, read_labels
from signerd.dns.rdatatype import CDS

DSYNC: Final = 66
SCHEME_NOTIFY: Final = 1  # RFC 9859, section 2.2
_LABEL: Final = b"_dsync"
_HEAD_OCTETS: Final = 5  # type, scheme, port


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where NOTIFY messages for changed CDS and CDNSKEY records go.

    Attributes:
        target: Name of the host.
        port: UDP and TCP.
    """

    target: Name
    port: int


def read_endpoint(rdata: bytes) -> Endpoint | None:
    """Read DSYNC RDATA, its name not compressed; None if it is for other types or ways, or unusable."""
    if len(rdata) <= _HEAD_OCTETS:
        return None
    rdatatype, scheme, port = int.from_bytes(rdata[:2]), rdata[2], int.from_bytes(rdata[3:5])
    target = rdata[_HEAD_OCTETS:]
    # RFC 9859, section 4.2: CDS stands for CDNSKEY too.
    if (rdatatype, scheme) != (CDS, SCHEME_NOTIFY) or port == 0 or target == b"\x00":
        return None
    return Endpoint(fold_case(target), port)


def make_first_name(child: Name) -> Name | None:
    """Give the name that is looked up first: the parent is taken to be one label shorter.

    None for the root, which has no parent, and for a child whose name is too long.
    """
    labels = read_labels(child)
    return None if not labels else _insert(labels, 1)


def make_next_name(child: Name, asked: Name, parent: Name) -> Name | None:
    """Give the name that is looked up after a negative answer (RFC 9859, section 4.1, step 3).

    Args:
        child: The zone whose parent is to be notified.
        asked: The name to which the answer was; one of these functions gave it.
        parent: Owner of the SOA in the answer.

    Returns:
        None if there is no other: the parent takes no notifications.
    """
    labels, asked_labels = read_labels(child), read_labels(asked)
    place = asked_labels.index(_LABEL)
    parent_labels = read_labels(parent)
    if parent_labels[:1] == [_LABEL]:  # a zone of its own in the parent
        parent_labels = parent_labels[1:]
    depth = len(labels) - len(parent_labels)
    if depth <= 0 or labels[depth:] != parent_labels:
        return None
    if len(parent_labels) < len(asked_labels) - place - 1:
        return _insert(labels, depth)  # 3a: the parent is further up
    return _insert(labels[depth:], 0) if place else None  # 3b: the parent has no wildcard


def _insert(labels: list[bytes], place: int) -> Name | None:
    try:
        return join_labels([*labels[:place], _LABEL, *labels[place:]])
    except BadName:
        return None
