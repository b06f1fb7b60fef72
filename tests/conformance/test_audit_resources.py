"""platform.md 10 and secrets.md 7: which resource the generic entry of a call names."""

import pytest

from kms_api import encode, make_key, path_of
from platform_api import Api, Json, items_of

SECRETS = "/v1/secrets/nl-01"


async def list_entries(admin: Api, resource: str) -> list[Json]:
    page = await admin.get(f"/v1/audit?limit=1000&resourceIdentity={resource}")
    return items_of(page, "items")


@pytest.mark.parametrize("form", ["secret/app/db", "secret?path=/app/db"])
async def test_10_entries_of_a_secret_are_found_by_its_path_however_it_was_named(
    admin: Api, form: str
) -> None:
    key = await make_key(admin)
    body = {"path": "/app/db", "kmsKeyIdentity": key["identity"], "secretString": encode(b"x")}
    await admin.create(f"{SECRETS}/secrets", body)
    place, _, query = form.partition("?")
    query = f"?{query}" if query else ""
    assert (await admin.send("GET", f"{SECRETS}/{place}{query}")).status_code == 200
    assert (await admin.send("POST", f"{SECRETS}/{place}/value{query}", {})).status_code == 200
    assert (await admin.send("GET", f"{SECRETS}/{place}-2{query}-2")).status_code in (400, 404)
    entries = await list_entries(admin, "/app/db")
    assert [entry["action"] for entry in entries] == ["POST", "secrets.get_value", "GET", "secrets.create"]
    assert {entry["resourceType"] for entry in entries} == {"secret"}
    assert await list_entries(admin, "nl-01") == [], "the region is no secret"


async def test_10_entries_of_a_key_are_found_by_what_it_was_called(admin: Api) -> None:
    key = await make_key(admin)
    await admin.get(path_of(key))
    entries = await list_entries(admin, str(key["identity"]))
    assert [entry["action"] for entry in entries] == ["GET", "kms.create"]
