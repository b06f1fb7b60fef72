"""The admin HTTP API as one ASGI application."""

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from signerd.api.authentication import OrganisationDirectory, TokenVerifier
from signerd.api.error_response import INTERNAL_ERROR, render_error, render_message
from signerd.api.errors import COMPONENT_ERRORS
from signerd.api.health import HealthEndpoints, Readiness
from signerd.api.kms_summary import KmsSummaryEndpoint, SummarySource
from signerd.api.transport import REQUEST_ID_STATE, Transport

logger = logging.getLogger(__name__)

_MESSAGES: Final = {404: "not found", 405: "method not allowed"}


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the API needs from the rest of the server."""

    tokens: TokenVerifier
    organisations: OrganisationDirectory
    kms_summary: SummarySource
    readiness: Readiness


def make_application(parts: AdminParts) -> ASGIApp:
    """Build the API."""
    health = HealthEndpoints(parts.readiness)
    summary = KmsSummaryEndpoint(parts.kms_summary, parts.tokens, parts.organisations)
    application = Starlette(
        routes=[
            Route("/healthz", health.get_health, methods=["GET"]),
            Route("/readyz", health.get_readiness, methods=["GET"]),
            Route("/v1/kms/summary", summary.get, methods=["GET"]),
        ],
        exception_handlers={
            HTTPException: _render_http_exception,
            Exception: _render_internal_error,
            **dict.fromkeys(COMPONENT_ERRORS, _render_known_error),
        },
    )
    application.router.redirect_slashes = False  # clients take a redirect for success with an empty result
    return Transport(application)


async def _render_known_error(request: Request, error: Exception) -> Response:
    """Render an error that stands in the table, and log what the client is not told."""
    request_id = _get_request_id(request)
    response = render_error(error, request_id)
    if response.status_code >= 500:
        logger.error("request %s: %s: %s", request_id, type(error).__name__, error)
    return response


async def _render_http_exception(request: Request, error: Exception) -> Response:
    """Render what the router raises: 404 and 405."""
    if not isinstance(error, HTTPException):
        raise error
    message = _MESSAGES.get(error.status_code, HTTPStatus(error.status_code).phrase.lower())
    return render_message(error.status_code, message, _get_request_id(request), error.headers)


async def _render_internal_error(request: Request, error: Exception) -> Response:
    """Render a bug; the server logs it with its traceback, the client learns only the request's id."""
    del error
    return render_message(500, INTERNAL_ERROR, _get_request_id(request))


def _get_request_id(request: Request) -> str:
    return str(getattr(request.state, REQUEST_ID_STATE))
