"""What the API asks about a caller before any call is handled."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from signerd.platform.client_certificate import ClientCertificate
from signerd.platform.gate import Gate
from signerd.platform.principal import Credential, Organisation, Principal, Project, TokenScope
from signerd.platform.rights import Rights


@dataclass(frozen=True, slots=True)
class TokenPresented:
    """A token, by the scheme Token or Bearer."""

    token: str


@dataclass(frozen=True, slots=True)
class PairPresented:
    """A user name and password by the scheme Basic (RFC 7617): access key and access secret."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class CertificatePresented:
    """A certificate of the client, verified by the TLS of this server, and no credential in the request."""

    certificate: ClientCertificate


Presented = TokenPresented | PairPresented | CertificatePresented


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, and by what that is known."""

    principal: Principal
    credential: Credential


class Access(Protocol):
    """Knows credentials, organisations, projects and rights. Called in worker threads, so it may block."""

    def require_open(self) -> None:
        """Do nothing if credentials can be checked now; the first check of every call.

        Raises:
            Sealed: The KMS is sealed.
            PartNotAvailable: It could not be opened.
        """
        ...

    def hold(self) -> AbstractContextManager[object]:
        """Let the questions of this thread see one state, and cost less, until it writes or this ends."""
        ...

    def authenticate(self, presented: Presented) -> Identity:
        """Say whose credential it is.

        Raises:
            CredentialRefused: Nobody's, or no longer good.
        """
        ...

    def find_organisation(self, identity: Identity, name: str) -> Organisation:
        """Give an organisation that the credential may be used in.

        Args:
            identity: Of the caller.
            name: Identity or slug.

        Raises:
            OrganisationRefused: There is none, or the caller is no member.
        """
        ...

    def name_organisation(self, name: str) -> str | None:
        """Give the identity of an organisation for the audit of a refused call; None if there is none."""
        ...

    def find_project(self, identity: Identity, organisation: Organisation, name: str) -> Project:
        """Give a project of the organisation.

        Raises:
            ProjectUnknown: There is none, or the caller may not see it.
        """
        ...

    def read_gates(self, organisation: Organisation) -> Mapping[Gate, bool]:
        """Say which features are on."""
        ...

    def collect_rights(
        self, identity: Identity, organisation: Organisation, project: Project | None, needed: TokenScope
    ) -> Rights:
        """Give what the caller may do with a request that takes a scope."""
        ...
