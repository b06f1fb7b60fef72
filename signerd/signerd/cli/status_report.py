"""The reply to `status`, and the same made from the state directory when the server does not run."""

import time

from pydantic import BaseModel, ConfigDict, ValidationError

from signerd.cli.command_errors import CommandFailed
from signerd.cli.published_zones import list_published
from signerd.config.state_directory import StateDirectory
from signerd.delegation.delegation_key import read_key
from signerd.dns import rdatatype as rt
from signerd.dns.zone import Zone
from signerd.zones.publication import PublicationReader
from signerd.zones.zone_list import format_zone_name

_EXPIRATION = slice(8, 12)  # of RRSIG RDATA (RFC 4034, section 3.1)


class _Part(BaseModel):
    """A part of the reply; what a newer server adds is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class KeyStatus(_Part):
    """One key of a zone."""

    role: str
    tag: int
    algorithm: int
    kms_key: str | None = None


class KeyChangeStatus(_Part):
    """How the replacement of keys of one zone stands."""

    sentence: str
    problem: str | None = None
    is_changing: bool = False
    needs_person: bool = False
    looks_again_at: float | None = None


class ParentNoticeStatus(_Part):
    """What the parent of a zone was told of its CDS (RFC 9859); times are seconds since 1970, UTC."""

    changed_at: float
    next_at: float | None = None
    attempts: int = 0
    tried_at: float | None = None
    result: str | None = None
    endpoint: str | None = None
    detail: str | None = None
    dsync_validated: bool | None = None


class ZoneStatus(_Part):
    """One zone; times are seconds since 1970, UTC."""

    name: str
    state: str = "unknown"
    serial: int | None = None
    source_serial: int | None = None
    policy: str | None = None
    signed: bool | int | str | None = None
    records: int | None = None
    keys: tuple[KeyStatus, ...] = ()
    key_changes: KeyChangeStatus | None = None
    parent_notice: ParentNoticeStatus | None = None
    runway_seconds: float | None = None
    expires_at: float | None = None
    next_refresh_at: float | None = None
    last_error: str | None = None
    notices: tuple[str, ...] = ()
    served_by: int | list[int] | None = None  # how many responders, or which


class ResponderStatus(_Part):
    """One responder process."""

    pid: int
    alive: bool = True
    queries: int | None = None
    restarts: int = 0
    loaded: int | dict[str, int] | None = None  # how many zones, or their serials


class SealStatus(_Part):
    """One seal of the KMS."""

    id: str
    kind: str | None = None  # None: not configured
    configured: bool = True
    holds_root_key: bool | None = None  # None: not known while the KMS cannot be read
    root_generation: int | None = None
    wrapped_at: float | None = None
    is_asked: bool = False  # whether people are asked for what opens it

    @property
    def has_passphrase(self) -> bool:
        """Say if it opens with a passphrase, or with a PIN that is asked for."""
        return self.is_asked or self.kind == "passphrase"

    @property
    def secret_name(self) -> str:
        """Name what people are asked for."""
        return "PIN of the token" if self.kind == "pkcs11" else "Passphrase"


class KmsStatus(_Part):
    """The KMS."""

    state: str
    reason: str | None = None
    seals: tuple[SealStatus, ...] = ()
    needs_rewrap: bool = False
    progress: dict[str, int | str] | None = None


class AlarmStatus(_Part):
    """Something that is wrong."""

    code: str
    text: str
    zone: str | None = None
    who: str | None = None
    since: float
    age_seconds: float = 0
    source: str = ""


class StatusReport(_Part):
    """The whole."""

    running: bool = True
    zones: tuple[ZoneStatus, ...] = ()
    responders: tuple[ResponderStatus, ...] = ()
    started_at: float | None = None
    addresses: tuple[str, ...] = ()
    admin: str | None = None
    kms: KmsStatus | None = None
    alarms: tuple[AlarmStatus, ...] = ()


class AlarmList(_Part):
    """All that is wrong."""

    alarms: tuple[AlarmStatus, ...]


def read_report(reply: dict[str, object]) -> StatusReport:
    """Read the server's reply.

    Raises:
        CommandFailed: It is not of the form that this version knows.
    """
    try:
        return StatusReport.model_validate(reply)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise CommandFailed(f"the server's reply is not understood: {place}: {first['msg']}") from error


def report_published(state: StateDirectory) -> StatusReport:
    """Describe what is published, without a running server.

    Raises:
        CommandFailed: The state directory holds no server's state.
    """
    now = int(time.time())
    zones: list[ZoneStatus] = []
    for entry in list_published(state):
        name = format_zone_name(entry.name)
        loaded = PublicationReader(state.published / entry.directory).load()
        if loaded.zone is None:
            zones.append(ZoneStatus(name=name, state="unpublished", notices=loaded.problems))
        else:
            zones.append(_describe_zone(name, loaded.zone, loaded.problems, now))
    return StatusReport(running=False, zones=tuple(zones))


def _describe_zone(name: str, zone: Zone, problems: tuple[str, ...], now: int) -> ZoneStatus:
    expires_at = find_first_expiration(zone, now)
    dnskeys = zone.names[zone.origin].get(rt.DNSKEY)
    keys = [read_key(rdata) for rdata in dnskeys.rdatas] if dnskeys else []
    return ZoneStatus(
        name=name,
        state="published" if expires_at is None or expires_at > now else "expired",
        serial=zone.serial,
        records=sum(len(rrset.rdatas) + len(rrset.signatures) for rrset in zone.iterate_rrsets()),
        keys=tuple(
            KeyStatus(
                role="ksk" if key.is_secure_entry_point else "zsk", tag=key.key_tag, algorithm=key.algorithm
            )
            for key in sorted(keys, key=lambda key: not key.is_secure_entry_point)
        ),
        expires_at=expires_at,
        runway_seconds=None if expires_at is None else max(0, expires_at - now),
        notices=problems,
    )


def find_first_expiration(zone: Zone, now: int) -> int | None:
    """Give the time at which the first signature of a zone expires; None for a zone without signatures.

    The 32 bits in the RRSIG stand for the time nearest to now (RFC 4034, section 3.1.5).
    """
    distances = [
        (int.from_bytes(signature[_EXPIRATION]) - now + 2**31) % 2**32 - 2**31
        for rrset in zone.iterate_rrsets()
        for signature in rrset.signatures
    ]
    return now + min(distances) if distances else None
