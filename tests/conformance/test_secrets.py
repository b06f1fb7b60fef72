"""secrets.md, sentence by sentence, over real HTTP."""

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import trio

from platform_api import Api, Json, PlatformApi, items_of, object_of
from secrets_api import REGION, SecretsApi, encode
from signerd.platform.described import Description
from signerd.platform.gate import Gate
from signerd.platform.organisation import set_gate
from signerd.platform.region import create_region
from signerd_kms.attribution import NOBODY
from signerd_kms.key import Key, KeyType

ALWAYS = {"path", "kmsKey", "currentVersion", "objectVersion", "createdAt", "updatedAt", "region"}
PATH = "/app/prod/db/password"


@pytest.fixture
def secrets(platform: PlatformApi) -> SecretsApi:
    return SecretsApi(platform, platform.admin)


@pytest.fixture
def key(secrets: SecretsApi) -> Key:
    return secrets.make_key()


# 1 Model


async def test_1_a_secret_is_identified_by_its_path_and_values_are_numbered_versions(
    secrets: SecretsApi, key: Key
) -> None:
    made = await secrets.create(PATH, key, "first")
    assert made["path"] == PATH
    assert made["currentVersion"] == 1
    assert await secrets.put(PATH, "second") == {"path": PATH, "version": 2}
    assert await secrets.put(PATH, "third") == {"path": PATH, "version": 3}
    assert [await secrets.read(PATH, number) for number in (1, 2, 3)] == ["first", "second", "third"]


@pytest.mark.parametrize("key_type", [KeyType.AES128_GCM96, KeyType.AES256_GCM96, KeyType.CHACHA20_POLY1305])
async def test_1_the_key_is_symmetric(secrets: SecretsApi, key_type: KeyType) -> None:
    await secrets.create(PATH, secrets.make_key(key_type=key_type), "x")
    assert await secrets.read(PATH) == "x"


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.ECDSA_P256, KeyType.ED25519, KeyType.HMAC])
async def test_1_any_other_key_is_400(secrets: SecretsApi, key_type: KeyType) -> None:
    key = secrets.make_key(key_type=key_type)
    body = {"path": PATH, "kmsKeyIdentity": key.identity, "secretString": encode("x")}
    await secrets.refused(400, "POST", "secrets", body)
    await secrets.refused(404, "GET", f"secret{PATH}")


async def test_1_the_key_is_in_the_same_region_and_scope(secrets: SecretsApi, key: Key) -> None:
    project = await secrets.api.create("/v1/projects", {"name": "One"})
    inside = replace(secrets, api=secrets.api.inside(str(project["identity"])))
    body = {"path": PATH, "kmsKeyIdentity": key.identity, "secretString": encode("x")}
    await inside.refused(404, "POST", "secrets", body)
    own = secrets.make_key(project=str(project["identity"]))
    await inside.create(PATH, own, "in the project")
    await secrets.refused(404, "GET", f"secret{PATH}")
    await secrets.create(PATH, key, "in the organisation")
    assert await inside.read(PATH) == "in the project"
    assert await secrets.read(PATH) == "in the organisation"


async def test_1_values_never_appear_in_lists_or_metadata(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key, "correct horse")
    for rest in (f"secret{PATH}?includeVersions=true", "secrets?pathPrefix=/", "secrets?path=/app/prod/db"):
        text = (await secrets.api.send("GET", f"/v1/secrets/{REGION}/{rest}")).text
        assert "correct horse" not in text
        assert encode("correct horse") not in text


# 2 Paths


@pytest.mark.parametrize(
    "path", ["/a", "/A-b_c.d+e/0", "/app/value", "/app/versions", "/app/policy", "/value", "/" + "a" * 511]
)
async def test_2_a_legal_path_is_taken_as_it_is(secrets: SecretsApi, key: Key, path: str) -> None:
    await secrets.create(path, key, "x")
    assert (await secrets.get(path))["path"] == path
    assert await secrets.read(path) == "x"
    assert (await secrets.put(path, "y"))["version"] == 2
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{path}/versions?version=2")
    await secrets.set_policy(path, {"statements": [{"effect": "Allow"}]})
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{path}")
    await secrets.refused(404, "GET", f"secret{path}")


@pytest.mark.parametrize(
    "path",
    ["", "/", "/a/", "/a//b", "/a/../b", "/./a", "/a b", "/ä", "/a%2Fb", "/a;b", "/" + "a" * 512, "//a"],
)
async def test_2_any_other_path_is_400(secrets: SecretsApi, key: Key, path: str) -> None:
    body = {"path": path, "kmsKeyIdentity": key.identity, "secretString": encode("x")}
    await secrets.refused(400, "POST", "secrets", body)


@pytest.mark.parametrize("rest", ["/a%2Fb", "/a%2fvalue", "/a//b", "/a/", "//a", "/a/%2e%2e/b", "/"])
async def test_2_nothing_decodes_or_merges_a_path_in_the_url(
    secrets: SecretsApi, key: Key, rest: str
) -> None:
    await secrets.create("/a/b", key)
    address = secrets.api.client.base_url
    lines = [
        f"GET /v1/secrets/{REGION}/secret{rest} HTTP/1.1",
        "Host: here",
        f"Authorization: {secrets.api.authorization}",
        "X-Organisation-Identity: local-test",
        "Connection: close",
    ]
    async with await trio.open_tcp_stream(str(address.host), address.port or 0) as stream:
        await stream.send_all("\r\n".join([*lines, "", ""]).encode())
        received = b"".join([part async for part in stream])
    assert received.startswith(b"HTTP/1.1 400 ")


async def test_2_paths_differ_by_case(secrets: SecretsApi, key: Key) -> None:
    await secrets.create("/App", key, "upper")
    await secrets.create("/app", key, "lower")
    assert (await secrets.read("/App"), await secrets.read("/app")) == ("upper", "lower")


async def test_2_exactly_one_suffix_is_cut_and_only_for_its_methods(secrets: SecretsApi, key: Key) -> None:
    await secrets.create("/app", key, "of app")
    await secrets.create("/app/value", key, "of value")
    await secrets.create("/app/versions", key, "of versions")
    assert (await secrets.get("/app/value"))["path"] == "/app/value"
    assert await secrets.read("/app") == "of app"
    assert await secrets.read("/app/value") == "of value"
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret/app/versions")
    await secrets.refused(404, "GET", "secret/app/versions")
    assert await secrets.read("/app") == "of app"
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret/app/value")
    assert await secrets.read("/app") == "of app"


async def test_2_the_path_may_stand_in_the_query(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key, "first")
    root = f"/v1/secrets/{REGION}/secret"
    assert (await secrets.api.get(f"{root}?path={PATH}"))["path"] == PATH
    added = await secrets.api.create(f"{root}/versions?path={PATH}", {"secretString": encode("second")})
    assert added == {"path": PATH, "version": 2}
    response = await secrets.api.send("POST", f"{root}/value?path={PATH}")
    assert response.json()["version"] == 2
    await secrets.api.put(f"{root}/policy?path={PATH}", {"accessPolicy": None})
    await secrets.api.delete(f"{root}/versions?path={PATH}&version=2")
    await secrets.api.delete(f"{root}?path={PATH}")
    await secrets.refused(404, "GET", f"secret?path={PATH}")
    await secrets.refused(400, "GET", "secret")
    await secrets.refused(400, "POST", "secret/value")


async def test_2_a_body_with_another_path_is_400(secrets: SecretsApi, key: Key) -> None:
    await secrets.create("/app", key)
    body = {"path": "/other", "secretString": encode("x")}
    await secrets.refused(400, "POST", "secret/app/versions", body)
    await secrets.refused(400, "POST", "secret/app/value", {"path": "app/"})
    same = {"path": "app", "secretString": encode("x")}
    await secrets.api.create(f"/v1/secrets/{REGION}/secret/app/versions", same)


async def test_2_other_methods_are_405(secrets: SecretsApi) -> None:
    for method, rest in (("POST", "secret/app"), ("PUT", "secret/app"), ("PATCH", "secret/app/value")):
        await secrets.refused(405, method, rest)


# 3 Objects


async def test_3_metadata_has_the_whole_wire_shape(secrets: SecretsApi, key: Key) -> None:
    bare = await secrets.create("/bare", key)
    assert bare.keys() == ALWAYS
    full = await secrets.create(
        "/full",
        key,
        description="d",
        labels={"a": "b"},
        annotations={"c": "d"},
        accessPolicy={"statements": [{"effect": "Allow"}]},
    )
    assert full.keys() == ALWAYS | {"description", "labels", "annotations", "accessPolicy"}
    assert (full["description"], full["labels"], full["annotations"]) == ("d", {"a": "b"}, {"c": "d"})
    bound = object_of(full, "kmsKey")
    assert bound.keys() >= {"identity", "name", "slug", "keyType", "status", "createdAt", "updatedAt"}
    assert bound["identity"] == key.identity
    assert object_of(full, "region")["slug"] == REGION
    for name in ("currentVersion", "objectVersion"):
        assert type(full[name]) is int
    assert await secrets.get("/full") == full


async def test_3_versions_are_there_only_when_asked_for(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key)
    await secrets.put(PATH, "second")
    assert "versions" not in await secrets.get(PATH)
    assert "versions" not in await secrets.get(PATH, "?includeVersions=false")
    first, second = items_of(await secrets.get(PATH, "?includeVersions=true"), "versions")
    assert first.keys() == {"version", "status", "valueFormat", "createdAt"}
    assert second.keys() == {"version", "status", "stage", "valueFormat", "createdAt"}
    assert (first["version"], second["version"], second["stage"]) == (1, 2, "current")
    assert (first["status"], first["valueFormat"]) == ("active", "string")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"secretString": ""},
        {"secretKeyValues": {}},
        {"secretString": None},
        {"secretString": "eA==", "generateSecret": {}},
        {"secretString": "eA==", "secretKeyValues": {"a": "b"}},
        {"secretString": "no base64"},
        {"secretString": "eA"},
        {"secretString": base64.b64encode(bytes(65_536)).decode()},
        {"secretKeyValues": {"a": 1}},
        {"secretKeyValues": {"a": "x" * 65_535}},
        {"generateSecret": {"byteLength": 1025}},
        {"generateSecret": {"byteLength": -1}},
        {"generateSecret": {"byteLength": "32"}},
        {"generateSecret": 32},
    ],
)
async def test_3_exactly_one_value_input(secrets: SecretsApi, key: Key, value: Json) -> None:
    await secrets.refused(400, "POST", "secrets", {"path": PATH, "kmsKeyIdentity": key.identity, **value})
    await secrets.create(PATH, key)
    await secrets.refused(400, "POST", f"secret{PATH}/versions", value)
    assert (await secrets.get(PATH))["currentVersion"] == 1


async def test_3_key_values_are_opaque_strings(secrets: SecretsApi, key: Key) -> None:
    items = {"user": "raw text, not base64", "password": "cGFzcw==", "empty": "", "ü": "\u0000\u2028"}
    body = {"path": PATH, "kmsKeyIdentity": key.identity, "secretKeyValues": items}
    await secrets.api.create(f"/v1/secrets/{REGION}/secrets", body)
    revealed = await secrets.reveal(PATH)
    assert revealed["secretKeyValues"] == items
    assert "secretString" not in revealed
    (version,) = items_of(await secrets.get(PATH, "?includeVersions=true"), "versions")
    assert version["valueFormat"] == "keyValue"


@pytest.mark.parametrize(
    ("asked", "octets"), [({}, 32), ({"byteLength": 0}, 32), ({"byteLength": 64}, 64), ({"length": 16}, 16)]
)
async def test_3_a_generated_value_is_a_string(
    secrets: SecretsApi, key: Key, asked: Json, octets: int
) -> None:
    body = {"path": PATH, "kmsKeyIdentity": key.identity, "generateSecret": asked}
    await secrets.api.create(f"/v1/secrets/{REGION}/secrets", body)
    assert len(base64.b64decode(str((await secrets.reveal(PATH))["secretString"]))) == octets


# 4 Endpoints


async def test_4_browse_shows_one_level(secrets: SecretsApi, key: Key) -> None:
    for path in ("/app/prod/db/a", "/app/prod/db/b", "/app/prod/x", "/app/prod-x", "/app/staging/y", "/z"):
        await secrets.create(path, key)
    level = await secrets.api.get(f"/v1/secrets/{REGION}/secrets?path=/app/prod/")
    assert level.keys() == {"path", "prefixes", "secrets"}
    assert (level["path"], level["prefixes"]) == ("/app/prod/", ["/app/prod/db/"])
    assert [item["path"] for item in items_of(level, "secrets")] == ["/app/prod/x"]
    assert await secrets.api.get(f"/v1/secrets/{REGION}/secrets?path=/app/prod") == level
    top = await secrets.api.get(f"/v1/secrets/{REGION}/secrets?path=/")
    assert (top["path"], top["prefixes"]) == ("/", ["/app/"])
    assert await secrets.api.get(f"/v1/secrets/{REGION}/secrets") == top
    nothing = await secrets.api.get(f"/v1/secrets/{REGION}/secrets?path=/nowhere")
    assert nothing == {"path": "/nowhere/", "prefixes": [], "secrets": []}


async def test_4_a_flat_list_is_a_bare_array_below_a_string_prefix(secrets: SecretsApi, key: Key) -> None:
    for path in ("/app/prod/x", "/app/prod-x", "/app/production/y", "/other"):
        await secrets.create(path, key)
    found = await secrets.api.list(f"/v1/secrets/{REGION}/secrets?pathPrefix=/app/prod")
    assert [item["path"] for item in found] == ["/app/prod-x", "/app/prod/x", "/app/production/y"]
    found = await secrets.api.list(f"/v1/secrets/{REGION}/secrets?pathPrefix=/app/prod/")
    assert [item["path"] for item in found] == ["/app/prod/x"]
    assert await secrets.api.list(f"/v1/secrets/{REGION}/secrets?pathPrefix=/none") == []
    await secrets.refused(400, "GET", "secrets?pathPrefix=/app&path=/app")


async def test_4_create_refusals(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key)
    body: Json = {"path": PATH, "kmsKeyIdentity": key.identity, "secretString": encode("x")}
    await secrets.refused(409, "POST", "secrets", body)
    other = {**body, "path": "/other"}
    await secrets.refused(404, "POST", "secrets", {**other, "kmsKeyIdentity": "kms-00000000000000000000"})
    await secrets.refused(400, "POST", "secrets", {"path": "/other", "secretString": encode("x")})
    await secrets.refused(400, "POST", "secrets", {**other, "description": "d" * 1025})
    await secrets.refused(404, "GET", "secret/other")
    await secrets.api.create(f"/v1/secrets/{REGION}/secrets", {**other, "kmsKeyIdentity": key.slug})
    without_slash = {**body, "path": "third/one"}
    made = await secrets.api.create(f"/v1/secrets/{REGION}/secrets", without_slash)
    assert made["path"] == "/third/one"


async def test_4_a_key_that_is_not_active_is_400(
    secrets: SecretsApi, key: Key, platform: PlatformApi
) -> None:
    await secrets.create(PATH, key)
    platform.deployment.kms.disable(key.scope, key.identity, by=NOBODY)
    body = {"path": "/other", "kmsKeyIdentity": key.identity, "secretString": encode("x")}
    await secrets.refused(400, "POST", "secrets", body)
    await secrets.refused(400, "POST", f"secret{PATH}/value")
    await secrets.refused(400, "POST", f"secret{PATH}/versions", {"secretString": encode("x")})
    assert object_of(await secrets.get(PATH), "kmsKey")["status"] == "disabled"
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{PATH}/versions?version=1")
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{PATH}")


async def test_4_reveal_gives_the_wire_shape(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key, "text")
    assert await secrets.reveal(PATH) == {
        "path": PATH,
        "version": 1,
        "secretString": encode("text"),
        "kmsKeyIdentity": key.identity,
        "kmsKeyVersion": "1",
    }
    empty: list[object] = [None, {}]
    for body in empty:
        response = await secrets.api.send("POST", f"/v1/secrets/{REGION}/secret{PATH}/value", body)
        assert response.status_code == 200
    for version in ("1", 1.5, 0, -1):
        await secrets.refused(400, "POST", f"secret{PATH}/value", {"version": version})
    await secrets.refused(404, "POST", f"secret{PATH}/value", {"version": 2})
    await secrets.refused(404, "POST", "secret/unknown/value")


async def test_4_a_reveal_is_an_access_and_nothing_else_is(
    secrets: SecretsApi, key: Key, platform: PlatformApi
) -> None:
    before = await secrets.create(PATH, key)
    platform.deployment.clock.seconds += 60
    assert await secrets.get(PATH) == before
    assert await secrets.get(PATH) == before
    await secrets.reveal(PATH)
    after = await secrets.get(PATH, "?includeVersions=true")
    moment = datetime.fromtimestamp(platform.deployment.clock.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert after["lastAccessedAt"] == moment
    assert items_of(after, "versions")[0]["lastAccessedAt"] == moment
    assert (after["objectVersion"], after["updatedAt"]) == (before["objectVersion"], before["updatedAt"])


async def test_4_destroying_moves_current_and_keeps_history(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key, "first")
    await secrets.put(PATH, "second")
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{PATH}/versions?version=2")
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{PATH}/versions?version=2")
    body = await secrets.get(PATH, "?includeVersions=true")
    assert body["currentVersion"] == 1
    first, second = items_of(body, "versions")
    assert first["stage"] == "current"
    assert (second["status"], "stage" in second, "destroyedAt" in second) == ("destroyed", False, True)
    assert await secrets.read(PATH) == "first"
    await secrets.refused(404, "POST", f"secret{PATH}/value", {"version": 2})
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{PATH}/versions?version=1")
    assert (await secrets.get(PATH))["currentVersion"] == 0
    await secrets.refused(404, "POST", f"secret{PATH}/value")
    assert (await secrets.put(PATH, "third"))["version"] == 3
    await secrets.refused(404, "DELETE", f"secret{PATH}/versions?version=4")
    for version in ("0", "-1", "x", "1.0", "01", "99999999999"):
        await secrets.refused(400, "DELETE", f"secret{PATH}/versions?version={version}")


async def test_4_a_deleted_path_is_free_at_once(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key)
    await secrets.put(PATH, "second")
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{PATH}")
    await secrets.refused(404, "GET", f"secret{PATH}")
    await secrets.refused(404, "DELETE", f"secret{PATH}")
    assert (await secrets.create(PATH, key))["currentVersion"] == 1


# 5 Access policy


async def test_5_a_policy_is_returned_unchanged_and_cleared(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key)
    statements = [
        {"effect": "Allow", "actions": ["read"], "principals": ["team:platform"]},
        {"principals": ["*"], "effect": "deny", "actions": ["Other"]},
    ]
    conditions = [
        {"type": "ip", "effect": "allow", "cidrs": ["10.0.0.0/8"]},
        {"type": "time", "effect": "Deny", "startHour": 8, "endHour": 18, "timezone": "Europe/Amsterdam"},
    ]
    policy = {"statements": statements, "conditions": conditions}
    assert (await secrets.set_policy(PATH, policy))["accessPolicy"] == policy
    assert (await secrets.get(PATH))["accessPolicy"] == policy
    cleared: list[object] = [None, {}, {"statements": []}, {"conditions": [], "statements": []}]
    for empty in cleared:
        await secrets.set_policy(PATH, policy)
        assert "accessPolicy" not in await secrets.set_policy(PATH, empty)
    await secrets.refused(400, "PUT", f"secret{PATH}/policy", {})
    await secrets.refused(404, "PUT", "secret/unknown/policy", {"accessPolicy": None})


@pytest.mark.parametrize(
    "policy",
    [
        {"unknown": []},
        {"statements": [{"effect": "Maybe"}]},
        {"conditions": [{"type": "ip", "effect": "allow", "cidrs": ["10.0.0.0/40"]}]},
        {"conditions": [{"type": "time", "effect": "allow", "startHour": 9, "endHour": 9}]},
        {"conditions": [{"type": "time", "effect": "allow", "startHour": 8.0, "endHour": 9}]},
        {"conditions": [{"type": "moon", "effect": "allow"}]},
        [],
        "text",
    ],
)
async def test_5_what_cannot_be_enforced_is_400(secrets: SecretsApi, key: Key, policy: object) -> None:
    await secrets.create(PATH, key)
    await secrets.refused(400, "PUT", f"secret{PATH}/policy", {"accessPolicy": policy})
    body = {"path": "/other", "kmsKeyIdentity": key.identity, "secretString": encode("x")}
    await secrets.refused(400, "POST", "secrets", {**body, "accessPolicy": policy})


async def test_5_a_policy_gates_reveal_and_add_version_only(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key)
    await secrets.set_policy(PATH, {"statements": [{"effect": "Deny", "actions": ["*"]}]})
    message = await secrets.refused(403, "POST", f"secret{PATH}/value")
    assert message == "access policy denied"
    value = {"secretString": encode("x")}
    assert await secrets.refused(403, "POST", f"secret{PATH}/versions", value) == message
    assert (await secrets.get(PATH))["currentVersion"] == 1
    assert len(await secrets.api.list(f"/v1/secrets/{REGION}/secrets?pathPrefix=/app")) == 1
    failures = [
        entry
        for entry in await secrets.list_audit(resourceType="secret")
        if object_of(entry, "context").get("result") == "failure"
    ]
    assert {entry["action"] for entry in failures} == {"secrets.get_value", "secrets.put_value"}
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{PATH}/versions?version=1")
    await secrets.set_policy(PATH, None)
    await secrets.put(PATH, "x")


async def test_5_addresses_and_teams_count(secrets: SecretsApi, key: Key, platform: PlatformApi) -> None:
    await secrets.create(PATH, key)
    loopback = {"type": "ip", "effect": "allow", "cidrs": ["127.0.0.1"]}
    await secrets.set_policy(PATH, {"conditions": [loopback]})
    await secrets.reveal(PATH)
    await secrets.set_policy(PATH, {"conditions": [{**loopback, "cidrs": ["192.0.2.0/24"]}]})
    await secrets.refused(403, "POST", f"secret{PATH}/value")
    member = platform.add_member("carol")
    await platform.grant("all", ["*"], ["*"], userIdentity=member.subject)
    carol = replace(secrets, api=platform.admin.as_token(member.token))
    for names, is_allowed in (
        (["team:platform"], False),
        ([f"user:{member.subject}"], True),
        (["user:somebody"], False),
    ):
        await secrets.set_policy(PATH, {"statements": [{"effect": "Allow", "principals": names}]})
        response = await carol.api.send("POST", f"/v1/secrets/{REGION}/secret{PATH}/value")
        assert response.status_code == (200 if is_allowed else 403)
    team = await secrets.api.create("/v1/teams", {"name": "Platform"})
    await secrets.api.send(
        "POST", f"/v1/teams/{team['identity']}/members", {"userIdentity": member.subject, "role": "member"}
    )
    for name in ("team:platform", f"team:{team['identity']}"):
        await secrets.set_policy(PATH, {"statements": [{"effect": "Allow", "principals": [name]}]})
        await carol.reveal(PATH)
        await secrets.refused(403, "POST", f"secret{PATH}/value")


# 6 Encryption at rest


async def test_6_old_versions_keep_their_key_version(
    secrets: SecretsApi, key: Key, platform: PlatformApi
) -> None:
    await secrets.create(PATH, key, "first")
    platform.deployment.kms.rotate(key.scope, key.identity, by=NOBODY)
    await secrets.put(PATH, "second")
    assert (await secrets.reveal(PATH, 1))["kmsKeyVersion"] == "1"
    assert (await secrets.reveal(PATH, 2))["kmsKeyVersion"] == "2"


async def test_6_with_a_purged_key_values_are_lost_and_deleting_works(
    secrets: SecretsApi, key: Key, platform: PlatformApi
) -> None:
    await secrets.create(PATH, key)
    kms, clock = platform.deployment.kms, platform.deployment.clock
    kms.schedule_deletion(key.scope, key.identity, by=NOBODY)
    await secrets.refused(400, "POST", f"secret{PATH}/value")
    clock.seconds += 31 * 86400
    kms.purge_due(clock.now())
    await secrets.refused(404, "POST", f"secret{PATH}/value")
    assert object_of(await secrets.get(PATH), "kmsKey")["identity"] == key.identity
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{PATH}")


# 7 Audit


async def test_7_each_reveal_is_joined_to_its_decryption(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key)
    for _ in range(3):
        await secrets.reveal(PATH)
    reveals = await secrets.list_audit(action="secrets.get_value")
    decryptions = await secrets.list_audit(action="kms.decrypt")
    assert len(reveals) == len(decryptions) == 3
    requests = [object_of(entry, "context")["requestId"] for entry in reveals]
    assert len(set(requests)) == 3
    assert [object_of(entry, "context")["requestId"] for entry in decryptions] == requests
    generic = {
        object_of(entry, "context").get("requestId") for entry in await secrets.list_audit(action="POST")
    }
    assert generic >= set(requests)
    for reveal, decryption in zip(reveals, decryptions, strict=True):
        assert (reveal["resourceType"], reveal["resourceIdentity"]) == ("secret", PATH)
        assert (decryption["resourceType"], decryption["resourceIdentity"]) == ("kms_key", key.identity)
        assert object_of(reveal, "context")["kmsKeyIdentity"] == key.identity
        assert object_of(reveal, "context")["version"] == 1
        assert object_of(decryption, "context")["via"] == "secrets-manager"
        assert reveal["userIdentity"] == decryption["userIdentity"]


async def test_7_each_operation_has_its_entry(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key)
    await secrets.put(PATH, "x")
    await secrets.set_policy(PATH, None)
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{PATH}/versions?version=1")
    await secrets.api.delete(f"/v1/secrets/{REGION}/secret{PATH}")
    actions = [
        entry["action"]
        for entry in reversed(await secrets.list_audit(resourceType="secret"))
        if str(entry["action"]).startswith("secrets.")
    ]
    assert actions == [
        "secrets.create",
        "secrets.put_value",
        "secrets.update_policy",
        "secrets.destroy_version",
        "secrets.delete",
    ]


# 1 Rights and requirements


async def test_1_needs_both_gates(secrets: SecretsApi, key: Key, platform: PlatformApi) -> None:
    await secrets.create(PATH, key)
    organisation = platform.deployment.platform.organisation
    store = platform.deployment.store
    store.change(NOBODY, lambda change: set_gate(change, organisation, Gate.KMS, False))
    assert "kms" in (await secrets.refused(403, "GET", f"secret{PATH}")).lower()
    store.change(NOBODY, lambda change: set_gate(change, organisation, Gate.KMS, True))
    store.change(NOBODY, lambda change: set_gate(change, organisation, Gate.SECRETS, False))
    assert "secrets" in await secrets.refused(403, "GET", f"secret{PATH}")


async def test_1_needs_the_kms_in_the_region(secrets: SecretsApi, key: Key, platform: PlatformApi) -> None:
    await secrets.api.refused(404, "GET", "/v1/secrets/nowhere/secret/x")
    platform.deployment.store.change(
        NOBODY,
        lambda change: create_region(change, "nl-02", Description("Empty"), is_kms_available=False),
    )
    body = {"path": PATH, "kmsKeyIdentity": key.identity, "secretString": encode("x")}
    await secrets.api.refused(503, "POST", "/v1/secrets/nl-02/secrets", body)
    await secrets.api.refused(503, "POST", f"/v1/secrets/nl-02/secret{PATH}/value")
    await secrets.api.refused(404, "GET", f"/v1/secrets/nl-02/secret{PATH}")


OPERATIONS: dict[str, tuple[str, str, Json | None, str, str | None]] = {
    # name: method, rest, body, right on the secret, right on the key
    "create": ("POST", "secrets", {"path": "/new", "secretString": encode("x")}, "create", "encrypt"),
    "add version": (
        "POST",
        f"secret{PATH}/versions",
        {"secretString": encode("x")},
        "putSecretValue",
        "encrypt",
    ),
    "reveal": ("POST", f"secret{PATH}/value", None, "getSecretValue", "decrypt"),
    "read": ("GET", f"secret{PATH}", None, "read", None),
    "browse": ("GET", "secrets?path=/app", None, "list", None),
    "list": ("GET", "secrets?pathPrefix=/app", None, "list", None),
    "policy": ("PUT", f"secret{PATH}/policy", {"accessPolicy": None}, "update", None),
    "destroy": ("DELETE", f"secret{PATH}/versions?version=1", None, "delete", None),
    "delete": ("DELETE", f"secret{PATH}", None, "delete", None),
}
SECRET_RIGHTS = ["create", "read", "list", "update", "delete", "getSecretValue", "putSecretValue"]
KEY_RIGHTS = ["encrypt", "decrypt", "update", "read"]


async def call_as(secrets: SecretsApi, api: Api, key: Key, operation: str) -> int:
    method, rest, body, _, _ = OPERATIONS[operation]
    if operation == "create":
        body = {**(body or {}), "kmsKeyIdentity": key.identity}
    response = await api.send(method, f"/v1/secrets/{REGION}/{rest}", body)
    for leftover in ("/new", PATH):
        await secrets.api.send("DELETE", f"/v1/secrets/{REGION}/secret{leftover}")
    return response.status_code


@pytest.mark.parametrize("operation", list(OPERATIONS))
async def test_1_the_table_of_rights_and_operations(
    secrets: SecretsApi, key: Key, platform: PlatformApi, operation: str
) -> None:
    _, _, _, needed, needed_on_key = OPERATIONS[operation]
    for number, right in enumerate([*SECRET_RIGHTS, "nothing"]):
        for key_right in (
            [*KEY_RIGHTS, "nothing"] if needed_on_key and right == needed else ["update", "nothing"]
        ):
            member = platform.add_member(f"m{number}{key_right}")
            await platform.grant(f"s{number}{key_right}", [right], ["secret"], userIdentity=member.subject)
            await platform.grant(
                f"k{number}{key_right}", [key_right], ["kms_key"], userIdentity=member.subject
            )
            await secrets.create(PATH, key)
            status = await call_as(secrets, platform.admin.as_token(member.token), key, operation)
            if right != needed:
                expected = {403}
            elif needed_on_key is not None and key_right not in (needed_on_key, "update"):
                expected = {404} if operation == "create" else {403}
            else:
                expected = {200, 201, 204}
            assert status in expected, (right, key_right)


async def test_1_lists_show_only_what_the_caller_may_read(
    secrets: SecretsApi, key: Key, platform: PlatformApi
) -> None:
    for path in ("/app/prod/a", "/app/prod/deep/b", "/app/staging/c", "/app/d", "/other/e"):
        await secrets.create(path, key)
    member = platform.add_member("dora")
    await platform.grant("list", ["list"], ["secret"], userIdentity=member.subject)
    await platform.grant("read", ["read"], ["secret"], ["/app/prod/*", "/app/d"], userIdentity=member.subject)
    dora = platform.admin.as_token(member.token)
    root = f"/v1/secrets/{REGION}"
    top = await dora.get(f"{root}/secrets?path=/")
    assert (top["prefixes"], top["secrets"]) == (["/app/"], [])
    app = await dora.get(f"{root}/secrets?path=/app")
    assert app["prefixes"] == ["/app/prod/"]
    assert [item["path"] for item in items_of(app, "secrets")] == ["/app/d"]
    found = await dora.list(f"{root}/secrets?pathPrefix=/")
    assert [item["path"] for item in found] == ["/app/d", "/app/prod/a", "/app/prod/deep/b"]
    await dora.refused(403, "GET", f"{root}/secret/app/staging/c")
    unknown = await dora.refused(403, "GET", f"{root}/secret/app/staging/unknown")
    assert unknown == await dora.refused(403, "GET", f"{root}/secret/app/staging/c")


async def test_1_another_organisation_sees_nothing(
    secrets: SecretsApi, key: Key, platform: PlatformApi
) -> None:
    await secrets.create(PATH, key)
    other = platform.add_organisation("Other")
    owner = platform.add_member("eve", other.identity)
    await (
        secrets.api.within(other.slug)
        .as_token(owner.token)
        .refused(403, "GET", f"/v1/secrets/{REGION}/secret{PATH}")
    )
    await secrets.api.as_token(owner.token).refused(403, "GET", f"/v1/secrets/{REGION}/secret{PATH}")


async def test_fifty_writers_to_one_path_get_fifty_numbers(secrets: SecretsApi, key: Key) -> None:
    await secrets.create(PATH, key)
    numbers: list[int] = []

    async def write(text: str) -> None:
        numbers.append(int(str((await secrets.put(PATH, text))["version"])))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(write, str(number))
    assert sorted(numbers) == list(range(2, 52))
