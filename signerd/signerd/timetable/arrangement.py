"""What shall be published now, as follows from the state of a timetable."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from signerd.timetable.policy import CdsPolicy, Step, TimetablePolicy
from signerd.timetable.presence import Presence
from signerd.timetable.rollover_steps import check_gate
from signerd.timetable.state import KeyRole, RolloverKind, TimetableState


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What shall be published. It is an aim, not a change: it may be carried out again at any time.

    Attributes:
        published: Names of the keys in the DNSKEY RRset. Those that sign keys sign it.
        signing: Names of the keys that sign data.
        former: Names of keys whose signatures over data may stay until they are due.
        cds: Names of the keys with CDS and CDNSKEY records.
        has_cds_delete: CDS and CDNSKEY ask the parent to remove all DS records (RFC 8078, section 4).
        denial: How absence is proved.
    """

    published: tuple[str, ...]
    signing: tuple[str, ...]
    former: tuple[str, ...]
    cds: tuple[str, ...]
    has_cds_delete: bool
    denial: str


class ActionKind(StrEnum):
    """What is to be done."""

    MAKE_KEY = "make-key"
    PUBLISH_KEY = "publish-key"
    SIGN_WITH_KEY = "sign-with-key"
    ADD_DS = "add-ds"
    REMOVE_DS = "remove-ds"
    STOP_SIGNING_WITH_KEY = "stop-signing-with-key"
    WITHDRAW_KEY = "withdraw-key"
    FORGET_KEY = "forget-key"
    PUBLISH_CDS = "publish-cds"
    WITHDRAW_CDS = "withdraw-cds"
    PUBLISH_CDS_DELETE = "publish-cds-delete"
    CHANGE_DENIAL = "change-denial"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to be done.

    Attributes:
        kind: What.
        key: Name of the key; for a change of denial, its new kind.
        role: Of the key, if one is to be made.
        algorithm: Of the key, if one is to be made.
    """

    kind: ActionKind
    key: str
    role: KeyRole | None = None
    algorithm: int | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.key}".rstrip()


def arrange(state: TimetableState, policy: TimetablePolicy) -> Arrangement:
    """Say what shall be published now."""
    is_leaving = policy.is_ds_unwanted or any(
        rollover.kind is RolloverKind.INSECURE and not rollover.is_aborted for rollover in state.rollovers
    )
    wanted_ds = tuple(key.name for key in state.keys if key.ds.is_wanted and key.dnskey.is_wanted)
    has_parent_work = any(key.ds.is_moving and key.ds.settles_at is None for key in state.keys)
    if policy.cds is CdsPolicy.NEVER or (policy.cds is CdsPolicy.ROLLOVER and not has_parent_work):
        cds: tuple[str, ...] = ()
    else:
        cds = wanted_ds
    return Arrangement(
        tuple(key.name for key in state.keys if key.dnskey.is_wanted),
        tuple(key.name for key in state.keys if key.data.is_wanted),
        tuple(
            key.name
            for key in state.keys
            if key.data.presence is Presence.UNRETENTIVE and key.dnskey.is_wanted
        ),
        cds,
        is_leaving
        and not wanted_ds
        and policy.cds is not CdsPolicy.NEVER
        and any(key.ds.presence is Presence.UNRETENTIVE for key in state.keys),
        state.denial,
    )


def find_actions(
    before: TimetableState, after: TimetableState, policy: TimetablePolicy, earlier: Arrangement
) -> tuple[Action, ...]:
    """Say what is to be done to come from one state to the next.

    Args:
        before: The state that was carried out.
        after: The state to be carried out.
        policy: Decides what of CDS is published.
        earlier: What the state before asked for.
    """
    return tuple(_list_actions(before, after, policy, earlier))


def _list_actions(
    before: TimetableState, after: TimetableState, policy: TimetablePolicy, old: Arrangement
) -> Iterator[Action]:
    new = arrange(after, policy)
    for rollover in after.rollovers:
        if check_gate(rollover, Step.MAKE, policy) is None:
            for key in after.select(rollover.incoming):
                if key.made_at is None:
                    yield Action(ActionKind.MAKE_KEY, key.name, key.role, key.algorithm)
    changes = (
        (ActionKind.PUBLISH_KEY, new.published, old.published),
        (ActionKind.SIGN_WITH_KEY, new.signing, old.signing),
        (ActionKind.STOP_SIGNING_WITH_KEY, old.signing, new.signing),
        (ActionKind.WITHDRAW_KEY, old.published, new.published),
        (ActionKind.PUBLISH_CDS, new.cds, old.cds),
        (ActionKind.WITHDRAW_CDS, old.cds, new.cds),
    )
    for kind, names, others in changes:
        for name in names:
            if name not in others:
                yield Action(kind, name)
    had_ds = {key.name: key.ds for key in before.keys}
    for key in after.keys:
        former = had_ds.get(key.name)
        if key.ds.is_wanted and (former is None or not former.is_wanted):
            yield Action(ActionKind.ADD_DS, key.name)
        if former is not None and former.is_wanted and not key.ds.is_wanted:
            yield Action(ActionKind.REMOVE_DS, key.name)
    if new.has_cds_delete and not old.has_cds_delete:
        yield Action(ActionKind.PUBLISH_CDS_DELETE, "")
    if new.denial != old.denial:
        yield Action(ActionKind.CHANGE_DENIAL, new.denial)
    remaining = {key.name for key in after.keys}
    for key in before.keys:
        if key.name not in remaining:
            yield Action(ActionKind.FORGET_KEY, key.name)
