"""Errors as JSON: `{"message": ..., "code": ..., "requestId": ...}`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import JSONResponse

from signerd.api.errors import COMPONENT_ERRORS, STATUS_OF_ERROR, ApiError

INTERNAL_ERROR: Final = "internal error"  # the log has the rest, under the request's id
INTERNAL_CODE: Final = "api.internal_error"
NOT_FOUND: Final = "not found"
NOT_FOUND_CODE: Final = "api.not_found"
METHOD_NOT_ALLOWED: Final = "method not allowed"
METHOD_NOT_ALLOWED_CODE: Final = "api.method_not_allowed"
_AUTHENTICATE: Final[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}  # RFC 9110, section 15.5.2
_NO_HEADERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class ErrorDescription:
    """What a client is told about an error; a program tells them apart by the code."""

    status: int
    message: str
    code: str
    headers: Mapping[str, str]


def describe_error(error: Exception) -> ErrorDescription:
    """Say what a client is told about an error that stands in the table."""
    status = STATUS_OF_ERROR[type(error)]
    headers = error.headers if isinstance(error, ApiError) else _NO_HEADERS
    if status == 401:
        headers = {**_AUTHENTICATE, **headers}
    if status == 500:
        return ErrorDescription(status, INTERNAL_ERROR, INTERNAL_CODE, headers)
    code = error.code if isinstance(error, COMPONENT_ERRORS) else INTERNAL_CODE
    return ErrorDescription(status, str(error), code, headers)


def make_error_body(message: str, code: str, request_id: str) -> dict[str, str]:
    """Make the body of an error response.

    Args:
        message: For the client; never key material, plaintext, secrets or tokens.
        code: Of the class of the error; stays when the message is worded anew.
        request_id: As in the header X-Request-Id.
    """
    return {"message": message, "code": code, "requestId": request_id}


def render_error(error: Exception, request_id: str) -> JSONResponse:
    """Make the response for an error that stands in the table."""
    described = describe_error(error)
    return render_message(described.status, described.message, described.code, request_id, described.headers)


def render_message(
    status: int, message: str, code: str, request_id: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Make an error response; arguments as those of `make_error_body`."""
    return JSONResponse(make_error_body(message, code, request_id), status, dict(headers or {}))
