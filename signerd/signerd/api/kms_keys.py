"""`/v1/kms/{region}/keys`: making, listing and changing keys."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from types import GenericAlias
from typing import Final

from signerd.api.call import Call
from signerd.api.cursor import decode_cursor, encode_cursor
from signerd.api.errors import InvalidBody, MalformedRequest
from signerd.api.filters import select_matching
from signerd.api.kms_backend import (
    OpenKms,
    Place,
    find_key,
    find_place,
    read_expected_version,
    read_number_parameter,
    read_octets,
)
from signerd.api.kms_views import KeyBody, render_key, reply_key
from signerd.api.reply import Reply
from signerd.api.route import Endpoint
from signerd.api.wire import WireModel
from signerd.platform.errors import Forbidden
from signerd.platform.gate import Gate
from signerd.platform.rights import KMS_KEY, SECRET
from signerd_kms.creation_record import Once
from signerd_kms.foreign_material import OaepHash, parse_oaep_hash
from signerd_kms.key import Key, KeyStatus, KeyType
from signerd_kms.new_key import NewKey
from signerd_kms.request import MAX_PENDING_DAYS
from signerd_kms.root_key import Label
from signerd_secrets.secret_rows import list_bound_paths

ROOT: Final = "/v1/kms/{region}/keys"
ONE: Final = f"{ROOT}/{{key}}"
GATES: Final = (Gate.KMS,)
DEFAULT_KEY_TYPE: Final = KeyType.AES256_GCM96
MAX_PAGE: Final = 1000  # keys; without `limit` a list is whole, as clients of the contract expect
MAX_DEPENDENT_SECRETS: Final = 1000  # named in one answer; a warning, not a list
NEXT_CURSOR_HEADER: Final = "X-Next-Cursor"


class NewKeyRequest(WireModel):
    """A key to make, or to import if `importKeyMaterial` is there."""

    name: str
    description: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    key_type: str | None = None
    export_allowed: bool | None = None
    key_rotation_enabled: bool | None = None
    rotation_period_in_days: int | None = None
    import_key_material: str | None = None
    hash_function: str | None = None
    allow_rotation: bool | None = None

    def describe(self) -> NewKey:
        """Give what is chosen for the key."""
        return NewKey(
            self.name,
            _read_key_type(self.key_type),
            self.description or "",
            self.labels or {},
            self.annotations or {},
            self.export_allowed or False,
            self.key_rotation_enabled or False,
            self.rotation_period_in_days,
        )


class RotationRequest(WireModel):
    """When a key is rotated by itself; what is missing stays as it is."""

    key_rotation_enabled: bool | None = None
    rotation_period_in_days: int | None = None


class WrappingKeyBody(WireModel):
    """What a key is wrapped with for an import."""

    public_key: str
    algorithm: str


class _KeyCalls:
    def __init__(self, open_kms: OpenKms) -> None:
        self._open = open_kms

    def list(self, call: Call) -> Reply:
        """List the keys that the caller may read; one page if `limit` asks for it."""
        place = find_place(self._open, call)
        if not call.rights.allows_some(KMS_KEY, "list"):
            raise Forbidden(KMS_KEY, "list")
        limit = read_number_parameter(call, "limit")
        if limit is not None and not 1 <= limit <= MAX_PAGE:
            raise MalformedRequest(f"limit must be 1 to {MAX_PAGE}")
        status = call.query.first("status")
        visible = [
            key
            for key in place.kms.list_keys(place.scope)
            if call.rights.allows(KMS_KEY, "read", key.identity) and status in (None, key.status.value)
        ]
        found = select_matching(call.query, visible, lambda key: key)
        page, headers = _take_page(place, call, found, limit)
        return Reply(200, [render_key(key) for key in page], headers)

    def create(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        call.rights.require(KMS_KEY, "create")
        request = call.read(NewKeyRequest)
        new = request.describe()
        once = _read_once(call, place)
        if request.import_key_material:
            return reply_key(self._import(call, place, request, new, once), 201)
        if request.hash_function or request.allow_rotation:
            raise InvalidBody("hashFunction and allowRotation are for imports only")
        key = place.kms.create_key(
            place.scope,
            new.name,
            new.key_type,
            by=call.attribution,
            description=new.description,
            labels=new.labels,
            annotations=new.annotations,
            export_allowed=new.export_allowed,
            rotation_enabled=new.rotation_enabled,
            rotation_period_in_days=new.rotation_period_in_days,
            once=once,
        )
        return reply_key(key, 201)

    def get(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        return _reply_with_dependents(place, call, find_key(place, call, "read"))

    def rotate(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        key = find_key(place, call, "rotate")
        call.read_empty()
        expected = read_expected_version(call)
        return reply_key(
            place.kms.rotate(place.scope, key.identity, by=call.attribution, expected_version=expected)
        )

    def update_rotation(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        key = find_key(place, call, "update")
        request = call.read(RotationRequest)
        changed = place.kms.update_rotation(
            place.scope,
            key.identity,
            by=call.attribution,
            enabled=request.key_rotation_enabled,
            period_in_days=request.rotation_period_in_days,
            expected_version=read_expected_version(call),
        )
        return reply_key(changed)

    def enable(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        key = find_key(place, call, "delete")
        call.read_empty()
        expected = read_expected_version(call)
        return reply_key(
            place.kms.enable(place.scope, key.identity, by=call.attribution, expected_version=expected)
        )

    def disable(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        key = find_key(place, call, "delete")
        call.read_empty()
        expected = read_expected_version(call)
        return reply_key(
            place.kms.disable(place.scope, key.identity, by=call.attribution, expected_version=expected)
        )

    def delete(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        key = find_key(place, call, "delete")
        days = read_number_parameter(call, "pendingDays")
        changed = place.kms.schedule_deletion(
            place.scope,
            key.identity,
            by=call.attribution,
            pending_days=MAX_PENDING_DAYS if days is None else days,
            expected_version=read_expected_version(call),
        )
        return _reply_with_dependents(place, call, changed)

    def cancel_deletion(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        key = find_key(place, call, "delete")
        expected = read_expected_version(call)
        return reply_key(
            place.kms.cancel_deletion(
                place.scope, key.identity, by=call.attribution, expected_version=expected
            )
        )

    def get_wrapping_key(self, call: Call) -> Reply:
        place = find_place(self._open, call)
        call.rights.require(KMS_KEY, "create")
        key = place.kms.wrapping_public_key(place.scope, by=call.attribution)
        return Reply(body={"publicKey": key.pem, "algorithm": key.algorithm})

    def _import(
        self, call: Call, place: Place, request: NewKeyRequest, new: NewKey, once: Once | None
    ) -> Key:
        is_sha1_allowed = place.backend.is_sha1_import_allowed
        oaep_hash = OaepHash.SHA256
        if request.hash_function:
            oaep_hash = parse_oaep_hash(request.hash_function, is_sha1_allowed=is_sha1_allowed)
        return place.kms.import_key(
            place.scope,
            new,
            read_octets("importKeyMaterial", request.import_key_material or ""),
            by=call.attribution,
            oaep_hash=oaep_hash,
            rotation_allowed=request.allow_rotation or False,
            once=once,
        )


def _reply_with_dependents(place: Place, call: Call, key: Key) -> Reply:
    """Answer with a key, and warn of what depends on it while it is pending deletion."""
    if key.status is not KeyStatus.PENDING_DELETION:
        return reply_key(key)
    with place.backend.store.read() as connection:
        bound = list_bound_paths(connection, place.scope, key.identity)
        visible = (path for path in bound if call.rights.allows(SECRET, "read", path))
        secrets = list(islice(visible, MAX_DEPENDENT_SECRETS))
    return reply_key(key, zones=place.kms.list_zones(place.scope, key.identity), secrets=secrets)


def _read_key_type(text: str | None) -> KeyType:
    if not text:
        return DEFAULT_KEY_TYPE
    try:
        return KeyType(text)
    except ValueError as error:
        raise InvalidBody(f"keyType: must be one of {', '.join(KeyType)}") from error


def _read_once(call: Call, place: Place) -> Once | None:
    """Read `Idempotency-Key`, and bind it to all that is asked for."""
    values = call.headers.getlist("Idempotency-Key")
    if not values:
        return None
    if len(values) > 1:
        raise MalformedRequest("Idempotency-Key stands in the request more than once")
    asked = [b"POST", ROOT.encode(), place.scope.region.encode(), (place.scope.project or "").encode()]
    digest = hashlib.sha256()
    for part in (*asked, call.body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Once(call.principal.actor, values[0], digest.digest())


def _take_page(
    place: Place, call: Call, keys: Sequence[Key], limit: int | None
) -> tuple[Sequence[Key], Mapping[str, str]]:
    """Cut a page out of a list, and say where the next one begins."""
    text = call.query.first("cursor")
    if limit is None and text is None:
        return keys, {}
    bound = [
        place.scope.organisation,
        place.scope.region,
        place.scope.project,
        *(call.query.first(name) for name in ("identity", "name", "slug", "status")),
        *(f"{name}={value}" for name, value in sorted(call.query.labels().items())),
    ]
    with place.kms.derive_key(Label.CURSOR) as secret:
        if text is not None:
            created_at, identity = decode_cursor(secret.octets, bound, text)
            begin = (int(created_at), str(identity))
            keys = [key for key in keys if (key.created_at, key.identity) > begin]
        page = keys if limit is None else keys[:limit]
        if len(page) == len(keys):
            return page, {}
        last = page[-1]
        following = encode_cursor(secret.octets, bound, (last.created_at, last.identity))
        return page, {NEXT_CURSOR_HEADER: following}


def list_key_endpoints(open_kms: OpenKms) -> list[Endpoint]:
    """Give the calls."""
    calls = _KeyCalls(open_kms)
    shared = (401, 403, 404, 503)

    def make(
        method: str,
        pattern: str,
        handle: Callable[[Call], Reply],
        action: str,
        summary: str,
        *statuses: int,
        request: type[WireModel] | None = None,
        response: type[WireModel] | GenericAlias = KeyBody,
        is_expensive: bool = False,
    ) -> Endpoint:
        return Endpoint(
            method,
            pattern,
            handle,
            f"kms:{action}",
            summary,
            gates=GATES,
            resource_type=KMS_KEY if "{key}" in pattern else None,
            request=request,
            response=response,
            statuses=(*statuses, *shared),
            is_expensive=is_expensive,
        )

    return [
        make(
            "GET",
            ROOT,
            calls.list,
            "List",
            "The keys that the caller may read",
            200,
            400,
            response=GenericAlias(list, (KeyBody,)),
            is_expensive=True,
        ),
        make(
            "POST",
            ROOT,
            calls.create,
            "Create",
            "Make or import a key",
            201,
            400,
            409,
            request=NewKeyRequest,
            is_expensive=True,
        ),
        make("GET", ONE, calls.get, "Read", "One key", 200),
        make(
            "POST",
            f"{ONE}/rotate",
            calls.rotate,
            "Rotate",
            "Make a new version",
            200,
            400,
            412,
            is_expensive=True,
        ),
        make(
            "PATCH",
            f"{ONE}/rotation",
            calls.update_rotation,
            "UpdateRotation",
            "Change when a key is rotated by itself",
            200,
            400,
            412,
            request=RotationRequest,
        ),
        make("POST", f"{ONE}/enable", calls.enable, "Enable", "Let a key be used again", 200, 400, 412),
        make("POST", f"{ONE}/disable", calls.disable, "Disable", "Forbid the use of a key", 200, 400, 412),
        make("DELETE", ONE, calls.delete, "ScheduleDeletion", "Have a key destroyed later", 200, 400, 412),
        make(
            "DELETE",
            f"{ONE}/cancel-deletion",
            calls.cancel_deletion,
            "CancelDeletion",
            "Keep a key that is pending deletion",
            200,
            400,
            409,
            412,
        ),
        make(
            "GET",
            "/v1/kms/{region}/wrapping-key",
            calls.get_wrapping_key,
            "GetWrappingKey",
            "The public key that imports are wrapped with",
            200,
            response=WrappingKeyBody,
            is_expensive=True,
        ),
    ]
