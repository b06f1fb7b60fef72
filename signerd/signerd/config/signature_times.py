"""The signing times of one zone: its policy joined with its SOA and TTLs."""

from dataclasses import dataclass

from signerd.config.policy import (
    AUTO_VALIDITY_ABOVE_MARGIN,
    DAY,
    MAX_AUTO_MARGIN,
    MIN_AUTO_MARGIN,
    MIN_AUTO_VALIDITY,
    Policy,
)
from signerd.config.quantity import format_duration


class ImpossiblePolicy(Exception):
    """A policy cannot keep a zone valid.

    Attributes:
        option: The option of the policy to change.
        reason: Why, with the numbers.
    """

    code = "config.impossible_policy"

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"{option}: {reason}")
        self.option = option
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SignatureTimes:
    """When the signatures of a zone begin, end and are replaced, in seconds.

    Attributes:
        validity: From the time of signing to the expiration.
        refresh_margin: A signature is replaced when less than this is left of it.
        inception_offset: From the inception to the time of signing.
        warning: What an operator should know of times that were cut off; None if nothing was.
    """

    validity: int
    refresh_margin: int
    inception_offset: int
    warning: str | None = None


def resolve_times(policy: Policy, soa_expire: int, largest_ttl: int) -> SignatureTimes:
    """Decide the signing times of a zone.

    A secondary serves its copy for SOA expire after it last heard from its primary, and a cache keeps an
    answer for its TTL after that, so a signature must still be good for the sum of both when the secondary
    fetches it last (RFC 6781, section 4.4.2). `auto` follows that sum, with a day for the operator:
    refresh margin = SOA expire + largest TTL + 1d, kept between 5d and 45d; validity = the larger of 14d and
    refresh margin + 7d.

    Args:
        policy: The zone's policy.
        soa_expire: Seconds, from the SOA.
        largest_ttl: Seconds, of all authoritative data; the policy's `dnskey_ttl` is taken in here.

    Raises:
        ImpossiblePolicy: A stated refresh margin is not larger than SOA expire + largest TTL, or a stated
            validity is not larger than the refresh margin or not larger than the inception offset.
    """
    largest_ttl = max(largest_ttl, policy.dnskey_ttl)
    needed = soa_expire + largest_ttl
    sum_text = (
        f"SOA expire + largest TTL ({format_duration(soa_expire)} + {format_duration(largest_ttl)} "
        f"= {format_duration(needed)})"
    )
    warning: str | None = None
    if isinstance(policy.refresh_margin, int):
        margin = policy.refresh_margin
        if margin <= needed:
            raise ImpossiblePolicy(
                "refresh_margin",
                f"{format_duration(margin)} is not larger than {sum_text}: a secondary that lost its "
                "primary, or a cache behind it, would give out expired signatures",
            )
    else:
        margin = min(max(needed + DAY, MIN_AUTO_MARGIN), MAX_AUTO_MARGIN)
        if margin <= needed:
            warning = (
                f"the largest automatic refresh margin, {format_duration(margin)}, does not cover "
                f"{sum_text}: a secondary that loses its primary may give out expired signatures; lower the "
                "SOA expire or the TTLs, or state a refresh_margin"
            )
    if isinstance(policy.signature_validity, int):
        validity = policy.signature_validity
        if validity <= margin:
            origin = "" if isinstance(policy.refresh_margin, int) else f", which follows from {sum_text}"
            raise ImpossiblePolicy(
                "signature_validity",
                f"{format_duration(validity)} is not larger than the refresh margin "
                f"({format_duration(margin)}){origin}: every signature would be due as soon as it is made",
            )
    else:
        validity = max(MIN_AUTO_VALIDITY, margin + AUTO_VALIDITY_ABOVE_MARGIN)
    if policy.inception_offset >= validity:
        raise ImpossiblePolicy(
            "inception_offset",
            f"{format_duration(policy.inception_offset)} is not smaller than the signature validity "
            f"({format_duration(validity)})",
        )
    return SignatureTimes(validity, margin, policy.inception_offset, warning)
