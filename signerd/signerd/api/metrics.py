"""Figures for Prometheus. Label values come from closed sets: actions, methods, statuses."""

import hmac
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from signerd.api.error_response import render_error
from signerd.api.errors import NotAuthenticated
from signerd.api.transport import REQUEST_ID_STATE

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class ApiMetrics:
    """What is counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "signerd_api_requests", "Requests answered", ("action", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "signerd_api_seconds",
            "Time to make the response",
            ("action",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.connections = Gauge("signerd_api_connections", "Open connections", registry=self.registry)
        self.refused = Counter(
            "signerd_api_connections_refused", "Connections over a limit", registry=self.registry
        )

    def count(self, action: str, status: int, seconds: float) -> None:
        """Count a response.

        Args:
            action: Of the endpoint; `none` where there was none.
            status: HTTP status.
            seconds: Until it was ready.
        """
        self._requests.labels(action, str(status)).inc()
        self._seconds.labels(action).observe(seconds)


class MetricsEndpoint:
    """Answers `/metrics` to whoever has the token."""

    def __init__(self, metrics: ApiMetrics, token_file: Path) -> None:
        """Do nothing yet.

        Args:
            metrics: What is shown.
            token_file: Its first line is the token; read each time, so that it can be replaced.
        """
        self._metrics = metrics
        self._token_file = token_file

    def get(self, request: Request) -> Response:
        """Answer; a plain function, so it runs in a worker thread."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        lines = self._token_file.read_text().split("\n", 1)
        expected = lines[0].strip()
        if (
            scheme.lower() != "bearer"
            or not expected
            or not hmac.compare_digest(token.strip().encode(), expected.encode())
        ):
            request_id = str(getattr(request.state, REQUEST_ID_STATE))
            return render_error(NotAuthenticated("the credential is not valid"), request_id)
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)
