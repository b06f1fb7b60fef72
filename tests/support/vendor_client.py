"""A client that speaks and reads as the vendor's does: raw HTTP on a connection kept alive, strict decoding.

What it sends is spelled out octet by octet, since libraries differ in exactly what matters here: POST without
a body is chunked with zero length and has no Content-Type, and no path is percent-encoded.
"""

import base64
import gzip
import json
import re
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from urllib.parse import quote_plus

Json = dict[str, object]
Shape = Mapping[str, "Kind"]
"""Members of a Go struct."""
Kind = str | Shape | Sequence["Kind"]
"""`string`, `bool`, `int`, `time` or `map`; a struct; or a list with one of these for all elements."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class DecodingFailed(Exception):
    """A strict decoder would fail on this answer."""


def decode(kind: Kind, value: object, where: str = "$") -> object:
    """Check a value as `encoding/json` would decode it, and give it.

    Members that the struct does not know are ignored, names compare without case, null is the zero value.

    Raises:
        DecodingFailed: It does not fit.
    """
    if value is None:
        return None
    if isinstance(kind, str):
        return _decode_scalar(kind, value, where)
    if isinstance(kind, Mapping):
        if not isinstance(value, dict):
            raise DecodingFailed(f"{where}: not an object")
        known = {name.lower(): (name, member) for name, member in kind.items()}
        for name, item in cast("Json", value).items():
            if name.lower() in known:
                decode(known[name.lower()][1], item, f"{where}.{name}")
        return cast("object", value)
    if not isinstance(value, list):
        raise DecodingFailed(f"{where}: not an array")
    for index, item in enumerate(cast("list[object]", value)):
        decode(kind[0], item, f"{where}[{index}]")
    return cast("object", value)


def _decode_scalar(kind: str, value: object, where: str) -> object:
    if kind == "map":
        if not isinstance(value, dict) or not all(
            isinstance(item, str) for item in cast("Json", value).values()
        ):
            raise DecodingFailed(f"{where}: not a map of strings")
        return cast("object", value)
    wanted = {"string": str, "bool": bool, "int": int, "time": str}[kind]
    if type(value) is not wanted:  # also no bool for an int, and no 1.0
        raise DecodingFailed(f"{where}: {value!r} is no {kind}")
    if kind == "time":
        if _TIME.fullmatch(str(value)) is None:
            raise DecodingFailed(f"{where}: {value!r} is no RFC 3339 time")
        datetime.fromisoformat(str(value))
    return value


REGION: Shape = {
    "identity": "string",
    "name": "string",
    "slug": "string",
    "description": "string",
    "createdAt": "time",
    "updatedAt": "time",
    "objectVersion": "int",
    "labels": "map",
    "annotations": "map",
}
KEY: Shape = {
    "identity": "string",
    "name": "string",
    "slug": "string",
    "description": "string",
    "labels": "map",
    "annotations": "map",
    "createdAt": "time",
    "updatedAt": "time",
    "objectVersion": "int",
    "keyType": "string",
    "status": "string",
    "exportAllowed": "bool",
    "keyRotationEnabled": "bool",
    "rotationPeriodInDays": "int",
    "latestVersion": "int",
    "imported": "bool",
    "deletionScheduledAt": "time",
    "versions": [{"version": "int", "status": "string", "createdAt": "time"}],
}
SECRET: Shape = {
    "path": "string",
    "description": "string",
    "labels": "map",
    "annotations": "map",
    "createdAt": "time",
    "updatedAt": "time",
    "kmsKey": KEY,
    "currentVersion": "int",
    "objectVersion": "int",
    "lastAccessedAt": "time",
    "region": REGION,
    "accessPolicy": {
        "statements": [{"effect": "string", "actions": ["string"], "principals": ["string"]}],
    },
    "versions": [{"version": "int", "status": "string", "createdAt": "time", "destroyedAt": "time"}],
}
LEVEL: Shape = {"path": "string", "prefixes": ["string"], "secrets": [SECRET]}
VERSION: Shape = {"path": "string", "version": "int"}
VALUE: Shape = {
    "path": "string",
    "version": "int",
    "secretString": "string",
    "secretKeyValues": "map",
    "kmsKeyIdentity": "string",
    "kmsKeyVersion": "string",
}
CIPHERTEXT: Shape = {"ciphertext": "string", "keyVersion": "string"}
PLAINTEXT: Shape = {"plaintext": "string", "keyVersion": "string"}
SUMMARY: Shape = {
    "featureEnabled": "bool",
    "regions": [
        {
            "identity": "string",
            "name": "string",
            "slug": "string",
            "kmsAvailable": "bool",
            "totalKeys": "int",
            "activeKeys": "int",
            "disabledKeys": "int",
            "pendingDeletionKeys": "int",
        }
    ],
}
USER: Shape = {"subject": "string", "name": "string", "email": "string", "createdAt": "time"}
ORGANISATION: Shape = {**REGION}
AUDIT: Shape = {
    "items": [
        {
            "eventID": "string",
            "createdAt": "time",
            "action": "string",
            "userIdentity": "string",
            "user": USER,
            "serviceAccountIdentity": "string",
            "serviceAccount": ORGANISATION,
            "organizationIdentity": "string",
            "organization": ORGANISATION,
            "resourceType": "string",
            "resourceIdentity": "string",
            "description": "string",
            "context": {},
        }
    ],
    "totalItems": "int",
    "page": "int",
    "itemsPerPage": "int",
    "totalPages": "int",
    "totalCount": "int",
}
TOKEN: Shape = {"access_token": "string", "token_type": "string", "expires_in": "int"}
ERROR: Shape = {"message": "string"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response.

    Attributes:
        headers: By name in lower case.
        body: Decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def read(self, kind: Kind, status: int = 200) -> object:
        """Decode a body of success; the client takes one that is not said to be JSON for empty."""
        assert self.status == status, self.body
        assert self.headers["content-type"].partition(";")[0] == "application/json"
        return decode(kind, json.loads(self.body))

    def read_object(self, kind: Shape, status: int = 200) -> Json:
        return cast("Json", self.read(kind, status))

    def read_list(self, kind: Shape) -> list[Json]:
        return cast("list[Json]", self.read([kind]))

    def read_message(self, status: int) -> str:
        """Give the message of an error."""
        return str(self.read_object(ERROR, status)["message"])


@dataclass
class VendorClient:
    """The client, on one connection that is used again and again.

    Attributes:
        port: Of the server on 127.0.0.1.
        authorization: Value of the header; None sends none.
        organisation: Value of X-Organisation-Identity; None sends none.
        project: Value of X-Project-Identity, if any.
    """

    port: int
    authorization: str | None
    organisation: str | None = "local"
    project: str | None = None
    agent: str = "thalassa-cloud-client-go (linux; amd64)"
    _local: threading.local = field(default_factory=threading.local, repr=False)

    def call(self, method: str, target: str, body: object | None = None) -> Answer:
        """Send a request and read the whole answer."""
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"User-Agent: {self.agent}",
        ]
        content = b""
        if body is not None:
            content = json.dumps(body, separators=(",", ":")).encode()
            lines += [f"Content-Length: {len(content)}", "Content-Type: application/json"]
        elif method in ("POST", "PUT", "PATCH"):
            lines.append("Transfer-Encoding: chunked")
            content = b"0\r\n\r\n"
        lines.append("Accept: application/json")
        if self.authorization is not None:
            lines.append(f"Authorization: {self.authorization}")
        if self.organisation is not None:
            lines.append(f"X-Organisation-Identity: {self.organisation}")
        if self.project is not None:
            lines.append(f"X-Project-Identity: {self.project}")
        lines.append("Accept-Encoding: gzip")
        return self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content)

    def fetch_token(self, access_key: str, secret: str, *, in_body: bool = False) -> str:
        """Ask for an access token with client credentials, as Basic or in the body."""
        lines = ["POST /oidc/token HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"User-Agent: {self.agent}"]
        form = "grant_type=client_credentials"
        if in_body:
            form = f"client_id={quote_plus(access_key)}&client_secret={quote_plus(secret)}&{form}"
        else:
            pair = f"{quote_plus(access_key)}:{quote_plus(secret)}".encode()
            lines.append(f"Authorization: Basic {base64.b64encode(pair).decode()}")
        lines += [
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(form)}",
            "Accept-Encoding: gzip",
        ]
        answer = self.send(("\r\n".join(lines) + "\r\n\r\n" + form).encode())
        token = answer.read_object(TOKEN)
        assert token["token_type"] == "Bearer"  # noqa: S105
        return str(token["access_token"])

    def send(self, octets: bytes) -> Answer:
        """Send octets on the connection of this thread."""
        stream = self._connect()
        stream.sendall(octets)
        answer = _read_answer(stream)
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    def _connect(self) -> socket.socket:
        stream = cast("socket.socket | None", getattr(self._local, "stream", None))
        if stream is None:
            stream = self._local.stream = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return stream

    def close(self) -> None:
        """End the connection of this thread."""
        stream = cast("socket.socket | None", getattr(self._local, "stream", None))
        if stream is not None:
            stream.close()
            self._local.stream = None


def list_objects(body: Json, name: str) -> list[Json]:
    """Give a member that is a list of objects."""
    items = body[name]
    assert isinstance(items, list)
    return cast("list[Json]", items)


def _read_answer(stream: socket.socket) -> Answer:
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        received = stream.recv(65536)
        assert received, buffer
        buffer += received
    head, _, body = buffer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split(" ")[1])
    length = 0 if status == 204 else int(headers["content-length"])
    while len(body) < length:
        received = stream.recv(65536)
        assert received, "the connection ended inside a body"
        body += received
    assert len(body) == length, "octets after the body: the connection is out of step"
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Answer(status, headers, body)
