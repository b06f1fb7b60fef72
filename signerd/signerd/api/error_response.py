"""Errors as JSON: `{"message": ..., "requestId": ...}`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import JSONResponse

from signerd.api.errors import STATUS_OF_ERROR, ApiError

INTERNAL_ERROR: Final = "internal error"  # the log has the rest, under the request's id
_AUTHENTICATE: Final[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}  # RFC 9110, section 15.5.2
_NO_HEADERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class ErrorDescription:
    """What a client is told about an error."""

    status: int
    message: str
    headers: Mapping[str, str]


def describe_error(error: Exception) -> ErrorDescription:
    """Say what a client is told about an error that stands in the table."""
    status = STATUS_OF_ERROR[type(error)]
    headers = error.headers if isinstance(error, ApiError) else _NO_HEADERS
    if status == 401:
        headers = {**_AUTHENTICATE, **headers}
    return ErrorDescription(status, INTERNAL_ERROR if status == 500 else str(error), headers)


def make_error_body(message: str, request_id: str) -> dict[str, str]:
    """Make the body of an error response.

    Args:
        message: For the client; never key material, plaintext, secrets or tokens.
        request_id: As in the header X-Request-Id.
    """
    return {"message": message, "requestId": request_id}


def render_error(error: Exception, request_id: str) -> JSONResponse:
    """Make the response for an error that stands in the table."""
    described = describe_error(error)
    return render_message(described.status, described.message, request_id, described.headers)


def render_message(
    status: int, message: str, request_id: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Make an error response; arguments as those of `make_error_body`."""
    return JSONResponse(make_error_body(message, request_id), status, dict(headers or {}))
