"""The admin HTTP API as one ASGI application."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from signerd.api.access import Access
from signerd.api.audit_calls import AuditSource, list_audit_endpoints
from signerd.api.client_address import ClientAddresses
from signerd.api.dispatcher import CallLimits, Dispatcher
from signerd.api.dns_backend import OpenDns
from signerd.api.dns_endpoints import list_dns_endpoints
from signerd.api.dnssec_endpoints import OpenDnssec, list_dnssec_endpoints
from signerd.api.error_response import (
    INTERNAL_CODE,
    INTERNAL_ERROR,
    METHOD_NOT_ALLOWED,
    METHOD_NOT_ALLOWED_CODE,
    NOT_FOUND,
    NOT_FOUND_CODE,
    render_message,
)
from signerd.api.health import HealthEndpoints, Readiness
from signerd.api.kms_backend import OpenKms
from signerd.api.kms_endpoints import list_kms_endpoints
from signerd.api.kms_summary import SummarySource, list_summary_endpoints
from signerd.api.metrics import ApiMetrics, MetricsEndpoint
from signerd.api.openapi import list_document_endpoints
from signerd.api.platform_backend import OpenPlatform
from signerd.api.platform_endpoints import list_platform_endpoints
from signerd.api.rate_limit import RateLimits, Rates
from signerd.api.request_audit import RequestAudit
from signerd.api.route import DEFAULT_BODY_OCTETS, AnyEndpoint, RouteTable
from signerd.api.secret_backend import OpenSecrets
from signerd.api.secret_endpoints import list_secret_endpoints
from signerd.api.transport import REQUEST_ID_STATE, Transport

_MESSAGES: Final = {
    404: (NOT_FOUND, NOT_FOUND_CODE),
    405: (METHOD_NOT_ALLOWED, METHOD_NOT_ALLOWED_CODE),
}


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the API needs from the rest of the server."""

    access: Access
    audit: RequestAudit
    readiness: Readiness
    kms_summary: SummarySource
    audit_log: AuditSource
    platform: OpenPlatform
    kms: OpenKms
    secrets: OpenSecrets
    dns: OpenDns
    now: Callable[[], int]
    dnssec: OpenDnssec | None = None


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """Limits of the API, and what is counted.

    Attributes:
        rates: How many requests a caller may make.
        addresses: Knows trusted proxies.
        metrics: Counts.
        metrics_token: File with the token for `/metrics`; without it there is no such path.
    """

    rates: Rates = field(default_factory=Rates)
    addresses: ClientAddresses = field(default_factory=lambda: ClientAddresses(()))
    metrics: ApiMetrics = field(default_factory=ApiMetrics)
    metrics_token: Path | None = None


def list_endpoints(parts: AdminParts) -> Sequence[AnyEndpoint]:
    """Give all calls under /v1 and /oidc."""
    endpoints: list[AnyEndpoint] = [
        *list_summary_endpoints(parts.kms_summary),
        *list_kms_endpoints(parts.kms),
        *list_platform_endpoints(parts.platform),
        *list_audit_endpoints(parts.audit_log),
        *list_secret_endpoints(parts.secrets, parts.now),
        *list_dns_endpoints(parts.dns),
    ]
    if parts.dnssec is not None:
        endpoints += list_dnssec_endpoints(parts.dnssec)
    return [*endpoints, *list_document_endpoints(endpoints, version("signerd"))]


def make_application(
    parts: AdminParts,
    endpoints: Sequence[AnyEndpoint] | None = None,
    options: ApiOptions | None = None,
) -> ASGIApp:
    """Build the API.

    Args:
        parts: What it asks.
        endpoints: Its calls; all there are if None.
        options: The defaults if None.
    """
    options = options or ApiOptions()
    health = HealthEndpoints(parts.readiness)
    table = RouteTable(list_endpoints(parts) if endpoints is None else endpoints)
    routes = [
        Route("/healthz", health.get_health, methods=["GET"]),
        Route("/readyz", health.get_readiness, methods=["GET"]),
    ]
    if options.metrics_token is not None:
        metrics = MetricsEndpoint(options.metrics, options.metrics_token)
        routes.append(Route("/metrics", metrics.get, methods=["GET"]))
    limits = CallLimits(RateLimits(options.rates, time.monotonic), options.addresses, options.metrics)
    application = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _render_http_exception, Exception: _render_internal_error},
    )
    application.router.redirect_slashes = False  # clients take a redirect for success with an empty result
    application.router.default = Dispatcher(table, parts.access, parts.audit, limits)

    def find_body_limit(method: str, path: str) -> int:
        match = table.find(method, path)
        return match.endpoint.body_octets if match and match.endpoint else DEFAULT_BODY_OCTETS

    return Transport(application, find_body_limit)


async def _render_http_exception(request: Request, error: Exception) -> Response:
    """Render what the router raises: 404 and 405."""
    if not isinstance(error, HTTPException):
        raise error
    phrase = HTTPStatus(error.status_code).phrase.lower()
    message, code = _MESSAGES.get(error.status_code, (phrase, INTERNAL_CODE))
    return render_message(error.status_code, message, code, _get_request_id(request), error.headers)


async def _render_internal_error(request: Request, error: Exception) -> Response:
    """Render a bug; the server logs it with its traceback, the client learns only the request's id."""
    del error
    return render_message(500, INTERNAL_ERROR, INTERNAL_CODE, _get_request_id(request))


def _get_request_id(request: Request) -> str:
    return str(getattr(request.state, REQUEST_ID_STATE))
