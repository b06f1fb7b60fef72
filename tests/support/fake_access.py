"""The parts that the API asks, as a test wants them."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from sqlalchemy import Connection

from signerd.api.access import Identity, Presented, TokenPresented
from signerd.api.dns_backend import DnsBackend
from signerd.api.errors import PartNotAvailable
from signerd.api.kms_backend import KmsBackend
from signerd.api.kms_summary import KmsSummary, RegionSummary
from signerd.api.platform_backend import PlatformBackend
from signerd.api.secret_backend import SecretsBackend
from signerd.platform.audit_search import AuditFilter, AuditPage
from signerd.platform.errors import CredentialRefused, OrganisationRefused, ProjectUnknown
from signerd.platform.gate import Gate
from signerd.platform.principal import (
    Credential,
    CredentialKind,
    Organisation,
    Principal,
    PrincipalKind,
    Project,
    TokenScope,
)
from signerd.platform.request_record import RequestRecord
from signerd.platform.rights import Rights
from signerd_kms.errors import Sealed

TOKEN = "tc_pat_for_tests"  # noqa: S105
ORGANISATION = Organisation("o-d9537foqog6c73bedc70", "Local", "local")
FOREIGN = Organisation("o-00000000000000000000", "Foreign", "foreign")
PROJECT = Project(ORGANISATION.identity, "prj-d9537foqog6c73bedc70", "One", "one")
REGION = RegionSummary("r-1", "Local", "nl-01", True, 4, 2, 1, 1)
ADMIN = Principal(PrincipalKind.USER, "admin", "admin", "admin@example.com")


@dataclass
class FakeAccess:
    """One user, one organisation, one project."""

    credential: Credential = Credential("c-1", CredentialKind.PERSONAL)  # noqa: RUF009  # frozen
    gates: Mapping[Gate, bool] = field(default_factory=lambda: dict.fromkeys(Gate, True))
    rights: Rights = field(default_factory=Rights.of_owner)
    is_sealed: bool = False

    def require_open(self) -> None:
        if self.is_sealed:
            raise Sealed("the KMS is sealed")

    def hold(self) -> AbstractContextManager[object]:
        return nullcontext()

    def authenticate(self, presented: Presented) -> Identity:
        if not isinstance(presented, TokenPresented) or presented.token != TOKEN:
            raise CredentialRefused
        return Identity(ADMIN, self.credential)

    def find_organisation(self, identity: Identity, name: str) -> Organisation:
        assert identity.principal == ADMIN
        if name not in (ORGANISATION.identity, ORGANISATION.slug):
            raise OrganisationRefused
        return ORGANISATION

    def name_organisation(self, name: str) -> str | None:
        for organisation in (ORGANISATION, FOREIGN):
            if name in (organisation.identity, organisation.slug):
                return organisation.identity
        return None

    def find_project(self, identity: Identity, organisation: Organisation, name: str) -> Project:
        assert organisation == ORGANISATION
        if name not in (PROJECT.identity, PROJECT.slug):
            raise ProjectUnknown
        return PROJECT

    def read_gates(self, organisation: Organisation) -> Mapping[Gate, bool]:
        assert organisation == ORGANISATION
        return self.gates

    def collect_rights(
        self, identity: Identity, organisation: Organisation, project: Project | None, needed: TokenScope
    ) -> Rights:
        assert organisation == ORGANISATION
        return self.rights


@dataclass
class FakeServer(FakeAccess):
    """All parts of the API."""

    reasons: list[str] = field(default_factory=list[str])
    summary: KmsSummary = KmsSummary(True, [REGION])  # noqa: RUF009  # frozen
    error: Exception | None = None
    records: list[RequestRecord] = field(default_factory=list[RequestRecord])
    audit_error: Exception | None = None

    def summarise(self, organisation: Organisation, project: Project | None) -> KmsSummary:
        assert organisation == ORGANISATION
        assert project in (None, PROJECT)
        if self.error is not None:
            raise self.error
        return self.summary

    def list_reasons(self) -> Sequence[str]:
        return self.reasons

    def record_request(self, record: RequestRecord) -> None:
        if self.audit_error is not None:
            raise self.audit_error
        self.records.append(record)

    def append_request(self, connection: Connection, record: RequestRecord) -> None:
        del connection
        self.record_request(record)

    def open_kms(self) -> KmsBackend:
        raise PartNotAvailable("this server has no KMS")

    def open_platform(self) -> PlatformBackend:
        raise PartNotAvailable("this server has no platform")

    def open_dns(self) -> DnsBackend:
        raise PartNotAvailable("this server has no zones")

    def open_secrets(self) -> SecretsBackend:
        raise PartNotAvailable("this server has no secrets")

    def search_audit(self, organisation: str, wanted: AuditFilter, *, page: int, limit: int) -> AuditPage:
        raise AssertionError(organisation, wanted, page, limit)
