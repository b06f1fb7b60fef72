"""What the configuration wants of the keys of a zone, as its timetable takes it."""

from dataclasses import replace
from typing import Final

from signerd.config.policy import Policy
from signerd.dnssec.algorithm import KEY_TYPE_ALGORITHMS
from signerd.timetable.beginnings import find_staying
from signerd.timetable.policy import CdsPolicy, DenialKind, TimetablePolicy
from signerd.timetable.state import KeyRole, TimetableState

_CLOCK_SECONDS: Final = 1  # by which a moment may be too early: the clock is read in whole seconds


def make_timetable_policy(policy: Policy, parent_interval: float) -> TimetablePolicy:
    """Translate a policy.

    Args:
        policy: Of the configuration.
        parent_interval: How often the parent is asked while something is awaited of it, seconds.
    """
    return TimetablePolicy(
        algorithm=KEY_TYPE_ALGORITHMS[policy.key_type.value],
        is_csk=policy.csk,
        is_signed=policy.signed,
        has_parent=policy.parent_ds,
        is_ds_unwanted=not policy.parent_ds,
        zsk_period=policy.zsk_period if isinstance(policy.zsk_period, int) else None,
        ksk_period=policy.ksk_period if isinstance(policy.ksk_period, int) else None,
        modes=policy.steps,
        cds=CdsPolicy(policy.cds.value),
        denial=DenialKind(policy.denial.value),
        propagation=max(_CLOCK_SECONDS, policy.propagation),
        parent_propagation=max(_CLOCK_SECONDS, policy.parent_propagation),
        parent_lag=policy.parent_lag,
        parent_interval=max(1, round(parent_interval)),
    )


def keep_as_it_is(policy: TimetablePolicy, state: TimetableState) -> TimetablePolicy:
    """Give a policy that begins nothing: for a zone of which it is not known what it shall be."""
    staying = find_staying(state) or state.keys
    if not staying:
        return policy
    return replace(
        policy,
        is_signed=True,
        algorithm=staying[0].algorithm,
        is_csk=any(key.role is KeyRole.CSK for key in staying),
        denial=DenialKind(state.denial),
        zsk_period=None,
        ksk_period=None,
    )
