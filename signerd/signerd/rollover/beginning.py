"""How the timetable of a zone begins: with keys just made, or with keys from before there was a timetable."""

from collections.abc import Mapping, Sequence

from signerd.signer.served_keys import ServedKeys
from signerd.signer.timetable_keys import StoredKey
from signerd.timetable.policy import TimetablePolicy
from signerd.timetable.presence import NEVER_THERE, Presence, Trace
from signerd.timetable.state import Rollover, RolloverKind, TimetableKey, TimetableState


def name_keys(keys: Sequence[StoredKey]) -> Mapping[str, str]:
    """Give keys their names: the same in each attempt, so that one that was interrupted can be repeated.

    Returns:
        Identity to name; a ZSK of an algorithm without a KSK is left out.
    """
    algorithms = {key.dnskey.algorithm for key in keys if key.role.signs_keys}
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for key in keys:
        if key.dnskey.algorithm in algorithms:
            counts[key.role] = counts.get(key.role, 0) + 1
            names[key.identity] = f"{key.role}-{counts[key.role]}"
    return names


def begin(keys: Sequence[StoredKey], served: ServedKeys, policy: TimetablePolicy, now: int) -> TimetableState:
    """Give the first state of a timetable.

    Keys that have been served for longer than anything is cached are everywhere; others count as published
    just now. Whether the parent has a DS record of them is not known then, so it counts as possible.

    Args:
        keys: Of the zone.
        served: What is published now, with the names of `name_keys`.
        policy: How the zone is signed.
        now: Epoch seconds.
    """
    names = name_keys(keys)
    named = [(names[key.identity], key) for key in keys if key.identity in names]
    number = 1 + max((int(name.rpartition("-")[2]) for name, _ in named), default=0)
    if _is_settled([key for _, key in named], names, served, policy, now):
        there = Trace(Presence.OMNIPRESENT, now)
        awaited = Trace(Presence.RUMOURED, now)
        rollovers: tuple[Rollover, ...] = ()
    else:
        there = Trace(Presence.RUMOURED, now)
        awaited = NEVER_THERE
        incoming = tuple(name for name, _ in named)
        rollovers = (Rollover(number, RolloverKind.SECURE, incoming, (), now),)
        number += 1
    return TimetableState(
        tuple(
            TimetableKey(
                name,
                key.role,
                key.dnskey.algorithm,
                min(key.created_at, now),
                dnskey=there,
                data=there if key.role.signs_data else NEVER_THERE,
                ds=awaited if key.role.signs_keys else NEVER_THERE,
            )
            for name, key in named
        ),
        {key.dnskey.algorithm: there for _, key in named},
        rollovers,
        number,
        (served.denial or policy.denial).value,
    )


def _is_settled(
    keys: Sequence[StoredKey],
    names: Mapping[str, str],
    served: ServedKeys,
    policy: TimetablePolicy,
    now: int,
) -> bool:
    in_caches = policy.propagation + max(served.dnskey_ttl, served.largest_ttl)
    return (
        served.published.issuperset(names.values())
        and served.signing.issuperset(names[key.identity] for key in keys if key.role.signs_data)
        and served.covering.issuperset(key.dnskey.algorithm for key in keys)
        and all(key.created_at + in_caches <= now for key in keys)
    )
