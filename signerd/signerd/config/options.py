"""Every option of the server, with its default. `config/signerd.yaml` says the same with comments."""

import ipaddress
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self, cast

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, field_validator, model_validator

from signerd.config.alarm_options import Alarms
from signerd.config.policy import Policy
from signerd.config.seal_options import SealOptions, find_repeated_seals
from signerd.config.section import Address, Duration, Interval, Section, Size, Text, impossible
from signerd.config.spelling import suggest
from signerd.config.webhook_options import WebhookOptions, find_repeated_webhooks
from signerd.control.listen_address import ListenAddress
from signerd.dns.name import BadName, Name, fold_case, format_name, parse_name
from signerd_kms.slug import make_slug

DEFAULT_POLICY: Final = "default"  # always exists
DEFAULT_LISTEN: Final = (ListenAddress("127.0.0.1", 5300), ListenAddress("::1", 5300))
DEFAULT_NAME_SERVER: Final = "ns1.invalid"  # RFC 6761, section 6.4: nobody can take it for a real one
MAX_ZONES: Final = 100_000
EMAIL_PATTERN: Final = r"^([^@\s]{1,128}@[^@\s]{1,125})?$"
SLUG_PATTERN: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"


def _parse_network(value: object) -> object:
    if isinstance(value, str):
        try:
            return ipaddress.ip_network(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is no address or network, such as 192.0.2.0/24") from error
    return value


ProxyNetwork = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network,
    BeforeValidator(_parse_network),
    PlainSerializer(str, return_type=str, when_used="json"),
]
StatedPath = Annotated[Path, Field(strict=False)]
Slug = Annotated[str, Field(pattern=SLUG_PATTERN, max_length=63)]


class Responders(Section):
    """The processes that answer queries."""

    count: Annotated[int, Field(ge=1, le=256)] | None = None
    edns_udp_size: Annotated[int, Field(ge=512, le=4096)] = 1232
    answer_cache_size: Annotated[Size, Field(le=1 << 40)] = 32 << 20
    identity: Text | None = None
    version: Text | None = None
    nsid: Text | None = None


class Tcp(Section):
    """Queries over TCP (RFC 7766); limits are for each responder process."""

    idle_timeout: Annotated[Interval, Field(ge=0.1, le=600)] = 10.0
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 100
    query_limit: Annotated[int, Field(ge=1, le=2**31 - 1)] = 100_000


class RequestRates(Section):
    """Requests a second that a caller may make for long; twice as many at once."""

    address: Annotated[int, Field(ge=1, le=1_000_000)] = 2000
    credential: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    organisation: Annotated[int, Field(ge=1, le=1_000_000)] = 4000
    expensive: Annotated[int, Field(ge=1, le=1_000_000)] = 200


class ClientIdentity(Section):
    """Whom a client's certificate speaks for."""

    name: Annotated[str, Field(pattern=r"^(dns|uri|email):[!-~]{1,1024}$")] | None = None
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    user: Text | None = None
    service_account: Text | None = None
    organisation: Text | None = None

    @model_validator(mode="after")
    def _need_one_of_each(self) -> Self:
        problems: list[tuple[tuple[str | int, ...], str]] = []
        if (self.name is None) == (self.fingerprint is None):
            problems.append((("name",), "either a name or a fingerprint must be stated"))
        if (self.user is None) == (self.service_account is None):
            problems.append((("user",), "either a user or a service_account must be stated"))
        if (self.service_account is None) != (self.organisation is None):
            problems.append((("organisation",), "goes together with service_account"))
        if problems:
            raise impossible(problems)
        return self


class Admin(Section):
    """The HTTP API of the operator."""

    listen: Address = ListenAddress("127.0.0.1", 8053)
    socket: StatedPath | None = None
    certificate: StatedPath | None = None
    key: StatedPath | None = None
    client_authorities: StatedPath | None = None
    client_identities: Annotated[tuple[ClientIdentity, ...], Field(strict=False, max_length=10_000)] = ()
    trusted_proxies: Annotated[tuple[ProxyNetwork, ...], Field(strict=False, max_length=256)] = ()
    idle_timeout: Annotated[Interval, Field(ge=1, le=3600)] = 60.0
    header_timeout: Annotated[Interval, Field(ge=0.1, le=600)] = 10.0
    write_timeout: Annotated[Interval, Field(ge=1, le=600)] = 30.0
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 200
    rates: RequestRates = RequestRates()
    metrics_token: StatedPath | None = None

    @model_validator(mode="after")
    def _need_encryption_beyond_this_machine(self) -> Self:
        problems: list[tuple[tuple[str | int, ...], str]] = []
        if (self.certificate is None) != (self.key is None):
            missing = "key" if self.key is None else "certificate"
            problems.append(((missing,), "must be stated: a certificate and its key go together"))
        elif self.certificate is None and not ipaddress.ip_address(self.listen.host).is_loopback:
            problems.append(
                (
                    ("listen",),
                    f"{self.listen} is not on the loopback: without certificate and key, tokens and "
                    "plaintexts would go over the network in the clear",
                )
            )
        if self.client_authorities is not None and self.certificate is None:
            problems.append((("client_authorities",), "needs a certificate of the server's own"))
        if self.client_identities and self.client_authorities is None:
            problems.append((("client_identities",), "needs client_authorities, who vouch for certificates"))
        if problems:
            raise impossible(problems)
        return self


class Organisation(Section):
    """The owner of the keys, as the API shows it; its slug follows from its name."""

    name: Text = "Local"

    @field_validator("name")
    @classmethod
    def _need_slug(cls, name: str) -> str:
        if not make_slug(name):
            raise ValueError(f"{name!r} needs an ASCII letter or digit")
        return name


class Region(Section):
    """The place of the keys, as the API shows it."""

    name: Text = "Local"
    slug: Slug = "local"


class Administrator(Section):
    """The first user, who owns the organisation and whose token the first start makes."""

    name: Text = "Administrator"
    email: Annotated[str, Field(pattern=EMAIL_PATTERN, max_length=255)] = ""


class Audit(Section):
    """The audit log: its checkpoints, and how long entries are kept."""

    checkpoint_file: StatedPath | None = None
    checkpoint_interval: Annotated[Duration, Field(ge=1, le=86400)] = 60
    checkpoint_entries: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    retention: Annotated[Duration, Field(ge=3600)] | None = None
    denials_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60


class Kms(Section):
    """Keys and their use."""

    care_interval: Annotated[Interval, Field(ge=1, le=86400)] = 3600.0
    import_sha1: bool = False
    export_approval: bool = False
    ready_rsa_keys: Annotated[int, Field(ge=0, le=64)] = 1


class DnssecOrder(StrEnum):
    """What comes first when DNSSEC is turned on over the API."""

    SIGN_FIRST = "sign-first"
    VENDOR = "vendor"


ParentServers = Annotated[tuple[Address, ...], Field(strict=False, min_length=1, max_length=64)]


class Dnssec(Section):
    """How DNSSEC of zones is looked after: signatures made ahead, and what is asked of their parents."""

    order: Annotated[DnssecOrder, Field(strict=False)] = DnssecOrder.SIGN_FIRST
    key_signature_runway: Annotated[Duration, Field(ge=0, le=90 * 86400)] = 15 * 86400
    probe_interval: Annotated[Interval, Field(ge=1, le=86400)] = 3600.0
    waiting_probe_interval: Annotated[Interval, Field(ge=1, le=86400)] = 60.0
    probe_jitter: Annotated[float, Field(strict=False, ge=0, le=0.5)] = 0.1
    probe_timeout: Annotated[Interval, Field(ge=0.1, le=60)] = 3.0
    probe_attempts: Annotated[int, Field(ge=1, le=10)] = 2
    resolvers: Annotated[tuple[Address, ...], Field(strict=False, max_length=16)] = ()
    notify_parent: bool = True
    notify_delay: Annotated[Duration, Field(ge=0, le=7 * 86400)] = 30
    notify_networks: Annotated[tuple[ProxyNetwork, ...], Field(strict=False, max_length=256)] = ()
    parents: Mapping[str, ParentServers] = Field(default_factory=dict[str, ParentServers])

    @field_validator("parents", mode="before")
    @classmethod
    def _take_nothing_as_none(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("parents")
    @classmethod
    def _read_names(
        cls, parents: Mapping[str, tuple[ListenAddress, ...]]
    ) -> Mapping[str, tuple[ListenAddress, ...]]:
        """Bring zone names to one form: lower case, with the final dot."""
        read: dict[str, tuple[ListenAddress, ...]] = {}
        for text, servers in parents.items():
            try:
                name = format_name(fold_case(parse_name(text if text.endswith(".") else text + ".")))
            except BadName as error:
                raise impossible([((text,), str(error))]) from error
            read[name] = servers
        return read


class ZoneDefaults(Section):
    """What holds for a zone that does not say otherwise, and for all that are only files in the directory."""

    policy: str = DEFAULT_POLICY


class ApiZones(Section):
    """What zones of the API have besides their records. Times are for their SOA and NS."""

    policy: str = DEFAULT_POLICY
    name_servers: Annotated[tuple[Text, ...], Field(strict=False, min_length=1, max_length=13)] = (
        DEFAULT_NAME_SERVER,
    )
    mailbox: Text | None = None
    ttl: Annotated[Duration, Field(ge=1, le=7 * 86400)] = 3600
    refresh: Annotated[Duration, Field(ge=60, le=7 * 86400)] = 7200
    retry: Annotated[Duration, Field(ge=60, le=7 * 86400)] = 900
    expire: Annotated[Duration, Field(ge=3600, le=90 * 86400)] = 14 * 86400
    minimum: Annotated[Duration, Field(ge=1, le=86400)] = 300

    @field_validator("name_servers")
    @classmethod
    def _check_names(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        problems = [
            ((index,), reason) for index, text in enumerate(texts) if (reason := _explain_bad_name(text))
        ]
        if problems:
            raise impossible(problems)
        return texts

    @field_validator("mailbox")
    @classmethod
    def _check_mailbox(cls, text: str | None) -> str | None:
        if text is not None and (reason := _explain_bad_name(text.replace("@", ".", 1))) is not None:
            raise ValueError(reason)
        return text

    @property
    def is_placeholder(self) -> bool:
        """Whether zones get a name server that does not exist, because none is configured."""
        return DEFAULT_NAME_SERVER in self.name_servers

    def list_name_servers(self) -> tuple[Name, ...]:
        """Give the name servers in wire form."""
        return tuple(_read_name(text) for text in self.name_servers)

    def find_mailbox(self) -> Name | None:
        """Give the mailbox in wire form; None for one in each zone."""
        return None if self.mailbox is None else _read_name(self.mailbox.replace("@", ".", 1))


def _read_name(text: str) -> Name:
    return fold_case(parse_name(text if text.endswith(".") else text + "."))


def _explain_bad_name(text: str) -> str | None:
    try:
        _read_name(text)
    except BadName as error:
        return str(error)
    return None


class ZoneOptions(Section):
    """One zone: where its file is and how it is signed."""

    name: str
    file: StatedPath | None = None
    policy: str | None = None
    kms_key: Text | None = None

    @field_validator("name")
    @classmethod
    def _read_name(cls, text: str) -> str:
        """Bring a zone name to one form: lower case, absolute, escapes as printed by this program."""
        if not text:
            raise ValueError("empty name; the root zone is '.'")
        try:
            return format_name(fold_case(parse_name(text if text.endswith(".") else text + ".")))
        except BadName as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _need_file_for_slash(self) -> Self:
        if self.file is None and "/" in self.name:  # RFC 2317 zones
            raise impossible([(("file",), f"must be stated: {self.name} cannot be the name of a file")])
        return self

    @property
    def origin(self) -> Name:
        """The apex."""
        return fold_case(parse_name(self.name))


class Clock(Section):
    """When the clock is believed."""

    max_jump: Annotated[Duration, Field(ge=60)] = 3600
    backward_tolerance: Annotated[Duration, Field(ge=0)] = 5


class Limits(Section):
    """What a zone file may ask for."""

    generate: Annotated[int, Field(ge=0, le=100_000_000)] = 65_536
    records: Annotated[int, Field(ge=1, le=1_000_000_000)] = 10_000_000
    include_depth: Annotated[int, Field(ge=0, le=100)] = 8
    file_size: Annotated[Size, Field(ge=1)] = 1 << 30
    deletion_percent: Annotated[int, Field(ge=0, le=100)] = 30


class LogLevel(StrEnum):
    """The least important messages that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """What a log line looks like."""

    CONSOLE = "console"
    JSON = "json"


class Log(Section):
    """Messages on standard error."""

    level: Annotated[LogLevel, Field(strict=False)] = LogLevel.INFO
    format: Annotated[LogFormat, Field(strict=False)] = LogFormat.CONSOLE


class Config(Section):
    """All options."""

    zone_directory: StatedPath = Path("zones")
    state_directory: StatedPath = Path("state")
    listen: Annotated[tuple[Address, ...], Field(strict=False, min_length=1, max_length=256)] = DEFAULT_LISTEN
    responders: Responders = Responders()
    tcp: Tcp = Tcp()
    admin: Admin = Admin()
    organisation: Organisation = Organisation()
    region: Region = Region()
    administrator: Administrator = Administrator()
    seals: Annotated[tuple[SealOptions, ...], Field(strict=False, min_length=1, max_length=16)] = (
        SealOptions(),
    )
    audit: Audit = Audit()
    alarms: Alarms = Alarms()
    webhooks: Annotated[tuple[WebhookOptions, ...], Field(strict=False, max_length=32)] = ()
    kms: Kms = Kms()
    dnssec: Dnssec = Dnssec()
    policies: Mapping[str, Policy] = Field(default_factory=lambda: {DEFAULT_POLICY: Policy()})
    zone_defaults: ZoneDefaults = ZoneDefaults()
    api_zones: ApiZones = ApiZones()
    zones: Annotated[tuple[ZoneOptions, ...], Field(strict=False, max_length=MAX_ZONES)] = ()
    watch_interval: Annotated[Interval, Field(ge=0.05, le=86400)] = 1.0
    clock: Clock = Clock()
    limits: Limits = Limits()
    log: Log = Log()

    @field_validator("policies", "zones", "seals", "webhooks", mode="before")
    @classmethod
    def _take_empty_as_default(cls, value: object, info: ValidationInfo) -> object:
        """Read a key with nothing below it as the default."""
        if value is None and info.field_name is not None:
            return cls.model_fields[info.field_name].get_default(call_default_factory=True)
        return value

    @field_validator("listen")
    @classmethod
    def _refuse_repeated_addresses(cls, addresses: tuple[ListenAddress, ...]) -> tuple[ListenAddress, ...]:
        problems: list[tuple[tuple[str | int, ...], str]] = []
        for index, address in enumerate(addresses):
            if address.port and address in addresses[:index]:
                problems.append(((index,), f"{address} is listed twice"))
        if problems:
            raise impossible(problems)
        return addresses

    @field_validator("seals")
    @classmethod
    def _refuse_repeated_seals(cls, seals: tuple[SealOptions, ...]) -> tuple[SealOptions, ...]:
        if problems := find_repeated_seals(seals):
            raise impossible(problems)
        return seals

    @field_validator("webhooks")
    @classmethod
    def _refuse_repeated_webhooks(cls, webhooks: tuple[WebhookOptions, ...]) -> tuple[WebhookOptions, ...]:
        if problems := find_repeated_webhooks(webhooks):
            raise impossible(problems)
        return webhooks

    @field_validator("policies")
    @classmethod
    def _add_default_policy(cls, policies: Mapping[str, Policy]) -> Mapping[str, Policy]:
        for name in policies:
            if not name or len(name) > 63 or not name.isprintable():
                raise impossible([((name,), "a policy's name has 1 to 63 printable characters")])
        return {DEFAULT_POLICY: Policy()} | dict(policies)

    @field_validator("zone_defaults")
    @classmethod
    def _check_default_policy(cls, defaults: ZoneDefaults, info: ValidationInfo) -> ZoneDefaults:
        if (reason := _explain_unknown_policy(defaults.policy, info)) is not None:
            raise impossible([(("policy",), reason)])
        return defaults

    @field_validator("api_zones")
    @classmethod
    def _check_api_policy(cls, options: ApiZones, info: ValidationInfo) -> ApiZones:
        if (reason := _explain_unknown_policy(options.policy, info)) is not None:
            raise impossible([(("policy",), reason)])
        return options

    @field_validator("zones")
    @classmethod
    def _check_zones(cls, zones: tuple[ZoneOptions, ...], info: ValidationInfo) -> tuple[ZoneOptions, ...]:
        problems: list[tuple[tuple[str | int, ...], str]] = []
        seen: dict[str, int] = {}
        for index, zone in enumerate(zones):
            first = seen.setdefault(zone.name, index)
            if first != index:
                problems.append(((index, "name"), f"zone {zone.name} is already listed as zones[{first}]"))
            if zone.policy is not None and (reason := _explain_unknown_policy(zone.policy, info)) is not None:
                problems.append(((index, "policy"), reason))
        if problems:
            raise impossible(problems)
        return zones

    @property
    def checkpoint_file(self) -> Path:
        """Where the newest checkpoints of the audit log are put."""
        return self.audit.checkpoint_file or self.state_directory / "audit.checkpoints"

    def may_skip(self, address: ListenAddress) -> bool:
        """Say if the server may start without an address: the IPv6 one that the operator did not choose."""
        return self.listen == DEFAULT_LISTEN and ":" in address.host


def _explain_unknown_policy(name: str, info: ValidationInfo) -> str | None:
    policies = cast("Mapping[str, Policy] | None", info.data.get("policies"))
    return None if policies is None else explain_unknown_policy(name, policies)  # None: themselves wrong


def explain_unknown_policy(name: str, known: Iterable[str]) -> str | None:
    """Say that there is no such policy; None if there is."""
    known = {DEFAULT_POLICY, *known}
    return None if name in known else f"there is no policy {name!r}{suggest(name, known)}"
