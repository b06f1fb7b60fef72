"""The API's parts on top of the platform's tables and the KMS."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from signerd.api.access import CertificatePresented, Identity, PairPresented, Presented
from signerd.api.kms_summary import KmsSummary, RegionSummary
from signerd.platform.access_control import AccessControl, Caller
from signerd.platform.audit_search import AuditFilter, AuditPage, search_audit
from signerd.platform.change import PlatformStore
from signerd.platform.client_certificate import CertifiedIdentity
from signerd.platform.gate import Gate
from signerd.platform.principal import Organisation, Project, TokenScope
from signerd.platform.region import list_regions
from signerd.platform.rights import Rights
from signerd.platform.secret_text import Pepper
from signerd_kms.errors import Sealed
from signerd_kms.key import KeyStatus
from signerd_kms.state import State


class KeyCounter(Protocol):
    """Counts keys, and knows whether they can be used; the KMS does."""

    @property
    def state(self) -> State:
        """The state right now."""
        ...

    def count_keys(
        self, organisation: str, project: str | None = None
    ) -> Mapping[str, Mapping[KeyStatus, int]]:
        """Count keys by identity of the region and by status."""
        ...


class PlatformParts:
    """Access and a SummarySource in one. Blocks: for worker threads."""

    def __init__(
        self,
        store: PlatformStore,
        kms: KeyCounter,
        pepper: Pepper,
        certified: Sequence[CertifiedIdentity] = (),
    ) -> None:
        """Do nothing yet.

        Args:
            store: The migrated database.
            kms: Counts the keys.
            pepper: Gives the key of token MACs; raises Sealed while there is none.
            certified: Who is known by a certificate of the connection.
        """
        self._store = store
        self._control = AccessControl(store, pepper, certified)
        self._kms = kms

    def require_open(self) -> None:
        """Do nothing while the KMS is unsealed.

        Raises:
            Sealed: It is not.
        """
        if self._kms.state is not State.UNSEALED:
            raise Sealed(f"the KMS is {self._kms.state.value}")

    def hold(self) -> AbstractContextManager[object]:
        """Read with one connection until the block ends or the thread writes."""
        return self._store.hold()

    def authenticate(self, presented: Presented) -> Identity:
        """Say whose credential it is.

        Raises:
            CredentialRefused: Nobody's, or no longer good.
            Sealed: Credentials cannot be checked now.
        """
        if isinstance(presented, PairPresented):
            caller = self._control.authenticate_pair(presented.user, presented.password)
        elif isinstance(presented, CertificatePresented):
            caller = self._control.authenticate_certificate(presented.certificate)
        else:
            caller = self._control.authenticate_token(presented.token)
        return Identity(caller.principal, caller.credential)

    def find_organisation(self, identity: Identity, name: str) -> Organisation:
        """Give an organisation that the credential may be used in.

        Raises:
            OrganisationRefused: It may not, or there is none.
        """
        return self._control.find_organisation(_to_caller(identity), name)

    def name_organisation(self, name: str) -> str | None:
        """Give the identity of an organisation, whoever asks."""
        return self._control.name_organisation(name)

    def find_project(self, identity: Identity, organisation: Organisation, name: str) -> Project:
        """Give a project in which the caller has any right.

        Raises:
            ProjectUnknown: There is none such in the organisation.
        """
        return self._control.find_project(_to_caller(identity), organisation.identity, name)

    def read_gates(self, organisation: Organisation) -> Mapping[Gate, bool]:
        """Say which features are on."""
        return self._control.list_gates(organisation.identity)

    def collect_rights(
        self, identity: Identity, organisation: Organisation, project: Project | None, needed: TokenScope
    ) -> Rights:
        """Give what the caller may do with a request that takes a scope."""
        place = None if project is None else project.identity
        return self._control.load_rights(_to_caller(identity), organisation.identity, place, needed)

    def summarise(self, organisation: Organisation, project: Project | None) -> KmsSummary:
        """List the regions of the deployment with the organisation's or the project's keys in them."""
        with self._store.read() as connection:
            places = list_regions(connection)
        counts = self._kms.count_keys(organisation.identity, project.identity if project else None)
        return KmsSummary(
            self.read_gates(organisation).get(Gate.KMS, False),
            [
                RegionSummary(
                    place.record.identity,
                    place.record.name,
                    place.record.slug,
                    place.is_kms_available,
                    sum(counts.get(place.record.identity, {}).values()),
                    *(counts.get(place.record.identity, {}).get(status, 0) for status in KeyStatus),
                )
                for place in places
            ],
        )

    def search_audit(self, organisation: str, wanted: AuditFilter, *, page: int, limit: int) -> AuditPage:
        """Find entries of an organisation's audit log."""
        with self._store.read() as connection:
            return search_audit(connection, organisation, wanted, page=page, limit=limit)


def _to_caller(identity: Identity) -> Caller:
    return Caller(identity.principal, identity.credential)
