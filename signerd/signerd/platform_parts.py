"""What the admin API asks, answered as soon as the KMS and its database are open."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Connection

from signerd.api import platform_parts as parts
from signerd.api.access import Identity, Presented
from signerd.api.application import AdminParts
from signerd.api.dns_backend import DnsBackend
from signerd.api.dnssec_endpoints import DnssecBackend, find_place
from signerd.api.errors import PartNotAvailable
from signerd.api.health import Readiness
from signerd.api.kms_backend import KmsBackend, ignore_event
from signerd.api.kms_summary import KmsSummary
from signerd.api.platform_backend import PlatformBackend
from signerd.api.secret_backend import SecretsBackend
from signerd.clock import Clock
from signerd.config.options import Kms
from signerd.custody import Custody, CustodyHolder, CustodyUnavailable
from signerd.dns_zones.publisher import ServedZones
from signerd.dnssec_desk import DnssecDesk
from signerd.platform.audit_search import AuditFilter, AuditPage
from signerd.platform.client_certificate import CertifiedIdentity
from signerd.platform.contents import count_project_contents
from signerd.platform.gate import Gate
from signerd.platform.https_fetch import HttpsFetcher
from signerd.platform.issuer_keys import IssuerKeys
from signerd.platform.principal import Organisation, Project, TokenScope
from signerd.platform.request_record import RequestRecord
from signerd.platform.rights import Rights
from signerd.platform.token_service import TokenService
from signerd_secrets.secrets_manager import SecretsManager


class PlatformParts:
    """Hands each call on to the platform's parts; a 503 as long as there are none."""

    def __init__(
        self,
        holder: CustodyHolder,
        clock: Clock,
        options: Kms,
        served: ServedZones,
        dnssec: DnssecDesk,
        certified: Sequence[CertifiedIdentity] = (),
        note_event: Callable[[str, str], None] = ignore_event,
    ) -> None:
        self._certified = certified
        self._note_event = note_event
        self._dnssec = dnssec
        self._served = served
        self._holder = holder
        self._clock = clock
        self._issuer_keys = IssuerKeys(HttpsFetcher(), clock.now)
        self._options = options

    def _open_custody(self) -> Custody:
        try:
            return self._holder.custody
        except CustodyUnavailable as error:
            raise PartNotAvailable("the KMS is not available") from error

    def _open(self) -> parts.PlatformParts:
        custody = self._open_custody()
        return parts.PlatformParts(custody.store, custody.kms, custody.derive_pepper, self._certified)

    def require_open(self) -> None:
        """Do nothing while keys can be used."""
        self._open().require_open()

    def hold(self) -> AbstractContextManager[object]:
        """Read with one connection until the block ends or the thread writes."""
        return self._open().hold()

    def authenticate(self, presented: Presented) -> Identity:
        """Say whose credential it is."""
        return self._open().authenticate(presented)

    def find_organisation(self, identity: Identity, name: str) -> Organisation:
        """Give an organisation of which the principal is a member."""
        return self._open().find_organisation(identity, name)

    def name_organisation(self, name: str) -> str | None:
        """Give the identity of an organisation, whoever asks."""
        return self._open().name_organisation(name)

    def find_project(self, identity: Identity, organisation: Organisation, name: str) -> Project:
        """Give a project of the organisation."""
        return self._open().find_project(identity, organisation, name)

    def read_gates(self, organisation: Organisation) -> Mapping[Gate, bool]:
        """Say which features are on."""
        return self._open().read_gates(organisation)

    def collect_rights(
        self, identity: Identity, organisation: Organisation, project: Project | None, needed: TokenScope
    ) -> Rights:
        """Give what the caller may do."""
        return self._open().collect_rights(identity, organisation, project, needed)

    def open_platform(self) -> PlatformBackend:
        """Give what the platform's calls work with."""
        custody = self._open_custody()
        tokens = TokenService(custody.store, custody.derive_pepper, self._issuer_keys)
        home = custody.platform.organisation, custody.platform.region
        return PlatformBackend(custody.store, custody.derive_pepper, count_project_contents, tokens, home)

    def open_kms(self) -> KmsBackend:
        """Give what the KMS's calls work with."""
        custody = self._open_custody()
        return KmsBackend(
            custody.kms,
            custody.store,
            is_sha1_import_allowed=self._options.import_sha1,
            needs_export_approval=self._options.export_approval,
            note_event=self._note_event,
        )

    def open_secrets(self) -> SecretsBackend:
        """Give what the calls on secrets work with."""
        custody = self._open_custody()
        manager = SecretsManager(custody.kms.custodian.store, custody.kms)
        return SecretsBackend(manager, custody.kms, custody.store)

    def open_dns(self) -> DnsBackend:
        """Give what the calls about zones work with."""
        custody = self._open_custody()
        return DnsBackend(custody.store, self._served, custody.platform.organisation)

    def open_dnssec(self) -> DnssecBackend:
        """Give what the calls about DNSSEC work with."""
        self._open_custody()
        return DnssecBackend(
            self._dnssec.open(),
            lambda call, verb, of_files: find_place(self.open_dns(), call, verb, of_files),
            self._dnssec.open_file_zones(),
        )

    def summarise(self, organisation: Organisation, project: Project | None) -> KmsSummary:
        """Count keys in each region."""
        return self._open().summarise(organisation, project)

    def record_request(self, record: RequestRecord) -> None:
        """Store the audit entry of a request."""
        self._open_custody().requests.record_request(record)

    def append_request(self, connection: Connection, record: RequestRecord) -> None:
        """Store the audit entry of a request in a transaction of its handler."""
        self._open_custody().requests.append_request(connection, record)

    def search_audit(self, organisation: str, wanted: AuditFilter, *, page: int, limit: int) -> AuditPage:
        """Find entries of an organisation's audit log."""
        return self._open().search_audit(organisation, wanted, page=page, limit=limit)


def make_admin_parts(
    holder: CustodyHolder,
    clock: Clock,
    options: Kms,
    readiness: Readiness,
    served: ServedZones,
    dnssec: DnssecDesk,
    certified: Sequence[CertifiedIdentity] = (),
    note_event: Callable[[str, str], None] = ignore_event,
) -> AdminParts:
    """Join what the API needs."""
    parts = PlatformParts(holder, clock, options, served, dnssec, certified, note_event)
    return AdminParts(
        access=parts,
        audit=parts,
        readiness=readiness,
        kms_summary=parts,
        audit_log=parts,
        platform=parts.open_platform,
        kms=parts.open_kms,
        secrets=parts.open_secrets,
        dns=parts.open_dns,
        now=clock.now,
        dnssec=parts.open_dnssec,
    )
