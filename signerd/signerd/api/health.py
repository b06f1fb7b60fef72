"""`/healthz` and `/readyz`, for whatever watches the server. Neither needs a token."""

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Readiness(Protocol):
    """Knows what is still missing. Called in the event loop, so it must not block."""

    def list_reasons(self) -> Sequence[str]:
        """Say why the server is not ready, one reason a line; nothing when it is.

        Ready means: the control process has started, and each configured zone is served by at least one
        responder with signatures that have not expired.
        """
        ...


class HealthEndpoints:
    """Answers both calls."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def get_health(self, request: Request) -> Response:
        """Say that the process is alive: 200 as long as it can answer at all."""
        del request
        return JSONResponse({"status": "ok"})

    async def get_readiness(self, request: Request) -> Response:
        """Answer 200 when the server is ready, else 503 with the reasons."""
        del request
        reasons = list(self._readiness.list_reasons())
        return JSONResponse(
            {"status": "not ready" if reasons else "ready", "reasons": reasons}, 503 if reasons else 200
        )
