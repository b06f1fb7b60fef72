"""Who calls, in which organisation and project, with which rights: asked before any request is handled."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, or_, select

from signerd.platform.access_credential import (
    AccessCredential,
    mark_access_credential_used,
    verify_access_credential,
)
from signerd.platform.api_token import (
    ShownToken,
    Token,
    mark_token_used,
    read_shown_token,
    require_unexpired,
    start_of_day,
    verify_token,
)
from signerd.platform.change import PlatformStore
from signerd.platform.client_certificate import CertifiedIdentity, ClientCertificate, find_identity
from signerd.platform.effective_rights import can_see_project, load_rights
from signerd.platform.errors import CredentialRefused, ObjectUnknown, OrganisationRefused, ProjectUnknown
from signerd.platform.gate import Gate
from signerd.platform.iam_tables import memberships, service_accounts, users
from signerd.platform.organisation import get_organisation, list_gates
from signerd.platform.principal import (
    Credential,
    CredentialKind,
    Organisation,
    Principal,
    PrincipalKind,
    Project,
    TokenScope,
)
from signerd.platform.project import get_project
from signerd.platform.rights import Rights
from signerd.platform.secret_text import Pepper
from signerd.platform.service_account import get_service_account
from signerd.platform.tables import organisations
from signerd.platform.user import get_user
from signerd_kms.attribution import NOBODY
from signerd_kms.errors import KmsError

logger = logging.getLogger(__name__)

MAX_TOKEN_CHARACTERS: Final = 4096


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and by what that is known."""

    principal: Principal
    credential: Credential


class AccessControl:
    """The one place where requests are let in. Safe to use from several threads; blocks."""

    def __init__(
        self, store: PlatformStore, pepper: Pepper, certified: Sequence[CertifiedIdentity] = ()
    ) -> None:
        """Do nothing yet.

        Args:
            store: The database.
            pepper: Gives the key of MACs; raises Sealed while there is none.
            certified: Who is known by a certificate.
        """
        self._certified = certified
        self._store = store
        self._pepper = pepper

    def authenticate_token(self, token: str) -> Caller:
        """Say who shows a token, by the scheme Token or Bearer.

        Raises:
            CredentialRefused: Nobody, or it is no longer good.
            Sealed: Tokens cannot be checked now.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise CredentialRefused
        now = self._store.now()
        shown = read_shown_token(self._pepper, token)  # also when it is known: nobody is while sealed
        known, principal = self._store.recall(("token", shown), lambda read: _find_bearer(read, shown))
        require_unexpired(known, now)
        if known.last_used_on != start_of_day(now):
            self._note_use(lambda connection: mark_token_used(connection, known.id, now))
        kind = CredentialKind.PERSONAL if known.user is not None else CredentialKind.ACCESS_TOKEN
        return Caller(
            principal,
            Credential(known.id, kind, frozenset(known.scopes), known.organisation, known.project),
        )

    def authenticate_pair(self, access_key: str, secret: str) -> Caller:
        """Say who shows an access key and its secret, by the scheme Basic.

        Raises:
            CredentialRefused: Nobody, or they are no longer good.
            Sealed: Secrets cannot be checked now.
        """
        known = self.verify_pair(access_key, secret)
        with self._store.read() as connection:
            principal = _read_service_account(connection, known.organisation, known.service_account)
        return Caller(
            principal,
            Credential(
                known.access_key, CredentialKind.ACCESS_KEY, frozenset(known.scopes), known.organisation
            ),
        )

    def authenticate_certificate(self, certificate: ClientCertificate) -> Caller:
        """Say whom the verified certificate of a client speaks for, as the configuration says.

        Raises:
            CredentialRefused: Nobody, it has expired, or who it was for is gone.
        """
        known = find_identity(self._certified, certificate, self._store.now())
        if known is None:
            raise CredentialRefused
        credential_id = f"x509-{certificate.fingerprint[:32]}"
        kind = CredentialKind.CERTIFICATE
        with self._store.read() as connection:
            try:
                if known.user is not None:
                    return Caller(_read_user(connection, known.user), Credential(credential_id, kind))
                organisation = get_organisation(connection, known.organisation or "").identity
                account = get_service_account(connection, organisation, known.service_account or "")
            except ObjectUnknown as error:
                raise CredentialRefused from error
        described = account.record
        principal = Principal(PrincipalKind.SERVICE_ACCOUNT, described.identity, described.name)
        return Caller(principal, Credential(credential_id, kind, organisation=organisation))

    def verify_pair(self, access_key: str, secret: str) -> AccessCredential:
        """Check an access key and its secret, and note the day of their use.

        Raises:
            CredentialRefused: They are not good.
            Sealed: Secrets cannot be checked now.
        """
        now = self._store.now()
        with self._store.read() as connection:
            known = verify_access_credential(connection, self._pepper, access_key, secret, now)
        if known.last_used_on != start_of_day(now):
            self._note_use(
                lambda connection: mark_access_credential_used(
                    connection, known.organisation, known.identity, now
                )
            )
        return known

    def find_organisation(self, caller: Caller, identity_or_slug: str) -> Organisation:
        """Give an organisation in which a credential may be used.

        Raises:
            OrganisationRefused: There is none, or it may not.
        """
        return self._store.recall(
            ("organisation", caller.principal, caller.credential.organisation, identity_or_slug),
            lambda read: _find_organisation(read, caller, identity_or_slug),
        )

    def name_organisation(self, identity_or_slug: str) -> str | None:
        """Give the identity of an organisation, for the audit of a refused call; None if there is none."""
        query = select(organisations.c.identity).where(
            or_(organisations.c.identity == identity_or_slug, organisations.c.slug == identity_or_slug)
        )
        with self._store.read() as connection:
            found: str | None = connection.execute(query).scalar()
        return found

    def list_gates(self, organisation: str) -> Mapping[Gate, bool]:
        """Say which features an organisation has."""
        return self._store.recall(
            ("gates", organisation), lambda read: MappingProxyType(list_gates(read, organisation))
        )

    def find_project(self, caller: Caller, organisation: str, identity_or_slug: str) -> Project:
        """Give a project in which the caller has any right.

        Raises:
            ProjectUnknown: There is none such in the organisation.
        """

        def find(connection: Connection) -> Project:
            project = get_project(connection, organisation, identity_or_slug)
            if not can_see_project(connection, caller.principal, organisation, project.identity):
                raise ProjectUnknown
            return project

        return self._store.recall(("project", caller.principal, organisation, identity_or_slug), find)

    def load_rights(
        self, caller: Caller, organisation: str, project: str | None, needed: TokenScope | None = None
    ) -> Rights:
        """Give what the caller may do in an organisation and, if one is in effect, a project.

        A credential for one project gives no rights where no project is in effect: it must not reach what
        belongs to the organisation as a whole.
        """
        if project is None and caller.credential.project is not None:
            return Rights()
        principal = caller.principal
        return self._store.recall(
            ("rights", principal, organisation, project, needed),
            lambda read: load_rights(read, principal, organisation, project, needed),
        )

    def _note_use(self, work: Callable[[Connection], None]) -> None:
        """Store the day of use; a request does not fail because that is not possible."""
        try:
            self._store.change(NOBODY, lambda change: work(change.connection))
        except KmsError as error:
            logger.warning("the day of a credential's use was not noted: %s", error)


def _find_bearer(connection: Connection, shown: ShownToken) -> tuple[Token, Principal]:
    known = verify_token(connection, shown)
    return known, _read_principal(connection, known)


def _find_organisation(connection: Connection, caller: Caller, identity_or_slug: str) -> Organisation:
    try:
        organisation = get_organisation(connection, identity_or_slug)
    except ObjectUnknown as error:
        raise OrganisationRefused from error
    allowed = caller.credential.organisation
    if not _belongs(connection, caller, organisation.identity) or allowed not in (
        None,
        organisation.identity,
    ):
        raise OrganisationRefused
    return organisation


def _read_principal(connection: Connection, token: Token) -> Principal:
    """Give whom a token speaks for, who may be gone."""
    if token.user is not None:
        try:
            return _read_user(connection, token.user)
        except ObjectUnknown as error:
            raise CredentialRefused from error
    if token.service_account is None or token.organisation is None:
        raise CredentialRefused  # of an old version, whose bearer is not known
    return _read_service_account(connection, token.organisation, token.service_account)


def _read_user(connection: Connection, subject: str) -> Principal:
    user = get_user(connection, subject)
    return Principal(PrincipalKind.USER, user.subject, user.name, user.email, user.is_operator)


def _read_service_account(connection: Connection, organisation: str, identity: str) -> Principal:
    query = select(service_accounts.c.name).where(
        service_accounts.c.organisation == organisation, service_accounts.c.identity == identity
    )
    name = connection.execute(query).scalar()
    if name is None:
        raise CredentialRefused
    return Principal(PrincipalKind.SERVICE_ACCOUNT, identity, name)


def _belongs(connection: Connection, caller: Caller, organisation: str) -> bool:
    if caller.principal.kind is PrincipalKind.SERVICE_ACCOUNT:
        return caller.credential.organisation == organisation
    query = (
        select(memberships.c.identity)
        .join(users, users.c.subject == memberships.c.user_subject)
        .where(
            memberships.c.organisation == organisation,
            memberships.c.user_subject == caller.principal.identity,
        )
    )
    return connection.execute(query).first() is not None
