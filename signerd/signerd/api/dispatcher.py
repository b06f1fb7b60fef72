"""From a request to its response: the checks that every call has in common, the handler, the audit entry."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import trio
from sqlalchemy import Connection
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from signerd.api.access import Access, Identity, Presented
from signerd.api.authentication import read_credential
from signerd.api.call import Call, OpenCall
from signerd.api.client_address import ClientAddresses
from signerd.api.connection import CERTIFICATE_STATE
from signerd.api.error_response import (
    INTERNAL_CODE,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    METHOD_NOT_ALLOWED_CODE,
    NOT_FOUND,
    NOT_FOUND_CODE,
    describe_error,
    make_error_body,
)
from signerd.api.errors import (
    COMPONENT_ERRORS,
    FeatureNotEnabled,
    MalformedRequest,
    OrganisationMissing,
    TokenScopeMissing,
    TooManyRequests,
)
from signerd.api.failure_log import FailureLog
from signerd.api.metrics import ApiMetrics
from signerd.api.query import Query, parse_query
from signerd.api.rate_limit import RateLimits
from signerd.api.reply import Reply, encode_json
from signerd.api.request_audit import (
    MAX_PATH_CHARACTERS,
    RequestAudit,
    name_resource,
    select_safe_headers,
)
from signerd.api.route import Endpoint, Match, OpenEndpoint, RouteTable, ScopeRule
from signerd.api.transport import REQUEST_ID_STATE
from signerd.platform.client_certificate import ClientCertificate
from signerd.platform.errors import ProjectMismatch
from signerd.platform.gate import Gate
from signerd.platform.principal import Organisation, Project, scope_of_method
from signerd.platform.request_record import RequestRecord
from signerd.platform.rights import Rights

logger = logging.getLogger(__name__)

ORGANISATION_HEADER: Final = "X-Organisation-Identity"
PROJECT_HEADER: Final = "X-Project-Identity"
MAX_CALLS: Final = 64  # threads at work at once; more calls wait. As many as one group commit takes
NO_RIGHTS: Final = Rights()


@dataclass(slots=True)
class _Progress:
    """How far a request has come; what the audit entry of a refused one can say."""

    identity: Identity | None = None
    organisation: Organisation | None = None
    project: Project | None = None


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A request as it came."""

    request_id: str
    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    address: str
    certificate: ClientCertificate | None
    match: Match
    started: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """A response, encoded."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What is asked about a call beside who makes it.

    Attributes:
        rates: How many there may be.
        addresses: Whose address it is.
        metrics: Where it is counted.
    """

    rates: RateLimits
    addresses: ClientAddresses
    metrics: ApiMetrics


class Dispatcher:
    """The calls of the API as one ASGI application."""

    def __init__(self, table: RouteTable, access: Access, audit: RequestAudit, limits: CallLimits) -> None:
        """Do nothing yet.

        Args:
            table: All calls.
            access: Knows the callers.
            audit: Keeps what they asked for.
            limits: How many there may be, and how they are counted.
        """
        self._limits = limits
        self._table = table
        self._access = access
        self._audit = audit
        self._limiter = trio.CapacityLimiter(MAX_CALLS)
        self._failures = FailureLog(time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request whose path was read by Transport (ASGI)."""
        request_id = str(scope["state"][REQUEST_ID_STATE])
        match = self._table.find(scope["method"], scope["path"])
        if match is None:
            await _send(send, _make_error(404, NOT_FOUND, NOT_FOUND_CODE, request_id))
            return
        if match.endpoint is None:
            allow = {"Allow": ", ".join(match.allowed)}
            refusal = _make_error(405, METHOD_NOT_ALLOWED, METHOD_NOT_ALLOWED_CODE, request_id, allow)
            await _send(send, refusal)
            return
        message = await receive()
        if message["type"] != "http.request":
            return  # the client left
        headers = Headers(raw=scope["headers"])
        peer = str(scope["client"][0]) if scope.get("client") else ""
        incoming = _Incoming(
            request_id,
            scope["method"],
            scope["path"],
            scope["query_string"],
            headers,
            message["body"],  # whole: Transport has read it
            self._limits.addresses.resolve(
                peer, headers.getlist("X-Forwarded-For"), headers.getlist("X-Real-IP")
            ),
            # that of a proxy is its own, and must not stand for those who send it requests
            None if self._limits.addresses.is_trusted(peer) else _find_certificate(scope),
            match,
        )
        try:
            self._limits.rates.admit_address(incoming.address)
        except TooManyRequests as error:
            outgoing = self._describe(error, request_id, match.endpoint.action)
        else:
            outgoing = await trio.to_thread.run_sync(self._serve, incoming, limiter=self._limiter)
        seconds = time.perf_counter() - incoming.started
        self._limits.metrics.count(match.endpoint.action, outgoing.status, seconds)
        await _send(send, outgoing)

    def _serve(self, incoming: _Incoming) -> _Outgoing:
        """Do all of it in one worker thread: a change of threads costs more than most calls."""
        progress = _Progress()
        is_recorded = False
        endpoint = incoming.match.endpoint
        assert endpoint is not None  # noqa: S101  # those without were answered
        try:
            reply = self._handle(incoming, progress)
            body = b"" if reply.body is None else encode_json(reply.body)
            outgoing = _Outgoing(reply.status, body, reply.headers)
            is_recorded = reply.is_recorded
            is_open_to_all = isinstance(endpoint, OpenEndpoint)
            self._failures.note_success(endpoint.action, is_open_to_all=is_open_to_all)
        except COMPONENT_ERRORS as error:
            outgoing = self._describe(error, incoming.request_id, endpoint.action)
        except Exception:
            logger.exception("request %s", incoming.request_id)
            outgoing = _make_error(500, INTERNAL_ERROR, INTERNAL_CODE, incoming.request_id)
        if is_recorded:
            return outgoing
        try:
            self._record(incoming, progress, outgoing.status)
        except Exception as error:  # whatever it was: what is not recorded does not leave
            logger.error(
                "request %s: no audit entry: %s: %s", incoming.request_id, type(error).__name__, error
            )
            return _make_error(500, INTERNAL_ERROR, INTERNAL_CODE, incoming.request_id)
        return outgoing

    def _describe(self, error: Exception, request_id: str, action: str) -> _Outgoing:
        described = describe_error(error)
        code = error.code if isinstance(error, COMPONENT_ERRORS) else described.code
        self._failures.note_error(request_id, action, described.status, code, error)
        return _make_error(described.status, described.message, described.code, request_id, described.headers)

    def _handle(self, incoming: _Incoming, progress: _Progress) -> Reply:
        """Check in the order of the contract, then let the endpoint do its work."""
        endpoint = incoming.match.endpoint
        assert endpoint is not None  # noqa: S101  # those without were answered
        if isinstance(endpoint, OpenEndpoint):
            return endpoint.handle(
                OpenCall(
                    incoming.request_id,
                    incoming.address,
                    parse_query(incoming.query),
                    incoming.headers,
                    incoming.body,
                )
            )
        self._access.require_open()  # first: while sealed, no credential is good or bad
        presented = read_credential(incoming.headers.getlist("Authorization"), incoming.certificate)
        with self._access.hold():
            identity, query, rights = self._admit(incoming, endpoint, presented, progress)

            def record(connection: Connection, status: int) -> None:
                made = self._make_record(incoming, progress, status)
                if made is not None:
                    self._audit.append_request(connection, made)

            def charge(count: int) -> None:
                owner = "" if progress.organisation is None else progress.organisation.identity
                self._limits.rates.admit_items(identity.credential.id, owner, count)

            call = Call(
                incoming.request_id,
                identity.principal,
                identity.credential,
                progress.organisation,
                progress.project,
                rights,
                incoming.address,
                incoming.match.path,
                query,
                incoming.headers,
                incoming.body,
                record,
                charge,
            )
            if not endpoint.is_expensive:
                return endpoint.handle(call)
        return endpoint.handle(call)  # one that takes long must not hold an old state of the database

    def _admit(
        self, incoming: _Incoming, endpoint: Endpoint, presented: Presented, progress: _Progress
    ) -> tuple[Identity, Query, Rights]:
        """Make all checks before those of the handler."""
        identity = progress.identity = self._access.authenticate(presented)
        rates = self._limits.rates
        rates.admit_credential(identity.credential.id, is_expensive=endpoint.is_expensive)
        _require_scope(identity, incoming.method)
        rights = NO_RIGHTS
        if endpoint.scope is not ScopeRule.PERSONAL:
            progress.organisation = self._find_organisation(identity, incoming.headers)
            rates.admit_organisation(progress.organisation.identity)
        query = parse_query(incoming.query)
        if progress.organisation is not None:
            if endpoint.gates:
                _require_gates(endpoint, self._access.read_gates(progress.organisation))
            if endpoint.scope is ScopeRule.RESOURCE:
                progress.project = self._find_project(
                    identity, progress.organisation, incoming.headers, query
                )
            needed = scope_of_method("GET" if incoming.method == "HEAD" else incoming.method)
            rights = self._access.collect_rights(identity, progress.organisation, progress.project, needed)
        return identity, query, rights

    def _find_organisation(self, identity: Identity, headers: Headers) -> Organisation:
        name = _read_single(headers, ORGANISATION_HEADER)
        if name is None:
            raise OrganisationMissing(f"the header {ORGANISATION_HEADER} is missing")
        return self._access.find_organisation(identity, name)

    def _find_project(
        self, identity: Identity, organisation: Organisation, headers: Headers, query: Query
    ) -> Project | None:
        """Take the project of the credential, then that of the header, then that of the query."""
        claimed = identity.credential.project
        named = _read_single(headers, PROJECT_HEADER)
        name = claimed or named or query.first("project")
        if name is None:
            return None
        project = self._access.find_project(identity, organisation, name)
        if claimed and named and named not in (project.identity, project.slug):
            raise ProjectMismatch
        return project

    def _record(self, incoming: _Incoming, progress: _Progress, status: int) -> None:
        """Keep an audit entry if the request concerned an organisation, whatever came of it."""
        made = self._make_record(incoming, progress, status)
        if made is not None:
            self._audit.record_request(made)

    def _make_record(self, incoming: _Incoming, progress: _Progress, status: int) -> RequestRecord | None:
        endpoint = incoming.match.endpoint
        if not isinstance(endpoint, Endpoint) or endpoint.scope is ScopeRule.PERSONAL:
            return None
        if progress.organisation is not None:
            organisation = progress.organisation.identity
        else:
            named = self._name_organisation(incoming.headers)
            if named is None:
                return None
            organisation = named
        return RequestRecord(
            organisation=organisation,
            principal=progress.identity.principal if progress.identity else None,
            credential=progress.identity.credential if progress.identity else None,
            request_id=incoming.request_id,
            method=incoming.method,
            path=incoming.path[:MAX_PATH_CHARACTERS],
            query_names=_name_parameters(incoming.query),
            status=status,
            duration_microseconds=round((time.perf_counter() - incoming.started) * 1e6),
            address=incoming.address,
            headers=select_safe_headers(incoming.headers),
            action=endpoint.action,
            description=endpoint.summary,
            resource_type=endpoint.resource_type,
            resource=name_resource(endpoint, incoming.match.path, incoming.query),
            project=progress.project.identity if progress.project else None,
        )

    def _name_organisation(self, headers: Headers) -> str | None:
        names = headers.getlist(ORGANISATION_HEADER)
        if len(names) != 1 or not names[0]:
            return None
        return self._access.name_organisation(names[0])


def _find_certificate(scope: Scope) -> ClientCertificate | None:
    found: object = scope["state"].get(CERTIFICATE_STATE)
    return found if isinstance(found, ClientCertificate) else None


def _read_single(headers: Headers, name: str) -> str | None:
    values = headers.getlist(name)
    if len(values) > 1:
        raise MalformedRequest(f"{name} stands in the request {len(values)} times")
    return values[0] if values and values[0] else None


def _require_scope(identity: Identity, method: str) -> None:
    if not identity.credential.allows_method("GET" if method == "HEAD" else method):
        raise TokenScopeMissing("the scopes of the credential do not allow this method")


def _require_gates(endpoint: Endpoint, gates: Mapping[Gate, bool]) -> None:
    for number, gate in enumerate(endpoint.gates):
        if not gates.get(gate, False):
            raise FeatureNotEnabled(
                f"the feature {gate} is not enabled for this organisation"
                if number == 0
                else f"the feature {gate} must be enabled first"
            )


def _name_parameters(query: bytes) -> tuple[str, ...]:
    names = dict.fromkeys(part.partition(b"=")[0] for part in query.split(b"&") if part)
    return tuple(name.decode("latin-1")[:64] for name in list(names)[:16])


def _make_error(
    status: int, message: str, code: str, request_id: str, headers: Mapping[str, str] | None = None
) -> _Outgoing:
    return _Outgoing(status, encode_json(make_error_body(message, code, request_id)), headers or {})


async def _send(send: Send, outgoing: _Outgoing) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in outgoing.headers.items()]
    if outgoing.body:
        headers.append((b"content-type", b"application/json"))
    if outgoing.status != 204:  # RFC 9110, section 8.6
        headers.append((b"content-length", b"%d" % len(outgoing.body)))
    await send({"type": "http.response.start", "status": outgoing.status, "headers": headers})
    await send({"type": "http.response.body", "body": outgoing.body})
