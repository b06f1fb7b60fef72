"""Signing policies: how a zone is signed, and how its keys are replaced."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from signerd.config.quantity import format_duration, parse_duration
from signerd.config.section import Duration, Section, impossible
from signerd.timetable.policy import Mode, Step
from signerd.zones.serial_policy import SerialPolicy

DAY: Final = 86400
AUTO: Final = "auto"
NEVER: Final = "never"
MIN_AUTO_MARGIN: Final = 5 * DAY  # a long weekend and a day to notice that re-signing has stopped
MAX_AUTO_MARGIN: Final = 45 * DAY  # an odd TTL or SOA expire in a zone file must not ask for years
MIN_AUTO_VALIDITY: Final = 14 * DAY
AUTO_VALIDITY_ABOVE_MARGIN: Final = 7 * DAY  # so that a signature is used for a week before it is replaced
MAX_VALIDITY: Final = 3650 * DAY  # far below 2**31 s, where RRSIG times wrap (RFC 4034, section 3.1.5)


class Denial(StrEnum):
    """How the absence of names and types is proved."""

    NSEC3 = "nsec3"  # RFC 5155, with no extra iterations, no salt, no opt-out (RFC 9276, section 3.1)
    NSEC = "nsec"  # RFC 4034, section 4


class SigningKeyType(StrEnum):
    """The KMS key types that have a DNSSEC algorithm here."""

    ECDSA_P256 = "ecdsa-p256"  # algorithm 13
    ECDSA_P384 = "ecdsa-p384"  # algorithm 14
    RSA_2048 = "rsa-2048"  # algorithm 8
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"


class CdsPublication(StrEnum):
    """Whether CDS and CDNSKEY records are published at the apex (RFC 7344, RFC 8078)."""

    ALWAYS = "always"
    NEVER = "never"
    ROLLOVER = "rollover"  # as long as the parent has something to do


def _print_auto(value: int | Literal["auto"]) -> str:
    return format_duration(value) if isinstance(value, int) else value


def _read_auto(value: object) -> object:
    if value == AUTO:
        return value
    seconds = parse_duration(value)
    if not 60 <= seconds <= MAX_VALIDITY:
        raise ValueError(f"{value!r} is out of range; 1m to {format_duration(MAX_VALIDITY)} are allowed")
    return seconds


AutoDuration = Annotated[
    int | Literal["auto"],
    BeforeValidator(_read_auto),
    PlainSerializer(_print_auto, return_type=str, when_used="json"),
]
"""Seconds, or `auto`: follows from the zone."""


def _print_period(value: int | Literal["never"]) -> str:
    return format_duration(value) if isinstance(value, int) else value


def _read_period(value: object) -> object:
    if value == NEVER:
        return value
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or {NEVER}") from error


Period = Annotated[
    int | Literal["never"],
    BeforeValidator(_read_period),
    PlainSerializer(_print_period, return_type=str, when_used="json"),
]
"""Seconds, or `never`: only on command."""


class KskRollover(StrEnum):
    """Where the next KSK comes from."""

    NEW_KEY = "new-key"  # another key of the KMS
    NEW_VERSION = "new-version"  # the same key of the KMS, rotated


class Policy(Section):
    """How the zones that name this policy are signed, and how their keys are replaced."""

    signed: bool = True
    parent_ds: bool = True
    denial: Annotated[Denial, Field(strict=False)] = Denial.NSEC3
    key_type: Annotated[SigningKeyType, Field(strict=False)] = SigningKeyType.ECDSA_P256
    signature_validity: AutoDuration = AUTO
    refresh_margin: AutoDuration = AUTO
    inception_offset: Annotated[Duration, Field(ge=0, le=30 * DAY)] = 3600
    dnskey_ttl: Annotated[Duration, Field(ge=1, le=30 * DAY)] = 3600
    cds: Annotated[CdsPublication, Field(strict=False)] = CdsPublication.ALWAYS
    signal: bool = False
    serial: Annotated[SerialPolicy, Field(strict=False)] = SerialPolicy.UNIXTIME
    csk: bool = False
    zsk_period: Period = 90 * DAY
    ksk_period: Period = NEVER
    ksk_rollover: Annotated[KskRollover, Field(strict=False)] = KskRollover.NEW_KEY
    propagation: Annotated[Duration, Field(ge=0, le=30 * DAY)] = 3600
    parent_propagation: Annotated[Duration, Field(ge=0, le=30 * DAY)] = 3600
    parent_lag: Annotated[Duration, Field(ge=0, le=90 * DAY)] = 7 * DAY
    steps: Mapping[Annotated[Step, Field(strict=False)], Annotated[Mode, Field(strict=False)]] = Field(
        default_factory=dict[Step, Mode]
    )

    @field_validator("steps", mode="before")
    @classmethod
    def _take_nothing_as_none(cls, value: object) -> object:
        return {} if value is None else value

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        """Refuse what no zone can be signed with; what depends on the zone is in `resolve_times`."""
        problems: list[tuple[tuple[str | int, ...], str]] = []
        validity, margin = self.signature_validity, self.refresh_margin
        if self.steps.get(Step.CONFIRM, Mode.AUTO) is not Mode.AUTO:
            reason = "nothing is done in this step, so that nothing could be held; say it of 'withdraw'"
            problems.append((("steps", "confirm"), reason))
        if self.signal and self.cds is CdsPublication.NEVER:
            problems.append((("signal",), "there is nothing to signal with `cds: never`"))
        if isinstance(margin, int) and margin <= self.dnskey_ttl:
            problems.append(
                (
                    ("refresh_margin",),
                    f"{format_duration(margin)} is not larger than dnskey_ttl "
                    f"({format_duration(self.dnskey_ttl)}): caches would keep expired signatures",
                )
            )
        if isinstance(validity, int):
            if isinstance(margin, int) and validity <= margin:
                problems.append(
                    (
                        ("signature_validity",),
                        f"{format_duration(validity)} is not larger than refresh_margin "
                        f"({format_duration(margin)}): every signature would be due as soon as it is made",
                    )
                )
            elif margin == AUTO and validity <= MIN_AUTO_MARGIN:
                problems.append(
                    (
                        ("signature_validity",),
                        f"{format_duration(validity)} is not larger than the smallest automatic "
                        f"refresh_margin ({format_duration(MIN_AUTO_MARGIN)}); state a refresh_margin",
                    )
                )
            if self.inception_offset >= validity:
                problems.append(
                    (
                        ("inception_offset",),
                        f"{format_duration(self.inception_offset)} is not smaller than signature_validity "
                        f"({format_duration(validity)})",
                    )
                )
        # RFC 7583, section 3.2.1: the new key is published for so long before it signs, the old one after.
        shortest = 2 * (self.propagation + self.dnskey_ttl)
        for option, period in (("zsk_period", self.zsk_period), ("ksk_period", self.ksk_period)):
            if isinstance(period, int) and period <= shortest:
                problems.append(
                    (
                        (option,),
                        f"{format_duration(period)} is not larger than twice propagation + dnskey_ttl "
                        f"({format_duration(shortest)}): a key would be due before the one before it is gone",
                    )
                )
        if problems:
            raise impossible(problems)
        return self
