"""What goes over the wire: the body of an event, and the headers that prove where it comes from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from signerd.alarm.alarm import AlarmEvent

EVENT_HEADER: Final = "Signerd-Event-Id"
TIMESTAMP_HEADER: Final = "Signerd-Timestamp"
SIGNATURE_HEADER: Final = "Signerd-Signature"


@dataclass(frozen=True, slots=True)
class KeySignature:
    """A MAC, and the key that made it.

    Attributes:
        key: Identity of the key.
        version: Of the key.
        octets: HMAC with SHA-256.
    """

    key: str
    version: int
    octets: bytes


def make_body(event: AlarmEvent, server: str) -> str:
    """Print an event as JSON.

    Args:
        event: What happened.
        server: Name of this machine, for receivers of several.
    """
    return json.dumps(
        {
            "id": event.identity,
            "kind": event.kind.value,
            "code": event.code,
            "zone": event.zone or None,
            "text": event.text,
            "who": event.who or None,
            "at": _format_time(event.at),
            "since": None if event.since is None else _format_time(event.since),
            "server": server,
        },
        separators=(",", ":"),
    )


def make_signed_octets(timestamp: int, body: bytes) -> bytes:
    """Give what is signed: the time of the attempt, a full stop, the body."""
    return b"%d.%s" % (timestamp, body)


def make_headers(event: str, timestamp: int, signature: KeySignature, agent: str) -> Mapping[str, str]:
    """Give the headers of an attempt.

    Args:
        event: Its identity, the same in each attempt: a receiver that knows it does nothing again.
        timestamp: Of the attempt, epoch seconds; receivers refuse old ones, so that nobody can replay them.
        signature: Over `make_signed_octets`.
        agent: Name and version of this program.
    """
    parts = (
        f"t={timestamp}",
        f"key={signature.key}",
        f"version={signature.version}",
        f"v1={signature.octets.hex()}",
    )
    return {
        "Content-Type": "application/json",
        "User-Agent": agent,
        EVENT_HEADER: event,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: ",".join(parts),
    }


def _format_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
