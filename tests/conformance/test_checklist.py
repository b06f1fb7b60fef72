"""Lines of the security checklist of the HTTP API that no section of the contract covers."""

import ipaddress
import json

import httpx
import pytest
import trio

from api_server import read_response, serve
from deployment import Deployment
from kms_api import ROOT, encode, make_key, path_of
from platform_api import Api, PlatformApi, items_of, object_of, read_object
from signerd.api.application import ApiOptions, list_endpoints, make_application
from signerd.api.client_address import ClientAddresses
from signerd.api.error_response import describe_error
from signerd.api.errors import STATUS_OF_ERROR
from signerd.api.route import BATCH_BODY_OCTETS, DEFAULT_BODY_OCTETS

SECRETS = "/v1/secrets/nl-01"


async def make_secret(admin: Api, path: str, **more: object) -> None:
    key = await make_key(admin, f"key of {path}")
    body = {"path": path, "kmsKeyIdentity": key["identity"], "secretString": encode(b"value")}
    await admin.create(f"{SECRETS}/secrets", {**body, **more})


# order of checks


async def test_sealed_is_the_first_check_of_every_call(platform: PlatformApi) -> None:
    key = await make_key(platform.admin)
    platform.deployment.kms.seal()
    nobody = platform.admin.within(None)
    bad = platform.admin.as_token("sgd_pat_none")
    for caller in (platform.admin, nobody, bad, platform.admin.within("unknown")):
        for method, path in (("GET", path_of(key)), ("GET", "/v1/regions"), ("POST", f"{SECRETS}/secrets")):
            assert await caller.refused(503, method, path) == "the KMS is sealed"


# errors


async def test_errors_have_a_code_that_programs_tell_them_apart_by(admin: Api) -> None:
    async def read_code(caller: Api, method: str, path: str, body: object = None) -> object:
        return (await caller.send(method, path, body)).json()["code"]

    key = await make_key(admin)
    assert await read_code(admin, "GET", "/v1/nothing") == "api.not_found"
    assert await read_code(admin, "PUT", ROOT, {}) == "api.method_not_allowed"
    assert await read_code(admin, "GET", f"{ROOT}/unknown") == "kms.key_unknown"
    assert await read_code(admin, "POST", ROOT, {}) == "api.invalid_body"
    assert await read_code(admin, "POST", ROOT, {"name": "a key"}) == "kms.key_name_taken"
    assert await read_code(admin.as_token("x"), "GET", ROOT) == "platform.credential_refused"
    items = [{"plaintext": ""}]
    answer = read_object(await admin.send("POST", path_of(key, "encrypt"), {"items": items}), 200)
    refusal = object_of(items_of(answer, "items")[0], "error")
    assert (refusal["status"], refusal["code"]) == (400, "kms.invalid_request")
    assert refusal["message"]


async def test_all_ways_to_fail_decrypting_have_the_same_body(admin: Api) -> None:
    key, other = await make_key(admin), await make_key(admin, "other")
    made = read_object(await admin.send("POST", path_of(key, "encrypt"), {"plaintext": encode(b"x")}), 200)
    good = str(made["ciphertext"])
    bodies: set[str] = set()
    for target, text in (
        (key, good[:-8] + "AAAAAAA="),
        (key, good.replace("v1", "v9")),
        (key, "nonsense"),
        (key, "thalassa:v1:AAAA"),
        (other, good),
    ):
        answer = await admin.send("POST", path_of(target, "decrypt"), {"ciphertext": text})
        assert answer.status_code == 400
        body = answer.json()
        del body["requestId"]
        bodies.add(json.dumps(body))
    assert len(bodies) == 1


def test_every_error_of_the_table_is_described_without_the_details_of_a_500() -> None:
    for kind, status in STATUS_OF_ERROR.items():
        error = kind.__new__(kind)
        Exception.__init__(error, "a detail")
        described = describe_error(error)
        assert described.status == status
        assert ("a detail" in described.message) == (status != 500)
        assert described.code == ("api.internal_error" if status == 500 else getattr(kind, "code"))  # noqa: B009


async def test_what_never_became_a_request_is_refused_in_the_same_form(deployment: Deployment) -> None:
    async with serve(make_application(deployment.admin_parts)) as address:
        for octets, status in (
            (b"nonsense\r\n\r\n", b"400"),
            (b"GET /v1/regions HTTP/1.1\r\n\r\n", b"400"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", b"431"),
            (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        ):
            with trio.fail_after(60):
                async with await trio.open_tcp_stream(address.host, address.port) as stream:
                    await stream.send_all(octets)
                    head, _, body = (await read_response(stream)).partition(b"\r\n\r\n")
            assert head.split(b" ")[1] == status
            assert b"content-type: application/json" in head.lower()
            assert b"cache-control: no-store" in head.lower()
            content = json.loads(body)
            assert content.keys() == {"message", "code", "requestId"}
            assert f"x-request-id: {content['requestId']}".encode() in head.lower()


# parsing


async def test_bodies_of_batches_have_4_mib_and_all_others_1(admin: Api) -> None:
    key = await make_key(admin)
    text = encode(b"x" * 49_152)
    items = {"items": [{"plaintext": text}] * 40}
    assert DEFAULT_BODY_OCTETS < len(json.dumps(items)) < BATCH_BODY_OCTETS
    answer = read_object(await admin.send("POST", path_of(key, "encrypt"), items), 200)
    assert len(items_of(answer, "items")) == 40
    for operation in ("encrypt", "sign"):
        body = {"plaintext" if operation == "encrypt" else "input": "A" * DEFAULT_BODY_OCTETS}
        assert (await admin.send("POST", path_of(key, operation), body)).status_code == 413
    for method, path, length in (
        ("POST", path_of(key, "encrypt"), BATCH_BODY_OCTETS + 1),
        ("PATCH", path_of(key, "rotation"), DEFAULT_BODY_OCTETS + 1),
        ("POST", ROOT, DEFAULT_BODY_OCTETS + 1),
    ):  # refused before it is sent
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        base = admin.client.base_url
        with trio.fail_after(60):
            async with await trio.open_tcp_stream(str(base.host), base.port or 0) as stream:
                await stream.send_all(head.encode())
                assert (await read_response(stream)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/a%2Fb", "/%61/b", "/a/b%00", "/a/b%0a", "/a/%2e%2e/b", "/a%252Fb"])
async def test_percent_forms_in_the_url_of_a_secret_are_refused_whoever_may_what(
    admin: Api, path: str
) -> None:
    await make_secret(admin, "/a/b")
    calls: list[tuple[str, str, object]] = [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/value", {}),
        ("POST", "/versions", {"secretString": encode(b"x")}),
        ("PUT", "/policy", {"accessPolicy": {}}),
        ("DELETE", "/versions?version=1", None),
    ]
    for method, suffix, body in calls:
        await admin.refused(400, method, f"{SECRETS}/secret{path}{suffix}", body)


async def test_a_path_in_the_query_is_decoded_once_and_never_twice(admin: Api) -> None:
    await make_secret(admin, "/a/b")
    assert (await admin.get(f"{SECRETS}/secret?path=%2Fa%2Fb"))["path"] == "/a/b"
    await admin.refused(400, "GET", f"{SECRETS}/secret?path=/a%252Fb")
    await admin.refused(400, "GET", f"{SECRETS}/secret?path=/a%00")


async def test_percent_forms_elsewhere_reach_nothing(admin: Api) -> None:
    key = await make_key(admin, "abc")
    identity = str(key["identity"])
    await admin.refused(404, "GET", f"{ROOT}/%{ord('a'):x}bc")
    await admin.refused(404, "GET", f"/v1/kms/nl%2D01/keys/{identity}")
    await admin.refused(404, "GET", f"/v1/%6bms/nl-01/keys/{identity}")


# what is not there


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/debug",
        "/debug/pprof",
        "/debug/vars",
        "/v1/debug",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/metrics",
        "/admin",
        "/console",
        "/profile",
        "/v1/sys/seal",
        "/v1/sys/unseal",
        "/v1/sys/init",
        "/.env",
        "/static/",
    ],
)
async def test_there_are_no_routes_for_debugging_sealing_or_documents(admin: Api, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        assert (await admin.send(method, path)).status_code == 404


def test_every_call_of_the_table_is_below_v1_or_the_token_endpoint(deployment: Deployment) -> None:
    for endpoint in list_endpoints(deployment.admin_parts):
        assert endpoint.pattern.startswith("/v1/") or endpoint.pattern == "/oidc/token"
        assert not {"debug", "profile", "seal", "unseal", "init"} & set(endpoint.pattern.split("/"))


async def test_there_is_neither_cors_nor_a_cookie(admin: Api) -> None:
    headers = {
        "Authorization": str(admin.authorization),
        "X-Organisation-Identity": "local-test",
        "Origin": "https://example.com",
        "Access-Control-Request-Method": "POST",
        "Cookie": "session=x",
    }
    for method, status in (("GET", 200), ("OPTIONS", 405)):
        response = await admin.client.request(method, ROOT, headers=headers)
        assert response.status_code == status
        assert not [name for name in response.headers if name.startswith("access-control-")]
        assert "set-cookie" not in response.headers
    assert not admin.client.cookies


# forwarded addresses, where they decide


@pytest.mark.parametrize(
    ("trusted", "headers", "status"),
    [
        ([], {"X-Forwarded-For": "10.1.2.3"}, 403),
        ([], {"X-Real-IP": "10.1.2.3"}, 403),
        (["127.0.0.1/32"], {"X-Forwarded-For": "10.1.2.3"}, 200),
        (["127.0.0.1/32"], {"X-Real-IP": "10.1.2.3"}, 200),
        (["127.0.0.1/32"], {"X-Forwarded-For": "10.1.2.3, 192.0.2.1"}, 403),
        (["127.0.0.1/32"], {"X-Forwarded-For": "192.0.2.1", "X-Real-IP": "10.1.2.3"}, 403),
        (["127.0.0.1/32"], {"X-Real-IP": "10.1.2.3, 10.1.2.3"}, 403),
        (["127.0.0.1/32"], {}, 403),
        (["192.0.2.0/24"], {"X-Forwarded-For": "10.1.2.3"}, 403),
    ],
)
async def test_access_policies_believe_forwarded_addresses_from_trusted_proxies_alone(
    deployment: Deployment, trusted: list[str], headers: dict[str, str], status: int
) -> None:
    addresses = ClientAddresses([ipaddress.ip_network(text) for text in trusted])
    application = make_application(deployment.admin_parts, options=ApiOptions(addresses=addresses))
    async with (
        serve(application) as address,
        httpx.AsyncClient(
            base_url=f"http://{address.host}:{address.port}", trust_env=False, timeout=60
        ) as client,
    ):
        admin = Api(client, f"Token {deployment.token}")
        policy = {"conditions": [{"type": "ip", "effect": "allow", "cidrs": ["10.0.0.0/8"]}]}
        await make_secret(admin, "/a", accessPolicy=policy)
        response = await client.post(
            f"{SECRETS}/secret/a/value",
            headers={
                "Authorization": str(admin.authorization),
                "X-Organisation-Identity": "local-test",
                **headers,
            },
        )
        assert response.status_code == status
