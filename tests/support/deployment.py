"""A deployment at its first start, without a process of its own: database, KMS, platform, API."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from fresh_database import make_database
from signerd.api.application import AdminParts
from signerd.api.dns_backend import DnsBackend
from signerd.api.kms_backend import KmsBackend
from signerd.api.platform_backend import PlatformBackend
from signerd.api.platform_parts import PlatformParts
from signerd.api.secret_backend import SecretsBackend
from signerd.dns.name import Name, parse_name
from signerd.dns_zones.apex import ApexDefaults
from signerd.dns_zones.publisher import FileZone, ServedZone, ServedZones
from signerd.platform.audit_log import AuditLog
from signerd.platform.bootstrap import FirstNames, Platform, bootstrap
from signerd.platform.change import PlatformStore
from signerd.platform.contents import count_project_contents
from signerd.platform.denial_limit import DenialLimit
from signerd.platform.https_fetch import FetchFailed
from signerd.platform.issuer_keys import IssuerKeys
from signerd.platform.request_log import RequestLog
from signerd.platform.token_service import TokenService
from signerd_kms.kms import Kms
from signerd_kms.root_key import Label
from signerd_kms.seals.key_file import FileSeal
from signerd_kms.wrapping import LiveKey
from signerd_secrets.secrets_manager import SecretsManager

NAMES = FirstNames("Local Test", "nl-01", "Amsterdam", "Ada", "ada@example.com")


APEX = ApexDefaults((parse_name("ns1.nl-01.test."), parse_name("ns2.nl-01.test.")))


@dataclass
class SettableClock:
    """A clock that stands until a test moves it."""

    seconds: int = 1_800_000_000

    def now(self) -> int:
        return self.seconds


@dataclass
class NotedPublisher:
    """Serves nothing; notes what it is told.

    Attributes:
        published: Identity and data version of each change.
        withdrawn: Zones deleted.
        files: Zones of files.
    """

    published: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    withdrawn: list[Name] = field(default_factory=list[Name])
    files: list[FileZone] = field(default_factory=list[FileZone])
    served: dict[Name, ServedZone] = field(default_factory=dict[Name, ServedZone])

    def publish(self, apex: Name, identity: str, data_version: int) -> None:
        self.published.append((identity, data_version))

    def withdraw(self, apex: Name) -> None:
        self.withdrawn.append(apex)

    def find_served(self, apex: Name, identity: str) -> ServedZone | None:
        del identity
        return self.served.get(apex)

    def list_file_zones(self) -> list[FileZone]:
        return self.files


@dataclass
class Deployment:
    """The parts, and what the first start made."""

    engine: Engine
    clock: SettableClock
    kms: Kms
    store: PlatformStore
    requests: RequestLog
    parts: PlatformParts
    platform: Platform
    token: str
    documents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    fetched: list[str] = field(default_factory=list[str])
    issuer_keys: IssuerKeys = field(init=False)
    reasons: list[str] = field(default_factory=list[str])
    publisher: NotedPublisher = field(default_factory=lambda: NotedPublisher())
    apex: ApexDefaults = APEX

    def __post_init__(self) -> None:
        self.issuer_keys = IssuerKeys(self.fetch, self.clock.now)

    def fetch(self, url: str) -> bytes:
        """Stand in for the Internet."""
        self.fetched.append(url)
        if url not in self.documents:
            raise FetchFailed(f"{url} is not there")
        return self.documents[url]

    def list_reasons(self) -> list[str]:
        return self.reasons

    def pepper(self) -> LiveKey:
        return self.kms.derive_key(Label.TOKEN_PEPPER)

    def open_platform(self) -> PlatformBackend:
        tokens = TokenService(self.store, self.pepper, self.issuer_keys)
        home = self.platform.organisation, self.platform.region
        return PlatformBackend(self.store, self.pepper, count_project_contents, tokens, home)

    def open_kms(self) -> KmsBackend:
        return KmsBackend(self.kms, self.store)

    def open_dns(self) -> DnsBackend:
        return DnsBackend(self.store, ServedZones(self.publisher, self.apex), self.platform.organisation)

    def open_secrets(self) -> SecretsBackend:
        return SecretsBackend(SecretsManager(self.kms.custodian.store, self.kms), self.kms, self.store)

    @property
    def admin_parts(self) -> AdminParts:
        return AdminParts(
            access=self.parts,
            audit=self.requests,
            readiness=self,
            kms_summary=self.parts,
            audit_log=self.parts,
            platform=self.open_platform,
            kms=self.open_kms,
            secrets=self.open_secrets,
            dns=self.open_dns,
            now=self.clock.now,
        )


@contextmanager
def make_deployment(directory: Path) -> Generator[Deployment]:
    """Start for the first time in a fresh directory."""
    clock = SettableClock()
    engine = make_database(directory / "signerd.db")
    audit = AuditLog()
    kms = Kms.open(engine, FileSeal(directory / "root.key"), clock, audit)

    def pepper() -> LiveKey:
        return kms.derive_key(Label.TOKEN_PEPPER)

    store = PlatformStore(kms.custodian.store)
    tokens: list[str] = []
    platform = bootstrap(store, NAMES, pepper=pepper, deliver_token=tokens.append)
    requests = RequestLog(kms.custodian.store, audit, clock, DenialLimit(60))
    parts = PlatformParts(store, kms, pepper)
    yield Deployment(engine, clock, kms, store, requests, parts, platform, tokens[0])
    engine.dispose()
