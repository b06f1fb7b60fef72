"""Extensions beside platform.md: what the operator of the deployment and every user can do."""

import pytest

from platform_api import Json, PlatformApi, format_moment, object_of, text_of

NOW = 1_800_000_000

OPERATOR_CALLS = [
    ("GET", "/v1/organisations"),
    ("POST", "/v1/organisations"),
    ("GET", "/v1/organisations/local-test"),
    ("PUT", "/v1/organisations/local-test"),
    ("GET", "/v1/organisations/local-test/gates"),
    ("PUT", "/v1/organisations/local-test/gates/dns"),
    ("GET", "/v1/organisations/none"),
    ("GET", "/v1/users"),
    ("POST", "/v1/users"),
    ("GET", "/v1/users/none/tokens"),
    ("POST", "/v1/users/none/tokens"),
    ("POST", "/v1/regions"),
    ("PUT", "/v1/regions/nl-01"),
]


@pytest.mark.parametrize(("method", "path"), OPERATOR_CALLS)
async def test_only_an_unlimited_credential_of_an_operator_runs_the_deployment(
    platform: PlatformApi, method: str, path: str
) -> None:
    admin = platform.admin
    member = admin.as_token(platform.add_member("member").token)
    everything = platform.add_member("owner")
    role = (await admin.list("/v1/iam/roles?name=org-admin"))[0]
    await admin.create(
        f"/v1/iam/roles/{role['identity']}/bindings", {"name": "o", "userIdentity": everything.subject}
    )
    limited = await admin.create("/v1/me/tokens", {"name": "limited", "organisation": "local-test"})
    body: Json | None = {} if method in ("POST", "PUT") else None
    messages = {
        await caller.refused(403, method, path, body)
        for caller in (member, admin.as_token(everything.token), admin.as_token(text_of(limited, "token")))
    }
    assert len(messages) == 1


async def test_a_new_tenant_is_empty_and_closed_to_others(platform: PlatformApi) -> None:
    admin = platform.admin
    user = await admin.create("/v1/users", {"name": "Grace", "email": "grace@example.com"})
    token = await admin.create(f"/v1/users/{user['subject']}/tokens", {"name": "first"})
    theirs = await admin.create(
        "/v1/organisations", {"name": "Tenant", "ownerIdentity": user["subject"], "gates": ["kms"]}
    )
    grace = admin.as_token(text_of(token, "token"))
    await admin.within("tenant").refused(403, "GET", "/v1/iam/roles")
    await grace.refused(403, "GET", "/v1/iam/roles")
    (membership,) = await grace.within(None).list("/v1/me/organisation-memberships")
    assert object_of(membership, "organisation") == theirs
    await grace.within("tenant").list("/v1/iam/roles")
    await grace.within("tenant").refused(403, "GET", "/v1/projects")
    await admin.put("/v1/organisations/tenant/gates/projects", {"enabled": True})
    assert await grace.within("tenant").list("/v1/projects") == []
    renamed = await admin.put("/v1/organisations/tenant", {"name": "Other", "labels": {"a": "b"}})
    assert (renamed["name"], renamed["slug"], renamed["labels"]) == ("Other", "tenant", {"a": "b"})
    for body in ({}, {"name": "!"}, {"name": "x", "gates": ["moon"]}):
        await admin.refused(400, "POST", "/v1/organisations", body)
    await admin.refused(409, "POST", "/v1/organisations", {"name": "tenant"})
    await admin.refused(404, "POST", "/v1/organisations", {"name": "x", "ownerIdentity": "u-none"})
    assert len(await admin.list("/v1/organisations")) == 2


async def test_users_make_replace_and_end_their_own_tokens(platform: PlatformApi) -> None:
    member = platform.add_member("member")
    caller = platform.admin.as_token(member.token)
    made = await caller.create(
        "/v1/me/tokens", {"name": "ci", "scopes": ["api:read"], "expiresAt": format_moment(NOW + 3600)}
    )
    assert text_of(made, "token").startswith("tc_pat_")
    second = caller.as_token(text_of(made, "token"))
    await second.list("/v1/regions")
    listed = await caller.list("/v1/me/tokens")
    assert all("token" not in item for item in listed)
    for method, path in (("GET", "/v1/me/tokens"), ("POST", "/v1/me/tokens")):
        await second.refused(403, method, path, {"name": "wider"} if method == "POST" else None)
    path = f"/v1/me/tokens/{made['identity']}"
    new = await caller.create(f"{path}/rotate", {})
    assert (new["name"], new["scopes"], new["expiresAt"]) == ("ci", ["api:read"], made["expiresAt"])
    await second.refused(401, "GET", "/v1/regions")
    third = caller.as_token(text_of(new, "token"))
    await third.list("/v1/regions")
    await caller.refused(404, "POST", f"{path}/rotate", {})
    await caller.delete(f"/v1/me/tokens/{new['identity']}")
    await third.refused(401, "GET", "/v1/regions")
    for body in (
        {},
        {"name": ""},
        {"name": "x", "expiresAt": format_moment(NOW)},
        {"name": "x", "expiresAt": format_moment(NOW + 20 * 366 * 86400)},
        {"name": "x", "scopes": ["root"]},
        {"name": "x", "project": "one"},
    ):
        await caller.refused(400, "POST", "/v1/me/tokens", body)
    foreign = platform.add_organisation("Foreign")
    await caller.refused(403, "POST", "/v1/me/tokens", {"name": "x", "organisation": foreign.slug})
    other = caller.as_token(platform.add_member("other").token)
    token_id = str(listed[0]["identity"])
    await other.refused(404, "DELETE", f"/v1/me/tokens/{token_id}")
    await caller.list("/v1/regions")


async def test_a_service_account_has_no_personal_tokens(platform: PlatformApi) -> None:
    admin = platform.admin
    account = await admin.create("/v1/service-accounts", {"name": "ci"})
    made = await admin.create(
        f"/v1/service-accounts/{account['identity']}/access-credentials", {"name": "first"}
    )
    pair = admin.as_pair(text_of(made, "accessKey"), text_of(made, "accessSecret"))
    await pair.refused(403, "GET", "/v1/me/tokens")
    await pair.refused(403, "POST", "/v1/me/tokens", {"name": "x"})


async def test_a_token_for_one_project_works_there_alone(platform: PlatformApi) -> None:
    admin = platform.admin
    await admin.create("/v1/projects", {"name": "One"})
    await admin.create("/v1/projects", {"name": "Two"})
    made = await admin.create(
        "/v1/me/tokens", {"name": "one", "organisation": "local-test", "project": "one"}
    )
    caller = admin.as_token(text_of(made, "token"))
    assert (await caller.list("/v1/projects/iam/policies"))[0]["project"] is not None
    await caller.inside("two").refused(403, "GET", "/v1/projects/iam/policies")
    assert [project["slug"] for project in await caller.list("/v1/projects")] == ["one"]
    for path in ("/v1/iam/roles", "/v1/teams", "/v1/service-accounts", "/v1/memberships", "/v1/audit"):
        await caller.refused(403, "GET", path)
    await caller.refused(403, "POST", "/v1/projects", {"name": "three"})
    await caller.list("/v1/regions")
