"""Issues access tokens: for an access key and its secret, or for a token of a trusted issuer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from signerd.platform.access_control import AccessControl
from signerd.platform.access_credential import AccessCredential, find_access_key
from signerd.platform.api_token import ACCESS, NewToken, issue_token, purge_access_tokens
from signerd.platform.change import Change, PlatformStore
from signerd.platform.claim_match import matches_claims
from signerd.platform.errors import CredentialRefused, ObjectUnknown, ProjectUnknown, TokenRequestRefused
from signerd.platform.federated_identity import (
    FederatedIdentity,
    list_federated_identities,
    mark_federated_identity_used,
)
from signerd.platform.https_fetch import FetchFailed
from signerd.platform.identity_provider import Status, get_identity_provider
from signerd.platform.issuer_keys import IssuerKeys
from signerd.platform.json_web_token import (
    BadToken,
    has_candidate,
    parse_token,
    verify_token_signature,
)
from signerd.platform.organisation import get_organisation
from signerd.platform.project import get_project
from signerd.platform.scopes import narrow_scopes
from signerd.platform.secret_text import Pepper
from signerd.platform.service_account import get_service_account
from signerd_kms.attribution import Attribution
from signerd_kms.audit import AuditEvent

DEFAULT_LIFETIME_SECONDS: Final = 3600
MIN_LIFETIME_SECONDS: Final = 60
MAX_LIFETIME_SECONDS: Final = 24 * 3600
RESOURCE_TYPE: Final = "service_account"
NOT_ACCEPTED: Final = "the subject token is not accepted for this service account"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token, shown once."""

    token: str
    lifetime_seconds: int
    scopes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ExchangeRequest:
    """What is asked for with a token of an issuer.

    Attributes:
        subject_token: The token.
        organisation: Identity or slug.
        service_account: Identity.
        lifetime_seconds: Within the bounds.
        scopes: Empty: all that are allowed.
        project: Identity or slug of the only project that the new token is to work in, if any.
    """

    subject_token: str
    organisation: str
    service_account: str
    lifetime_seconds: int = DEFAULT_LIFETIME_SECONDS
    scopes: Sequence[str] = ()
    project: str | None = None


class TokenService:
    """Issues access tokens. Safe to use from several threads; blocks."""

    def __init__(self, store: PlatformStore, pepper: Pepper, keys: IssuerKeys) -> None:
        """Do nothing yet.

        Args:
            store: The database.
            pepper: Gives the key of MACs.
            keys: Finds the keys of issuers.
        """
        self._store = store
        self._pepper = pepper
        self._keys = keys
        self._control = AccessControl(store, pepper)

    def grant_client_credentials(
        self, access_key: str, secret: str, scopes: Sequence[str], project: str | None, by: Attribution
    ) -> IssuedToken:
        """Issue a token for an access key and its secret. A refusal is in the audit, too.

        Raises:
            TokenRequestRefused: They are not good, or a scope or the project is not theirs to ask for.
        """
        try:
            credential = self._control.verify_pair(access_key, secret)
        except CredentialRefused as error:
            self._record_failure(access_key, by)
            raise TokenRequestRefused("invalid_client", "the client is not known") from error
        narrowed = _narrow(credential.scopes, scopes)
        now = self._store.now()
        lifetime = DEFAULT_LIFETIME_SECONDS
        if credential.expires_at is not None:
            lifetime = min(lifetime, credential.expires_at - now)

        def make(change: Change) -> IssuedToken:
            known = find_access_key(change.connection, access_key)
            if known is None or known.identity != credential.identity:
                raise TokenRequestRefused("invalid_client", "the client is not known")  # deleted since
            return self._issue(change, _Grant.of_credential(credential), lifetime, narrowed, project)

        actor = _name_actor(credential.service_account)
        return self._store.change(
            Attribution(actor, request_id=by.request_id, credential=access_key, address=by.address), make
        )

    def exchange(self, request: ExchangeRequest, by: Attribution) -> IssuedToken:
        """Issue a token for one of a trusted issuer. A refusal is in the audit, too.

        Raises:
            TokenRequestRefused: It is not accepted, or the issuer's keys cannot be had.
        """
        try:
            identity = self._find_identity(request)
        except (BadToken, ObjectUnknown) as error:
            self._record_exchange_failure(request, str(error), by)
            raise TokenRequestRefused("invalid_grant", NOT_ACCEPTED) from error
        except FetchFailed as error:
            self._record_exchange_failure(request, str(error), by)
            raise TokenRequestRefused(
                "temporarily_unavailable", "the keys of the issuer cannot be had"
            ) from error
        narrowed = _narrow(identity.draft.scopes, request.scopes)
        now = self._store.now()
        lifetime = request.lifetime_seconds
        if identity.draft.expires_at is not None:
            lifetime = min(lifetime, identity.draft.expires_at - now)

        def make(change: Change) -> IssuedToken:
            current = list_federated_identities(
                change.connection, identity.organisation, identity.draft.service_account
            )
            if identity not in current:  # changed or deleted since
                raise TokenRequestRefused("invalid_grant", NOT_ACCEPTED)
            mark_federated_identity_used(
                change.connection, identity.organisation, identity.record.identity, change.now
            )
            return self._issue(change, _Grant.of_identity(identity), lifetime, narrowed, request.project)

        actor = _name_actor(identity.draft.service_account)
        credential = identity.record.identity
        return self._store.change(
            Attribution(actor, request_id=by.request_id, credential=credential, address=by.address), make
        )

    def _issue(
        self,
        change: Change,
        grant: "_Grant",
        lifetime_seconds: int,
        scopes: Sequence[str],
        project: str | None,
    ) -> IssuedToken:
        if project is not None:
            try:
                project = get_project(change.connection, grant.organisation, project).identity
            except ProjectUnknown as error:
                raise TokenRequestRefused("invalid_request", "project: not found") from error
        purge_access_tokens(change.connection, change.now)
        new = NewToken(
            ACCESS,
            grant.name,
            lifetime_seconds,
            service_account=grant.service_account,
            organisation=grant.organisation,
            parent=grant.parent,
            scopes=scopes,
            project=project,
        )
        token_id, token = issue_token(change.connection, self._pepper, new, change.now)
        change.record(
            "auth.token.issue",
            grant.organisation,
            RESOURCE_TYPE,
            grant.service_account,
            project=project,
            details={"grant": grant.kind, "token": token_id, "lifetimeSeconds": lifetime_seconds},
        )
        return IssuedToken(token, lifetime_seconds, scopes)

    def _find_identity(self, request: ExchangeRequest) -> FederatedIdentity:
        """Find the federated identity that a token meets; every refusal looks the same from outside."""
        token = parse_token(request.subject_token)
        now = self._store.now()
        with self._store.read() as connection:
            organisation = get_organisation(connection, request.organisation).identity
            account = get_service_account(connection, organisation, request.service_account)
            candidates = [
                (identity, get_identity_provider(connection, organisation, identity.draft.provider))
                for identity in list_federated_identities(connection, organisation, account.record.identity)
                if identity.draft.status is Status.ACTIVE
                and (identity.draft.expires_at is None or now < identity.draft.expires_at)
            ]
        trusted = [
            (identity, provider)
            for identity, provider in candidates
            if provider.status is Status.ACTIVE and provider.issuer == token.issuer
        ]
        reason = "no federated identity of the service account trusts its issuer"
        for provider in {provider.record.identity: provider for _, provider in trusted}.values():
            keys = self._keys.load(provider, is_enough=lambda found: has_candidate(token, found))
            claims = verify_token_signature(token, keys, now)
            for identity, owner in trusted:
                if owner.record.identity == provider.record.identity:
                    if matches_claims(identity.draft, claims):
                        return identity
                    reason = "subject, audience or a condition does not match"
        raise BadToken(reason)

    def _record_failure(self, access_key: str, by: Attribution) -> None:
        with self._store.read() as connection:
            known = find_access_key(connection, access_key)
        self._record_refusal(
            known.organisation if known is not None else None,
            known.service_account if known is not None else None,
            "client_credentials",
            "invalid client",
            by,
            access_key if known is not None else None,
        )

    def _record_exchange_failure(self, request: ExchangeRequest, reason: str, by: Attribution) -> None:
        organisation = account = None
        with self._store.read() as connection:
            try:
                organisation = get_organisation(connection, request.organisation).identity
                account = get_service_account(
                    connection, organisation, request.service_account
                ).record.identity
            except ObjectUnknown:
                pass  # recorded without what is not known
        self._record_refusal(organisation, account, "token_exchange", reason, by, None)

    def _record_refusal(
        self,
        organisation: str | None,
        account: str | None,
        grant: str,
        reason: str,
        by: Attribution,
        credential: str | None,
    ) -> None:
        self._store.record(
            AuditEvent(
                at=self._store.now(),
                action="auth.token.refuse",
                succeeded=False,
                organisation=organisation,
                request_id=by.request_id,
                credential=credential,
                address=by.address,
                resource_type=RESOURCE_TYPE if account is not None else None,
                resource=account,
                error=TokenRequestRefused.code,
                details={"grant": grant, "reason": reason},
            )
        )


@dataclass(frozen=True, slots=True)
class _Grant:
    """Whom a token is issued for, and on what ground."""

    kind: str
    organisation: str
    service_account: str
    parent: str
    name: str

    @classmethod
    def of_credential(cls, credential: AccessCredential) -> "_Grant":
        return cls(
            "client_credentials",
            credential.organisation,
            credential.service_account,
            credential.identity,
            credential.name,
        )

    @classmethod
    def of_identity(cls, identity: FederatedIdentity) -> "_Grant":
        return cls(
            "token_exchange",
            identity.organisation,
            identity.draft.service_account,
            identity.record.identity,
            identity.record.name,
        )


def _narrow(granted: Sequence[str], asked: Sequence[str]) -> Sequence[str]:
    narrowed = narrow_scopes(granted, asked)
    if narrowed is None:
        raise TokenRequestRefused("invalid_scope", "a scope is not granted to the client")
    return narrowed


def _name_actor(service_account: str) -> str:
    return f"serviceAccount:{service_account}"
