"""Keys over the API: shorthands for tests, and the strict form of a key."""

import base64

import httpx

from platform_api import Api, Json, items_of, read_object

ROOT = "/v1/kms/nl-01/keys"
ALWAYS = {
    "identity": str,
    "name": str,
    "slug": str,
    "keyType": str,
    "status": str,
    "exportAllowed": bool,
    "keyRotationEnabled": bool,
    "latestVersion": int,
    "createdAt": str,
    "updatedAt": str,
    "objectVersion": int,
    "versions": list,
}


def encode(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def decode(text: object) -> bytes:
    assert isinstance(text, str)
    return base64.b64decode(text, validate=True)


async def make_key(api: Api, name: str = "a key", **chosen: object) -> Json:
    key = await api.create(ROOT, {"name": name, **chosen})
    check_key(key)
    return key


def check_key(key: Json) -> None:
    """Check the members that every key has, and that integers are integers."""
    for name, kind in ALWAYS.items():
        assert type(key[name]) is kind, (name, key[name])
    for name in ("rotationPeriodInDays", "minDecryptionVersion"):
        assert type(key.get(name, 1)) is int
    for version in items_of(key, "versions"):
        assert type(version["version"]) is int
        assert version["status"] == "active"
        assert str(version["createdAt"]).endswith("Z")


def path_of(key: Json, *more: str) -> str:
    return "/".join((ROOT, str(key["identity"]), *more))


async def call(api: Api, key: Json, operation: str, **body: object) -> Json:
    """Use a key; gives the body of success."""
    response = await api.send("POST", path_of(key, operation), body)
    return read_object(response, 200)


async def refuse(api: Api, status: int, key: Json, operation: str, **body: object) -> str:
    return await api.refused(status, "POST", path_of(key, operation), body)


async def send_with(
    api: Api, method: str, path: str, headers: dict[str, str], body: object | None = None
) -> httpx.Response:
    """Send with further headers."""
    return await api.client.request(
        method,
        path,
        headers={
            "Authorization": str(api.authorization),
            "X-Organisation-Identity": str(api.organisation),
            **headers,
        },
        json=body,
    )
