"""How DNSSEC of a zone of a file stands: what its key timetable and the answers of its parent say."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from signerd.delegation.delegation_state import DelegationState
from signerd.delegation.parent_view import ParentView
from signerd.dnssec.key import DnsKey
from signerd.zone_dnssec.ignored_servers import IgnoredServer


@dataclass(frozen=True, slots=True)
class FileZoneStatus:
    """What is to be told of a zone that has keys.

    Attributes:
        is_enabled: Whether it is signed and stays so; false while it goes insecure.
        is_signed: Whether it is signed now, or is about to be.
        ds_keys: Keys that the parent is to have a DS of, or will once caches can follow them.
        outgoing_tags: Tags of other keys that the parent may have a DS of.
        kms_key: Identity of the KMS key of the first of `ds_keys`.
        region: Identity of the region where that key is.
        view: What the parent said.
        delegation: What follows from it.
        ds_not_before: From when a first DS may be at the parent, epoch seconds; None if that is unknown, or
            no first DS is awaited.
        is_key_published: Whether the key of a first DS was seen in service; None if no first DS is awaited.
        last_signed_at: When a version was signed last, epoch seconds; None if that is not known.
        next_probe_at: When the parent is asked next, likewise; None if it is not.
        ignored: Servers of the parent that nobody waits for.
    """

    is_enabled: bool
    is_signed: bool
    ds_keys: Sequence[DnsKey]
    outgoing_tags: Sequence[int]
    kms_key: str | None
    region: str | None
    view: ParentView
    delegation: DelegationState
    ds_not_before: int | None = None
    is_key_published: bool | None = None
    last_signed_at: int | None = None
    next_probe_at: int | None = None
    ignored: Sequence[IgnoredServer] = field(default_factory=tuple[IgnoredServer, ...])
