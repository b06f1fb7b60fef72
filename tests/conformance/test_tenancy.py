"""Tenancy: principals x operations x resources. Every cell is asked for over HTTP.

A row is an operation on a resource; a column is who asks. The cell is the status that must come back.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import pytest

from platform_api import Api, Json, PlatformApi, format_moment, text_of
from signerd.platform.membership import Role

NOW = 1_800_000_000
PLAINTEXT = base64.b64encode(b"hello").decode()
KEYS = "/v1/kms/nl-01/keys"
SECRETS = "/v1/secrets/nl-01"

COLUMNS: tuple[str, ...] = (
    "admin",
    "auditor",
    "member",
    "signer",
    "foreign",
    "home",
    "project",
    "reader",
    "expired",
    "revoked",
    "anonymous",
)
"""Who asks.

admin: the owner. auditor: has `org-auditor`. member: no rights. signer: a service account that may only
encrypt with key A. foreign: the owner of another organisation, naming this one. home: the same, naming their
own and guessing identities of this one. project: an administrator's token for project One. reader: an
administrator's token with `api:read`. expired, revoked: tokens of an administrator that once were good.
anonymous: no credential.
"""

TABLE = """
GET    /v1/regions                                    200 200 200 200 403 200 200 200 401 401 401
GET    /v1/regions/nl-01                              200 200 200 200 403 200 200 200 401 401 401
GET    /v1/kms/summary                                200 200 200 200 403 200 200 200 401 401 401
GET    /v1/memberships                                200 403 403 403 403 200 403 200 401 401 401
PUT    /v1/memberships/{membership}                   200 403 403 403 403 404 403 403 401 401 401
DELETE /v1/memberships/{membership}                   204 403 403 403 403 404 403 403 401 401 401
GET    /v1/iam/roles                                  200 403 403 403 403 200 403 200 401 401 401
POST   /v1/iam/roles                                  201 403 403 403 403 201 403 403 401 401 401
GET    /v1/iam/roles/{role}                           200 403 403 403 403 404 403 200 401 401 401
POST   /v1/iam/roles/{role}/rules                     201 403 403 403 403 404 403 403 401 401 401
GET    /v1/iam/roles/{role}/bindings                  200 403 403 403 403 404 403 200 401 401 401
POST   /v1/iam/roles/{role}/bindings                  201 403 403 403 403 404 403 403 401 401 401
DELETE /v1/iam/roles/{role}                           204 403 403 403 403 404 403 403 401 401 401
GET    /v1/service-accounts                           200 403 403 403 403 200 403 200 401 401 401
GET    /v1/service-accounts/{account}                 200 403 403 403 403 404 403 200 401 401 401
PUT    /v1/service-accounts/{account}                 200 403 403 403 403 404 403 403 401 401 401
GET    /v1/service-accounts/{account}/access-credentials  200 403 403 403 403 404 403 200 401 401 401
POST   /v1/service-accounts/{account}/access-credentials  201 403 403 403 403 404 403 403 401 401 401
DELETE /v1/service-accounts/{account}                 204 403 403 403 403 404 403 403 401 401 401
GET    /v1/teams                                      200 403 403 403 403 200 403 200 401 401 401
GET    /v1/teams/{team}                               200 403 403 403 403 404 403 200 401 401 401
POST   /v1/teams/{team}/members                       201 403 403 403 403 404 403 403 401 401 401
DELETE /v1/teams/{team}                               204 403 403 403 403 404 403 403 401 401 401
GET    /v1/federated-identity-providers               200 403 403 403 403 200 403 200 401 401 401
GET    /v1/federated-identity-providers/{provider}    200 403 403 403 403 404 403 200 401 401 401
DELETE /v1/federated-identity-providers/{provider}    204 403 403 403 403 404 403 403 401 401 401
GET    /v1/federated-identities                       200 403 403 403 403 200 403 200 401 401 401
GET    /v1/projects                                   200 200 200 200 403 200 200 200 401 401 401
POST   /v1/projects                                   201 403 403 403 403 201 403 403 401 401 401
GET    /v1/projects/{two}                             200 200 404 200 403 404 404 200 401 401 401
PUT    /v1/projects/{two}                             200 403 404 403 403 404 404 403 401 401 401
DELETE /v1/projects/{two}                             204 403 404 403 403 404 404 403 401 401 401
GET    one:/v1/projects/iam/policies                  200 403 404 403 403 404 200 200 401 401 401
GET    two:/v1/projects/iam/policies                  200 403 404 403 403 404 403 200 401 401 401
POST   one:/v1/projects/iam/policies                  201 403 404 403 403 404 201 403 401 401 401
GET    one:/v1/projects/iam/policies/members          200 403 404 403 403 404 200 200 401 401 401
GET    /v1/audit                                      200 200 403 403 403 200 403 200 401 401 401
GET    /v1/organisations                              200 403 403 403 403 403 403 200 401 401 401
GET    /v1/users                                      200 403 403 403 403 403 403 200 401 401 401
GET    /v1/me/organisation-memberships                200 200 200 200 200 200 200 200 401 401 401
GET    /v1/me/tokens                                  200 200 200 403 200 200 403 403 401 401 401
GET    {keys}                                         200 403 403 403 403 200 200 200 401 401 401
POST   {keys}                                         201 403 403 403 403 201 201 403 401 401 401
GET    {keys}/{a}                                     200 404 404 404 403 404 404 200 401 401 401
GET    {keys}/{p}                                     404 404 404 404 403 404 200 404 401 401 401
GET    one:{keys}/{p}                                 200 404 404 404 403 404 200 200 401 401 401
GET    one:{keys}/{a}                                 404 404 404 404 403 404 404 404 401 401 401
POST   {keys}/{a}/encrypt                             200 404 404 200 403 404 404 403 401 401 401
POST   {keys}/{b}/encrypt                             200 404 404 404 403 404 404 403 401 401 401
POST   {keys}/{a}/decrypt                             200 404 404 404 403 404 404 403 401 401 401
POST   {keys}/{a}/rotate                              200 404 404 404 403 404 404 403 401 401 401
POST   {keys}/{a}/disable                             200 404 404 404 403 404 404 403 401 401 401
DELETE {keys}/{a}                                     200 404 404 404 403 404 404 403 401 401 401
GET    {secrets}/secret/app/x                         200 403 403 403 403 404 404 200 401 401 401
POST   {secrets}/secret/app/x/value                   200 403 403 403 403 404 404 403 401 401 401
"""

Guess = Mapping[str, str]


@dataclass(frozen=True)
class Tenants:
    """Everybody who asks, and what they ask about."""

    callers: Mapping[str, Api]
    names: Guess
    ciphertext: str


async def make_tenants(platform: PlatformApi) -> Tenants:
    admin = platform.admin
    owner = platform.add_member("owner", role=Role.OWNER)
    auditor = platform.add_member("auditor")
    role = (await admin.list("/v1/iam/roles?name=org-auditor"))[0]
    await admin.create(
        f"/v1/iam/roles/{role['identity']}/bindings", {"name": "a", "userIdentity": auditor.subject}
    )
    spare = platform.add_member("spare")
    memberships = await admin.list("/v1/memberships")
    project = await admin.create("/v1/projects", {"name": "One"})
    two = await admin.create("/v1/projects", {"name": "Two"})
    keys = {
        name: text_of(
            await admin.create(KEYS, {"name": f"key {name}", "keyType": "aes256-gcm96"}), "identity"
        )
        for name in ("a", "b")
    }
    inside = await admin.inside("one").create(KEYS, {"name": "key p", "keyType": "aes256-gcm96"})
    made = await admin.send("POST", f"{KEYS}/{keys['a']}/encrypt", {"plaintext": PLAINTEXT})
    secret = {"path": "/app/x", "kmsKeyIdentity": keys["b"], "secretString": PLAINTEXT}
    await admin.create(f"{SECRETS}/secrets", secret)
    account = await admin.create("/v1/service-accounts", {"name": "signer"})
    credential = await admin.create(
        f"/v1/service-accounts/{account['identity']}/access-credentials", {"name": "c"}
    )
    await platform.grant(
        "encrypt", ["encrypt"], ["kms_key"], [keys["a"]], serviceAccountIdentity=text_of(account, "identity")
    )
    foreign = platform.add_organisation("Foreign")
    stranger = platform.add_member("stranger", foreign.identity, role=Role.OWNER)
    limited = await admin.as_token(owner.token).create(
        "/v1/me/tokens", {"name": "one", "organisation": "local-test", "project": "one"}
    )
    reader = platform.add_member("reader", role=Role.OWNER, scopes=("api:read",))
    operator = await admin.create("/v1/me/tokens", {"name": "reader", "scopes": ["api:read"]})
    assert reader.token != operator["token"]
    short = await admin.create("/v1/me/tokens", {"name": "short", "expiresAt": format_moment(NOW + 60)})
    revoked = await admin.create("/v1/me/tokens", {"name": "revoked"})
    await admin.delete(f"/v1/me/tokens/{revoked['identity']}")
    platform.deployment.clock.seconds = NOW + 60
    target = await admin.create("/v1/service-accounts", {"name": "target"})
    provider = await admin.create(
        "/v1/federated-identity-providers", {"name": "issuer", "providerIssuer": "https://issuer.example.com"}
    )
    names = {
        **keys,
        "p": text_of(inside, "identity"),
        "keys": KEYS,
        "secrets": SECRETS,
        "two": text_of(two, "identity"),
        "role": text_of(await admin.create("/v1/iam/roles", {"name": "spare"}), "identity"),
        "team": text_of(await admin.create("/v1/teams", {"name": "spare"}), "identity"),
        "account": text_of(target, "identity"),
        "provider": text_of(provider, "identity"),
        "spare": spare.subject,
        "membership": next(
            text_of(member, "identity")
            for member in memberships
            if str(member["user"]).find(spare.subject) >= 0
        ),
        "project": text_of(project, "identity"),
    }
    callers = {
        "admin": admin,
        "auditor": admin.as_token(auditor.token),
        "member": admin.as_token(platform.add_member("nobody").token),
        "signer": admin.as_pair(text_of(credential, "accessKey"), text_of(credential, "accessSecret")),
        "foreign": admin.as_token(stranger.token),
        "home": admin.as_token(stranger.token).within("foreign"),
        "project": admin.as_token(text_of(limited, "token")),
        "reader": admin.as_token(text_of(operator, "token")),
        "expired": admin.as_token(text_of(short, "token")),
        "revoked": admin.as_token(text_of(revoked, "token")),
        "anonymous": Api(admin.client, None),
    }
    return Tenants(callers, names, str(made.json()["ciphertext"]))


def make_body(method: str, path: str, tenants: Tenants, caller: str) -> Json | None:
    """Give a body with which the call succeeds for who may."""
    last = path.rsplit("/", 1)[-1]
    bodies: dict[str, Json] = {
        "roles": {"name": f"new {caller}"},
        "rules": {"resources": ["secret"], "permissions": ["read"]},
        "bindings": {"name": "x", "userIdentity": tenants.names["spare"]},
        "access-credentials": {"name": "x"},
        "members": {"userIdentity": tenants.names["spare"], "role": "MEMBER"},
        "projects": {"name": f"new {caller}"},
        "policies": {"name": f"new {caller}"},
        "keys": {"name": f"new {caller}", "keyType": "aes256-gcm96"},
        "encrypt": {"plaintext": PLAINTEXT},
        "decrypt": {"ciphertext": tenants.ciphertext},
        "value": {"path": "/app/x"},
    }
    if method == "PUT":
        return {"role": "MEMBER"} if "memberships" in path else {"description": "d"}
    return bodies.get(last) if method == "POST" else None


def read_rows() -> list[tuple[str, str, list[int]]]:
    rows: list[tuple[str, str, list[int]]] = []
    for line in TABLE.strip().splitlines():
        method, path, *cells = line.split()
        assert len(cells) == len(COLUMNS), line
        rows.append((method, path, [int(cell) for cell in cells]))
    return rows


def name_row(value: object) -> str:
    return value if isinstance(value, str) else ""


async def ask(tenants: Tenants, caller: str, method: str, path: str, names: Guess) -> httpx.Response:
    project, colon, rest = path.rpartition(":")
    place = re.sub(r"\{(\w+)\}", lambda found: names[found[1]], rest)
    api = tenants.callers[caller]
    if colon:
        api = api.inside(project)
    return await api.send(method, place, make_body(method, place, tenants, caller))


@pytest.mark.parametrize(("method", "path", "cells"), read_rows(), ids=name_row)
async def test_every_cell_of_the_table(
    platform: PlatformApi, method: str, path: str, cells: list[int]
) -> None:
    tenants = await make_tenants(platform)
    found: dict[str, int] = {}
    for caller in reversed(COLUMNS):  # those who may come last: what they change or delete is still there
        response = await ask(tenants, caller, method, path, tenants.names)
        found[caller] = response.status_code
    expected = dict(zip(COLUMNS, cells, strict=True))
    assert {who: status for who, status in found.items() if status != expected[who]} == {}, expected


UNKNOWN = {
    "a": "kms-00000000000000000000",
    "b": "kms-00000000000000000000",
    "p": "kms-00000000000000000000",
    "two": "prj-00000000000000000000",
    "role": "iamp-00000000000000000000",
    "team": "team-00000000000000000000",
    "account": "sa-00000000000000000000",
    "provider": "fip-00000000000000000000",
    "membership": "om-00000000000000000000",
}


SLUGS = {
    "a": "key-a",
    "b": "key-b",
    "p": "key-p",
    "two": "two",
    "role": "spare",
    "team": "spare",
    "account": "target",
    "provider": "issuer",
}


async def test_guesses_across_tenants_look_exactly_like_unknown_identities(platform: PlatformApi) -> None:
    tenants = await make_tenants(platform)
    by_slug = {**tenants.names, **SLUGS}
    nothing = {**tenants.names, **{name: "q" * len(slug) for name, slug in SLUGS.items()}}
    guesses = ((tenants.names, {**tenants.names, **UNKNOWN}), (by_slug, nothing))
    told: list[tuple[str, str, str]] = []
    asked = 0
    for method, path, cells in read_rows():
        for caller in ("home", "foreign", "member"):
            if cells[COLUMNS.index(caller)] < 400:
                continue
            for known, unknown in guesses:
                real = await ask(tenants, caller, method, path, known)
                missing = await ask(tenants, caller, method, path, unknown)
                assert real.status_code >= 400
                asked += 1
                if describe(real, known) != describe(missing, unknown):
                    told.append((caller, method, path))
    assert told == []
    assert asked > 200


def describe(response: httpx.Response, names: Guess) -> tuple[int, str, dict[str, str]]:
    """Give all of a response but its id, its date, and what the caller had named."""
    request_id = response.headers["X-Request-Id"]
    headers = {
        name: value for name, value in response.headers.items() if name not in ("x-request-id", "date")
    }
    text = response.text.replace(request_id, "ID")
    for name in UNKNOWN:
        text = re.sub(rf"\b{re.escape(names[name])}\b", "NAMED", text)
    return response.status_code, text, headers


async def test_organisations_that_are_unknown_and_those_of_others_answer_with_the_same_bytes(
    platform: PlatformApi,
) -> None:
    platform.add_organisation("Foreign")
    answers = [
        describe(await platform.admin.within(name).send("GET", "/v1/iam/roles"), UNKNOWN)
        for name in ("foreign", "unknown", "o-00000000000000000000")
    ]
    assert answers[0] == answers[1] == answers[2]
