"""platform.md section 10, sentence by sentence, over HTTP."""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx
import pytest
import trio
from sqlalchemy import event, select

from api_server import serve
from deployment import Deployment, make_deployment
from signerd.api.application import make_application
from signerd.platform.rights import Rights, Rule
from signerd.platform.tables import audit_entries
from signerd_kms.attribution import NOBODY, Attribution
from signerd_kms.key import KeyType, Scope

SUMMARY = "/v1/kms/summary"


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with make_deployment(tmp_path) as deployment:
        yield deployment


@asynccontextmanager
async def connect(deployment: Deployment) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {
        "Authorization": f"Token {deployment.token}",
        "X-Organisation-Identity": "local-test",
        "User-Agent": "conformance/1",
    }
    async with (
        serve(make_application(deployment.admin_parts)) as address,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{address.port}", trust_env=False, headers=headers, timeout=60
        ) as client,
    ):
        yield client


@pytest.fixture
async def client(deployment: Deployment) -> AsyncGenerator[httpx.AsyncClient]:
    async with connect(deployment) as client:
        yield client


async def find(client: httpx.AsyncClient, **parameters: str | int) -> list[dict[str, object]]:
    response = await client.get("/v1/audit", params=parameters)
    assert response.status_code == 200, response.text
    page = response.json()
    assert page.keys() == {"items", "totalItems", "page", "itemsPerPage", "totalPages", "totalCount"}
    assert all(type(page[name]) is int for name in page.keys() - {"items"})
    assert page["totalItems"] == page["totalCount"]
    items: list[dict[str, object]] = page["items"]
    return items


def get_members(entry: dict[str, object], name: str) -> dict[str, object]:
    value = entry[name]
    assert isinstance(value, dict)
    return cast("dict[str, object]", value)


async def test_10_every_call_has_one_generic_entry_with_the_context_that_is_listed(
    client: httpx.AsyncClient, deployment: Deployment
) -> None:
    done = await client.get(f"{SUMMARY}?secret=value", headers={"Referer": "r", "Cookie": "value"})
    (entry,) = await find(client, action="GET", searchText="Where the KMS")
    context = get_members(entry, "context")
    assert re.fullmatch(r"ev-[0-9a-v]{20}", str(entry["eventID"]))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(entry["createdAt"]))
    assert entry["organizationIdentity"] == deployment.platform.organisation
    organisation = get_members(entry, "organization")
    assert organisation["slug"] == "local-test"
    assert type(organisation["objectVersion"]) is int
    user = get_members(entry, "user")
    assert user["subject"] == entry["userIdentity"]
    assert user["email"] == "ada@example.com"
    assert context["client_ip"] == "127.0.0.1"
    assert context["user_agent"] == "conformance/1"
    assert (context["method"], context["path"], context["status"]) == ("GET", SUMMARY, 200)
    assert context["url"] == f"{SUMMARY}?secret="
    assert type(context["duration"]) is int
    assert context["credentials_id"] == deployment.token.split("_")[2]
    assert context["credentials_type"] == "personal_access_token"
    assert get_members(context, "headers")["Referer"] == "r"
    assert context["requestId"] == done.headers["X-Request-Id"]
    assert "value" not in str(entry)
    assert deployment.token not in str(entry)


async def test_10_rejected_calls_are_recorded_too(client: httpx.AsyncClient) -> None:
    assert (await client.get(SUMMARY, headers={"Authorization": "Token wrong"})).status_code == 401
    assert (await client.get(SUMMARY, headers={"X-Project-Identity": "none"})).status_code == 404
    assert (await client.get("/v1/audit", params={"page": "x"})).status_code == 400
    for status, has_user in ((401, False), (404, True), (400, True)):
        (entry,) = await find(client, responseStatus=status)
        assert ("userIdentity" in entry) == has_user
    assert await find(client, responseStatus=599) == []


async def test_10_service_entries_stand_beside_with_the_same_request_id(
    client: httpx.AsyncClient, deployment: Deployment
) -> None:
    scope = Scope(deployment.platform.organisation, deployment.platform.region)
    by = Attribution("user:x", "dns-dnssec", "request-1", "c-1", "192.0.2.1")
    key = deployment.kms.create_key(scope, "one", KeyType("ecdsa-p256"), by=by)
    (entry,) = await find(client, resourceType="kms_key")
    assert entry["resourceIdentity"] == key.identity
    assert entry["userIdentity"] == "x"
    assert "user" not in entry  # no member: their name is not ours to show
    context = get_members(entry, "context")
    assert context["region"] == scope.region
    assert (context["result"], context["via"]) == ("success", "dns-dnssec")
    assert (context["requestId"], context["client_ip"]) == ("request-1", "192.0.2.1")


async def test_10_background_jobs_have_no_principal(
    client: httpx.AsyncClient, deployment: Deployment
) -> None:
    scope = Scope(deployment.platform.organisation, deployment.platform.region)
    deployment.kms.create_key(scope, "one", KeyType("ecdsa-p256"), by=NOBODY)
    (entry,) = await find(client, resourceType="kms_key")
    assert not {"userIdentity", "user", "serviceAccountIdentity", "serviceAccount"} & entry.keys()


async def test_10_filters_are_exact_and_joined(client: httpx.AsyncClient, deployment: Deployment) -> None:
    scope = Scope(deployment.platform.organisation, deployment.platform.region)
    keys = [
        deployment.kms.create_key(
            scope, name, KeyType("ecdsa-p256"), by=Attribution(f"serviceAccount:sa-{name}")
        )
        for name in ("one", "two")
    ]
    (action,) = {str(entry["action"]) for entry in await find(client, resourceType="kms_key")}
    assert len(await find(client, action=f"{action},none")) == 2
    assert await find(client, action=action[:-1]) == []
    assert len(await find(client, resourceIdentity=keys[0].identity)) == 1
    (entry,) = await find(client, serviceAccount="sa-two", resourceType="x,kms_key")
    assert entry["serviceAccountIdentity"] == "sa-two"
    assert await find(client, userIdentity="sa-two") == []
    assert await find(client, impersonatorIdentity="anyone") == []
    assert await find(client, organizationIdentity="o-00000000000000000000") == []
    assert len(await find(client, organizationIdentity=scope.organisation, serviceAccount="sa-one")) == 1
    assert len(await find(client, includeSystemServices="true", serviceAccount="sa-one")) == 1
    assert len(await find(client, none="x", serviceAccount="sa-one", action="")) == 1


@pytest.mark.parametrize("text", ["ada", "EXAMPLE.COM", "where the kms", "100%"])
async def test_10_search_is_a_substring_in_any_case(client: httpx.AsyncClient, text: str) -> None:
    await client.get(SUMMARY)
    found = await find(client, searchText=text)
    assert bool(found) == (text != "100%")


async def test_10_pages_are_newest_first_with_counts(client: httpx.AsyncClient) -> None:
    ids = [(await client.get(SUMMARY)).headers["X-Request-Id"] for _ in range(5)]
    pages = [
        (
            await client.get("/v1/audit", params={"searchText": "where the kms", "limit": 2, "page": number})
        ).json()
        for number in (1, 2, 3, 4)
    ]
    assert [len(page["items"]) for page in pages] == [2, 2, 1, 0]
    assert {(page["totalCount"], page["totalPages"], page["itemsPerPage"]) for page in pages} == {(5, 3, 2)}
    assert [page["page"] for page in pages] == [1, 2, 3, 4]
    found = [entry["context"]["requestId"] for page in pages for entry in page["items"]]
    assert found == ids[::-1]


async def test_10_without_filters_pages_count_the_whole_log(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await client.get(SUMMARY)
    first = (await client.get("/v1/audit", params={"limit": 3})).json()
    second = (await client.get("/v1/audit", params={"limit": 3, "page": 2})).json()
    assert second["totalCount"] == first["totalCount"] + 1  # the first search itself
    assert first["totalPages"] == -(-first["totalCount"] // 3)
    assert second["items"][0]["eventID"] == first["items"][2]["eventID"]
    assert (await client.get("/v1/audit", params={"limit": 9999})).json()["itemsPerPage"] == 1000
    assert (await client.get("/v1/audit")).json()["itemsPerPage"] == 100
    far = (await client.get("/v1/audit", params={"page": 10**17})).json()
    assert far["items"] == []


@pytest.mark.parametrize("query", ["page=0", "page=-1", "limit=0", "limit=x", "responseStatus=x", "page=1.0"])
async def test_10_malformed_numbers_are_400(client: httpx.AsyncClient, query: str) -> None:
    response = await client.get(f"/v1/audit?{query}")
    assert response.status_code == 400
    assert response.json().keys() == {"message", "code", "requestId"}


@pytest.mark.parametrize(
    ("permissions", "status"), [({"list"}, 200), ({"read"}, 200), ({"update"}, 403), (set[str](), 403)]
)
async def test_10_needs_list_or_read_on_the_audit_log(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, permissions: set[str], status: int
) -> None:
    rights = Rights((Rule(frozenset({"audit_log"}), frozenset(permissions)),))

    def give_rights(*_: object) -> Rights:
        return rights

    monkeypatch.setattr(type(deployment.parts), "collect_rights", give_rights)
    async with connect(deployment) as client:
        assert (await client.get("/v1/audit")).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_10_is_append_only(client: httpx.AsyncClient, method: str) -> None:
    assert (await client.request(method, "/v1/audit")).status_code == 405


async def test_10_an_operation_whose_entry_cannot_be_stored_fails_with_500(
    client: httpx.AsyncClient, deployment: Deployment
) -> None:
    with deployment.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit_entries RENAME TO gone")
    response = await client.get(SUMMARY)
    assert (response.status_code, response.json()["message"]) == (500, "internal error")


async def test_10_a_flood_of_refusals_is_counted_and_does_not_fill_the_log(
    client: httpx.AsyncClient, deployment: Deployment
) -> None:
    for _ in range(65):
        assert (await client.get(SUMMARY, headers={"Authorization": "Token wrong"})).status_code == 401
    assert len(await find(client, responseStatus=401, limit=1000)) == 60
    assert await find(client, action="audit.denials") == []
    deployment.clock.seconds += 60
    deployment.requests.flush()
    (entry,) = await find(client, action="audit.denials")
    context = get_members(entry, "context")
    assert (context["count"], context["client_ip"]) == (5, "127.0.0.1")


async def test_10_fifty_callers_at_once_share_a_few_commits(deployment: Deployment) -> None:
    writer = deployment.kms.custodian.store._writer  # pyright: ignore[reportPrivateUsage]
    commits: list[object] = []
    statuses: list[int] = []
    async with connect(deployment) as client:

        async def ask() -> None:
            statuses.append((await client.get(SUMMARY)).status_code)

        await ask()  # whatever the first request writes beside its entry
        event.listen(deployment.engine, "commit", commits.append)
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                with deployment.engine.begin():  # keeps the first of them waiting until all are there
                    for _ in range(50):
                        nursery.start_soon(ask)
                    while writer.waiting < 49:  # noqa: ASYNC110  # there is no event for it
                        await trio.sleep(0.01)
    assert statuses == [200] * 51
    assert len(commits) <= 1 + 3  # that of this test, and of two groups, or of three
    entries = [entry for entry in deployment_entries(deployment) if entry == "GET"]
    assert len(entries) == 51


def deployment_entries(deployment: Deployment) -> list[str]:
    with deployment.engine.connect() as connection:
        return list(
            connection.execute(
                select(audit_entries.c.action).where(
                    audit_entries.c.chain == deployment.platform.organisation
                )
            ).scalars()
        )
