"""Errors as JSON: `{"message": ..., "requestId": ...}`."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import JSONResponse

from signerd.api.errors import STATUS_OF_ERROR, ApiError

INTERNAL_ERROR: Final = "internal error"  # the log has the rest, under the request's id


def render_error(error: Exception, request_id: str) -> JSONResponse:
    """Make the response for an error that stands in the table."""
    headers = error.headers if isinstance(error, ApiError) else None
    status = STATUS_OF_ERROR[type(error)]
    message = INTERNAL_ERROR if status == 500 else str(error)
    return render_message(status, message, request_id, headers)


def render_message(
    status: int, message: str, request_id: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Make an error response.

    Args:
        status: HTTP status.
        message: For the client; never key material, plaintext, secrets or tokens.
        request_id: As in the header X-Request-Id.
        headers: Further headers.
    """
    return JSONResponse({"message": message, "requestId": request_id}, status, dict(headers or {}))
