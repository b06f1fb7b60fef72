"""What the audit keeps of each request: everything that tells who did what, and no value."""

from collections.abc import Mapping
from typing import Final, Protocol

from sqlalchemy import Connection
from starlette.datastructures import Headers

from signerd.api.errors import MalformedRequest
from signerd.api.query import parse_query
from signerd.api.route import Endpoint
from signerd.platform.request_record import RequestRecord
from signerd.platform.rights import DNS_ZONE, SECRET

SAFE_HEADERS: Final = (
    "User-Agent",
    "Referer",
    "X-Forwarded-For",
    "Content-Type",
    "Accept",
    "X-Request-Id",
)
MAX_HEADER_CHARACTERS: Final = 512  # what a caller can put into an audit entry is bounded
MAX_PATH_CHARACTERS: Final = 2048


class RequestAudit(Protocol):
    """Keeps records of requests. Called in worker threads, so it may block."""

    def record_request(self, record: RequestRecord) -> None:
        """Store a record durably.

        Raises:
            Exception: It is not stored; the response must not leave.
        """
        ...

    def append_request(self, connection: Connection, record: RequestRecord) -> None:
        """Store a record of success in a transaction that the caller commits."""
        ...


def select_safe_headers(headers: Headers) -> Mapping[str, str]:
    """Give those headers that hold no credential, cut to a bounded length."""
    return {
        name: value[:MAX_HEADER_CHARACTERS]
        for name in SAFE_HEADERS
        if (value := headers.get(name)) is not None
    }


def name_resource(endpoint: Endpoint, path: Mapping[str, str], query: bytes) -> str | None:
    """Give what a request is about; None if that has no type.

    Args:
        endpoint: What was asked for.
        path: Parameters of the path, of which the last is the resource.
        query: Where the path of a secret may stand instead.
    """
    if endpoint.resource_type is None or not path:
        return None
    if endpoint.resource_type == DNS_ZONE:  # records are parts of it, and have no entries of their own
        return path.get("zone")
    if endpoint.resource_type != SECRET:
        return [*path.values()][-1]
    if rest := path.get("path"):
        return f"/{rest}"[:MAX_PATH_CHARACTERS]
    try:
        asked = parse_query(query).first("path")
    except MalformedRequest:
        return None
    return asked[:MAX_PATH_CHARACTERS] if asked else None
