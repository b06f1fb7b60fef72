"""The order of checks and what every call has in common, over real sockets."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import httpx
import pytest

from api_server import make_client, make_fake_application, serve, talk
from fake_access import FOREIGN, ORGANISATION, PROJECT, FakeServer
from signerd.api.call import Call, OpenCall
from signerd.api.reply import Reply
from signerd.api.route import ORGANISATION as ORGANISATION_SCOPE
from signerd.api.route import PERSONAL, AnyEndpoint, Endpoint, OpenEndpoint
from signerd.api.wire import WireModel
from signerd.platform.gate import Gate
from signerd.platform.rights import Rights


class Item(WireModel):
    name: str


def describe(call: Call) -> Reply:
    return Reply(
        body={
            "actor": call.attribution.actor,
            "organisation": call.owner.identity if call.owner else None,
            "project": call.project.identity if call.project else None,
            "path": dict(call.path),
            "requestId": call.request_id,
        }
    )


def make_item(call: Call) -> Reply:
    call.rights.require("item", "create")
    return Reply(201, {"name": call.read(Item).name})


def rotate(call: Call) -> Reply:
    call.read_empty()
    return Reply(200, {})


def echo(call: OpenCall) -> Reply:
    return Reply(body={"octets": len(call.body), "x": call.query.first("x")})


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint("GET", "/v1/items/{item}", describe, "test:Get", "Get", resource_type="item"),
    Endpoint("POST", "/v1/items", make_item, "test:Create", "Create", gates=(Gate.SECRETS, Gate.KMS)),
    Endpoint("POST", "/v1/items/{item}/rotate", rotate, "test:Rotate", "Rotate"),
    Endpoint("POST", "/v1/large", rotate, "test:Large", "Large", body_octets=1 << 21),
    Endpoint("DELETE", "/v1/items/{item}", lambda _: Reply(204), "test:Delete", "Delete"),
    Endpoint("GET", "/v1/projects", describe, "test:List", "List", scope=ORGANISATION_SCOPE),
    Endpoint("GET", "/v1/me/x", describe, "test:Me", "Me", scope=PERSONAL),
    OpenEndpoint("POST", "/oidc/echo", echo, "test:Echo", "Echo"),
]


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def client(fake: FakeServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with serve(make_fake_application(fake, ENDPOINTS)) as address, make_client(address) as client:
        yield client


async def test_a_call_knows_who_asks_for_whom(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/items/a+b")
    assert response.json() == {
        "actor": "user:admin",
        "organisation": ORGANISATION.identity,
        "project": None,
        "path": {"item": "a+b"},
        "requestId": response.headers["X-Request-Id"],
    }


@pytest.mark.parametrize(
    ("claim", "header", "query", "expected"),
    [
        (None, None, None, None),
        (None, "one", None, PROJECT.identity),
        (None, "", "one", PROJECT.identity),
        (None, PROJECT.identity, "none", PROJECT.identity),
        (PROJECT.identity, None, None, PROJECT.identity),
        (PROJECT.identity, "one", "none", PROJECT.identity),
        (PROJECT.identity, "two", None, 403),
        (None, "two", None, 404),
        (None, None, "two", 404),
        ("prj-gone", None, None, 404),
    ],
)
async def test_the_project_is_that_of_the_credential_the_header_or_the_query(
    client: httpx.AsyncClient,
    fake: FakeServer,
    claim: str | None,
    header: str | None,
    query: str | None,
    expected: str | int | None,
) -> None:
    fake.credential = replace(fake.credential, project=claim)
    response = await client.get(
        "/v1/items/a",
        headers={} if header is None else {"X-Project-Identity": header},
        params={} if query is None else {"project": query},
    )
    if isinstance(expected, int):
        assert response.status_code == expected
    else:
        assert response.json()["project"] == expected


async def test_only_resources_have_a_project_and_personal_calls_not_even_an_organisation(
    client: httpx.AsyncClient, fake: FakeServer
) -> None:
    response = await client.get("/v1/projects", headers={"X-Project-Identity": "none"})
    assert response.json()["project"] is None
    del client.headers["X-Organisation-Identity"]
    assert (await client.get("/v1/me/x")).json()["organisation"] is None
    assert len(fake.records) == 1  # of the first call


@pytest.mark.parametrize(
    ("scopes", "get", "post"),
    [
        ([], 200, 200),
        (["api:read"], 200, 403),
        (["api:write"], 403, 200),
        (["api:read", "api:write"], 200, 200),
        (["kubernetes"], 403, 403),
    ],
)
async def test_scopes_of_the_credential_allow_methods(
    client: httpx.AsyncClient, fake: FakeServer, scopes: list[str], get: int, post: int
) -> None:
    fake.credential = replace(fake.credential, scopes=frozenset(scopes))
    assert (await client.get("/v1/items/a")).status_code == get
    assert (await client.head("/v1/items/a")).status_code == get
    assert (await client.post("/v1/items/a/rotate")).status_code == post


async def test_checks_are_made_in_the_order_of_the_contract(
    client: httpx.AsyncClient, fake: FakeServer
) -> None:
    """Each step mends what the one before it was refused for, last of all the body."""
    fake.gates = {}
    fake.rights = Rights()
    headers = {"Authorization": "Bearer x", "X-Organisation-Identity": "", "X-Project-Identity": "none"}

    async def post(content: bytes = b"[") -> tuple[int, str]:
        response = await client.post("/v1/items", headers=headers, content=content)
        return response.status_code, response.json().get("message", "")

    assert await post() == (401, "the credential is not valid")
    del headers["Authorization"]
    assert (await post())[0] == 400
    headers["X-Organisation-Identity"] = "foreign"
    assert (await post())[0] == 403
    headers["X-Organisation-Identity"] = "local"
    assert await post() == (403, "the feature secrets is not enabled for this organisation")
    fake.gates = {Gate.SECRETS: True, Gate.KMS: False}
    assert await post() == (403, "the feature kms must be enabled first")
    fake.gates = {Gate.SECRETS: True, Gate.KMS: True}
    assert await post() == (404, "project not found")
    headers["X-Project-Identity"] = "one"
    assert await post() == (403, "you may not create on item")
    fake.rights = Rights.of_owner()
    assert (await post())[0] == 415
    headers["Content-Type"] = "application/json"
    assert await post() == (400, "the body is no valid JSON")
    assert await post(b"{}") == (400, "name is required")
    assert (await post(b'{"name":"a","other":1}'))[0] == 201
    assert [record.status for record in fake.records] == [403, 403, 403, 404, 403, 415, 400, 400, 201]
    assert {record.organisation for record in fake.records} == {ORGANISATION.identity, FOREIGN.identity}


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"junk"])
async def test_a_call_without_a_body_takes_whatever_comes(client: httpx.AsyncClient, content: bytes) -> None:
    assert (await client.post("/v1/items/a/rotate", content=content)).status_code == 200


async def test_an_endpoint_may_take_more(fake: FakeServer) -> None:
    octets = bytes((1 << 20) + 1)
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    async with serve(make_fake_application(fake, ENDPOINTS)) as address:
        (large,) = await talk(address, head % (b"/v1/large", len(octets)) + octets)
        (small,) = await talk(address, head % (b"/v1/items/a/rotate", len(octets)))
    assert large.startswith(b"HTTP/1.1 401 ")
    assert small.startswith(b"HTTP/1.1 413 ")


async def test_no_content_has_neither_type_nor_length(client: httpx.AsyncClient) -> None:
    response = await client.delete("/v1/items/a")
    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Type" not in response.headers
    assert "Content-Length" not in response.headers


async def test_an_open_call_needs_no_credential(client: httpx.AsyncClient, fake: FakeServer) -> None:
    client.headers.clear()
    response = await client.post("/oidc/echo?x=1", content=b"abc")
    assert response.json() == {"octets": 3, "x": "1"}
    assert fake.records == []


async def test_a_request_is_recorded_without_values(client: httpx.AsyncClient, fake: FakeServer) -> None:
    response = await client.get("/v1/items/a?token=secret&b=1", headers={"Referer": "r", "Cookie": "secret"})
    (record,) = fake.records
    assert (record.method, record.path, record.query_names) == ("GET", "/v1/items/a", ("token", "b"))
    assert (record.status, record.request_id) == (200, response.headers["X-Request-Id"])
    assert (record.resource_type, record.resource, record.action) == ("item", "a", "test:Get")
    assert record.headers["Referer"] == "r"
    assert record.duration_microseconds > 0
    assert record.address == "127.0.0.1"
    assert "secret" not in repr(record)
    assert "tc_pat" not in repr(record)


@pytest.mark.parametrize(
    ("authorization", "organisation", "recorded"),
    [
        ("Bearer wrong", "local", ORGANISATION.identity),
        ("Bearer wrong", "foreign", FOREIGN.identity),
        ("Bearer wrong", "none", None),
    ],
)
async def test_a_refused_credential_is_recorded_where_the_organisation_is_known(
    client: httpx.AsyncClient, fake: FakeServer, authorization: str, organisation: str, recorded: str | None
) -> None:
    response = await client.get(
        "/v1/items/a", headers={"Authorization": authorization, "X-Organisation-Identity": organisation}
    )
    assert response.status_code == 401
    assert [record.organisation for record in fake.records] == ([recorded] if recorded else [])
    assert all(record.principal is None and record.credential is None for record in fake.records)


async def test_what_is_not_recorded_does_not_leave(client: httpx.AsyncClient, fake: FakeServer) -> None:
    fake.audit_error = OSError("disk full")
    response = await client.get("/v1/items/a")
    assert (response.status_code, response.json()["message"]) == (500, "internal error")


async def test_a_sealed_api_says_so_in_the_log_once(
    client: httpx.AsyncClient, fake: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    fake.is_sealed = True
    for path in ("/v1/items/a", "/v1/projects", "/v1/items/b"):
        assert (await client.get(path)).status_code == 503
    assert [(record.levelname, record.name) for record in caplog.records if record.levelname != "INFO"] == [
        ("WARNING", "signerd.api.failure_log")
    ]
    fake.is_sealed = False
    assert (await client.get("/v1/projects")).status_code == 200
