"""`/v1/secrets/{region}`: secrets, their versions, values and access policies."""

from collections.abc import Callable
from typing import Final

from signerd.api.call import Call
from signerd.api.errors import InvalidBody, MalformedRequest
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import Endpoint
from signerd.api.secret_backend import (
    OpenSecrets,
    ReadableSecrets,
    SecretPlace,
    check_repeated_path,
    find_secret_place,
    make_key_check,
    make_visitor,
    read_secret_path,
    read_secret_version,
)
from signerd.api.secret_views import (
    LevelBody,
    RevealedBody,
    SecretBody,
    VersionAddedBody,
    render_secret,
    render_secrets,
)
from signerd.api.wire import WireModel
from signerd.platform.errors import Forbidden
from signerd.platform.gate import Gate
from signerd.platform.rights import KMS_KEY, SECRET
from signerd_kms.errors import KeyUnknown
from signerd_kms.key import KeyIdentity
from signerd_secrets.access_policy import parse_policy
from signerd_secrets.path import SecretPath, check_directory, check_path, check_prefix
from signerd_secrets.secrets_manager import NewSecret
from signerd_secrets.value import SecretValue, ValueFormat, make_value

ALL: Final = "/v1/secrets/{region}/secrets"
ONE: Final = "/v1/secrets/{region}/secret"
REST: Final = f"{ONE}/{{path...}}"
GATES: Final = (Gate.SECRETS, Gate.KMS)
_TRUE: Final = frozenset({"true", "1"})


class GenerateRequest(WireModel):
    """A random value to make; 0 or nothing is 32 octets."""

    byte_length: int | None = None
    length: int | None = None  # its older name


class ValueRequest(WireModel):
    """A value: exactly one of the three."""

    path: str | None = None
    secret_string: str | None = None
    secret_key_values: dict[str, str] | None = None
    generate_secret: GenerateRequest | None = None

    def make_value(self) -> SecretValue:
        """Give the value."""
        generate = self.generate_secret
        return make_value(
            secret_string=self.secret_string,
            secret_key_values=self.secret_key_values,
            generate_octets=None if generate is None else generate.byte_length or generate.length or 0,
        )


class NewSecretRequest(ValueRequest):
    """A secret to make."""

    kms_key_identity: str
    description: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    access_policy: dict[str, object] | None = None


class PolicyRequest(WireModel):
    """An access policy; null or an empty one clears it."""

    access_policy: dict[str, object] | None


class RevealRequest(WireModel):
    """Which version to reveal; nothing is the current one."""

    path: str | None = None
    version: int | None = None


class _SecretCalls:
    def __init__(self, open_secrets: OpenSecrets, now: Callable[[], int]) -> None:
        self._open = open_secrets
        self._now = now

    def list(self, call: Call) -> Reply:
        place = find_secret_place(self._open, call)
        if not call.rights.allows_some(SECRET, "list"):
            raise Forbidden(SECRET, "list")
        directory, prefix = call.query.first("path"), call.query.first("pathPrefix")
        sight = ReadableSecrets(call.rights)
        if prefix is not None:
            if directory is not None:
                raise MalformedRequest("path and pathPrefix exclude each other")
            found = place.secrets.list_below(place.scope, check_prefix(prefix), sight)
            return Reply(body=render_secrets(place, found))
        level = place.secrets.browse(place.scope, check_directory(directory or "/"), sight)
        body: dict[str, JsonValue] = {
            "path": level.directory,
            "prefixes": [*level.prefixes],
            "secrets": render_secrets(place, level.secrets),
        }
        return Reply(body=body)

    def create(self, call: Call) -> Reply:
        place = find_secret_place(self._open, call)
        place.require_kms()
        if not call.rights.allows_some(SECRET, "create"):
            raise Forbidden(SECRET, "create")
        request = call.read(NewSecretRequest)
        if not request.path:
            raise InvalidBody("path is required")
        path = check_path(request.path if request.path.startswith("/") else f"/{request.path}")
        call.rights.require(SECRET, "create", path)
        new = NewSecret(
            path,
            self._find_key(place, call, request.kms_key_identity),
            request.make_value(),
            request.description or "",
            request.labels or {},
            request.annotations or {},
            parse_policy(request.access_policy),
        )
        return Reply(201, render_secret(place, place.secrets.create(place.scope, new, by=call.attribution)))

    def _find_key(self, place: SecretPlace, call: Call, reference: str) -> KeyIdentity:
        """Find the key to bind to; what the caller may not use looks like what is not there."""
        key = place.backend.kms.resolve_key(place.scope, reference)
        if not call.rights.allows(KMS_KEY, "encrypt", key.identity):
            raise KeyUnknown(f"no key {reference}")
        return key.identity

    def get(self, call: Call) -> Reply:
        place, path = self._find(call, "read")
        with_versions = (call.query.first("includeVersions") or "").lower() in _TRUE
        secret = place.secrets.get(place.scope, path, with_versions=with_versions)
        return Reply(body=render_secret(place, secret, with_versions=with_versions))

    def delete(self, call: Call) -> Reply:
        place, path = self._find(call, "delete")
        place.secrets.delete(place.scope, path, by=call.attribution)
        return Reply(204)

    def set_policy(self, call: Call) -> Reply:
        place, path = self._find(call, "update")
        place.secrets.get(place.scope, path)
        policy = parse_policy(call.read(PolicyRequest).access_policy)
        secret = place.secrets.set_policy(place.scope, path, policy, by=call.attribution)
        return Reply(body=render_secret(place, secret))

    def put_value(self, call: Call) -> Reply:
        place, path = self._find(call, "putSecretValue")
        place.require_kms()
        request = call.read(ValueRequest)
        check_repeated_path(path, request.path)
        version = place.secrets.put(
            place.scope,
            path,
            request.make_value(),
            make_visitor(place, call, self._now()),
            make_key_check(call.rights, "encrypt"),
            by=call.attribution,
        )
        return Reply(201, {"path": path, "version": version})

    def reveal(self, call: Call) -> Reply:
        place, path = self._find(call, "getSecretValue")
        place.require_kms()
        request = call.read(RevealRequest)
        check_repeated_path(path, request.path)
        if request.version is not None and request.version < 1:
            raise InvalidBody("version: must be a positive integer")
        revealed = place.secrets.reveal(
            place.scope,
            path,
            request.version,
            make_visitor(place, call, self._now()),
            make_key_check(call.rights, "decrypt"),
            by=call.attribution,
        )
        body: dict[str, JsonValue] = {"path": path, "version": revealed.version}
        if revealed.value.format is ValueFormat.STRING:
            body["secretString"] = revealed.value.render_string()
        else:
            body["secretKeyValues"] = revealed.value.render_key_values()
        body["kmsKeyIdentity"] = revealed.kms_key
        body["kmsKeyVersion"] = str(revealed.kms_key_version)
        return Reply(body=body)

    def destroy_version(self, call: Call) -> Reply:
        """Destroy a version; without one, the URL names a secret whose path ends in `/versions`."""
        version = read_secret_version(call)
        if version is None and "path" in call.path and call.query.first("path") is None:
            rest = call.path["path"]
            place, path = self._find_named(call, f"{rest}/versions" if rest else "versions", "delete")
            place.secrets.delete(place.scope, path, by=call.attribution)
            return Reply(204)
        place, path = self._find(call, "delete")
        if version is None:
            raise MalformedRequest("the parameter version is missing")
        place.secrets.destroy_version(place.scope, path, version, by=call.attribution)
        return Reply(204)

    def _find(self, call: Call, verb: str) -> tuple[SecretPlace, SecretPath]:
        """Find the place and path of a call, and check the right on the path before anything is looked up.

        A caller without it learns nothing of what is there.
        """
        place = find_secret_place(self._open, call)
        path = read_secret_path(call)
        call.rights.require(SECRET, verb, path)
        return place, path

    def _find_named(self, call: Call, rest: str, verb: str) -> tuple[SecretPlace, SecretPath]:
        place = find_secret_place(self._open, call)
        path = check_path("/" + rest)
        call.rights.require(SECRET, verb, path)
        return place, path


def list_secret_endpoints(open_secrets: OpenSecrets, now: Callable[[], int]) -> list[Endpoint]:
    """Give the calls.

    Args:
        open_secrets: Gives what they work with.
        now: Gives seconds since 1970, UTC, for the times of access policies.
    """
    calls = _SecretCalls(open_secrets, now)
    shared = (400, 401, 403, 404)

    def make(
        method: str,
        pattern: str,
        handle: Callable[[Call], Reply],
        action: str,
        summary: str,
        *statuses: int,
        request: type[WireModel] | None = None,
        response: type[WireModel] | None = None,
        is_expensive: bool = False,
    ) -> Endpoint:
        return Endpoint(
            method,
            pattern,
            handle,
            f"secrets:{action}",
            summary,
            gates=GATES,
            resource_type=SECRET if pattern != ALL else None,
            request=request,
            response=response,
            statuses=(*statuses, *shared),
            is_expensive=is_expensive,
        )

    endpoints = [
        make(
            "GET",
            ALL,
            calls.list,
            "List",
            "One directory, or all below a prefix",
            200,
            response=LevelBody,
            is_expensive=True,
        ),
        make(
            "POST",
            ALL,
            calls.create,
            "Create",
            "Make a secret with its first version",
            201,
            409,
            503,
            request=NewSecretRequest,
            response=SecretBody,
        ),
    ]
    for root in (ONE, REST):  # the path stands in the query, or in the URL
        endpoints += [
            make("GET", root, calls.get, "Read", "One secret", 200, response=SecretBody),
            make("DELETE", root, calls.delete, "Delete", "Remove a secret with all its versions", 204, 503),
        ]
    endpoints += [
        make(
            "PUT",
            f"{REST}/policy",
            calls.set_policy,
            "SetPolicy",
            "Replace or clear the access policy",
            200,
            503,
            request=PolicyRequest,
            response=SecretBody,
        ),
        make(
            "POST",
            f"{REST}/versions",
            calls.put_value,
            "PutValue",
            "Add a version",
            201,
            503,
            request=ValueRequest,
            response=VersionAddedBody,
        ),
        make(
            "POST",
            f"{REST}/value",
            calls.reveal,
            "GetValue",
            "Reveal a value",
            200,
            503,
            request=RevealRequest,
            response=RevealedBody,
        ),
        make(
            "DELETE",
            f"{REST}/versions",
            calls.destroy_version,
            "DestroyVersion",
            "Erase a value for good",
            204,
            503,
        ),
    ]
    return endpoints
