"""platform.md, section 2: authentication."""

import pytest

from platform_api import Api, PlatformApi, format_moment, text_of

NOW = 1_800_000_000
DAY = 86400


@pytest.mark.parametrize("scheme", ["Token", "token", "TOKEN", "Bearer", "bearer", "BEARER"])
async def test_2_scheme_names_compare_case_insensitively_and_a_pat_is_taken_under_bearer(
    platform: PlatformApi, scheme: str
) -> None:
    member = platform.add_member("member")
    assert member.token.startswith("tc_pat_")
    for token in (member.token, platform.deployment.token):
        assert len(await platform.admin.as_token(token, scheme).list("/v1/regions")) == 1


async def test_2_basic_takes_access_key_and_secret_of_a_service_account(admin: Api) -> None:
    account = await admin.create("/v1/service-accounts", {"name": "ci"})
    made = await admin.create(
        f"/v1/service-accounts/{account['identity']}/access-credentials", {"name": "first"}
    )
    pair = admin.as_pair(text_of(made, "accessKey"), text_of(made, "accessSecret"))
    assert len(await pair.list("/v1/regions")) == 1


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Token",
        "Digest abc",
        "Bearer tc_pat_0123456789abcdef_012345678901234567890123456_000000",
        "Token tc_pat_",
        "Basic !!!",
        "Basic dXNlcjpwYXNz",
        "Basic dXNlcg==",
        "Bearer a b",
        "Bearer " + "x" * 5000,
    ],
)
async def test_2_missing_malformed_or_unknown_credential_is_401_with_www_authenticate_bearer(
    admin: Api, authorization: str | None
) -> None:
    caller = Api(admin.client, authorization)
    for path in ("/v1/regions", "/v1/me/organisation-memberships", "/v1/iam/roles/none"):
        response = await caller.send("GET", path)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_2_expired_or_revoked_credential_is_401(platform: PlatformApi) -> None:
    admin = platform.admin
    account = await admin.create("/v1/service-accounts", {"name": "ci"})
    path = f"/v1/service-accounts/{account['identity']}/access-credentials"
    short = await admin.create(path, {"name": "short", "expiresAt": format_moment(NOW + 60)})
    kept = await admin.create(path, {"name": "kept"})
    short_pair = admin.as_pair(text_of(short, "accessKey"), text_of(short, "accessSecret"))
    kept_pair = admin.as_pair(text_of(kept, "accessKey"), text_of(kept, "accessSecret"))
    await short_pair.list("/v1/regions")
    platform.deployment.clock.seconds = NOW + 60
    refused = await short_pair.refused(401, "GET", "/v1/regions")
    await kept_pair.list("/v1/regions")
    await admin.delete(f"{path}/{kept['identity']}")
    assert await kept_pair.refused(401, "GET", "/v1/regions") == refused


async def test_2_secrets_of_credentials_are_stored_as_hashes_only(platform: PlatformApi) -> None:
    admin = platform.admin
    account = await admin.create("/v1/service-accounts", {"name": "ci"})
    made = await admin.create(
        f"/v1/service-accounts/{account['identity']}/access-credentials", {"name": "first"}
    )
    member = platform.add_member("member")
    await admin.as_token(member.token).list("/v1/regions")
    stored = "\n".join(platform.deployment.engine.raw_connection().driver_connection.iterdump())  # type: ignore[union-attr]
    for secret in (text_of(made, "accessSecret"), member.token, platform.deployment.token):
        assert secret not in stored
        assert secret.split("_")[3] not in stored
    assert text_of(made, "accessKey") in stored


async def test_2_1_api_read_allows_get_only_and_every_other_method_needs_api_write(
    platform: PlatformApi,
) -> None:
    reader = platform.admin.as_token(platform.add_member("reader", scopes=("api:read",)).token)
    writer = platform.admin.as_token(platform.add_member("writer", scopes=("api:write",)).token)
    other = platform.admin.as_token(platform.add_member("other", scopes=("kubernetes",)).token)
    both = platform.admin.as_token(platform.add_member("both").token)
    await reader.list("/v1/regions")
    await both.list("/v1/regions")
    for caller in (writer, other):
        await caller.refused(403, "GET", "/v1/regions")
    for method, path in (("POST", "/v1/teams"), ("PUT", "/v1/teams/x"), ("DELETE", "/v1/teams/x")):
        message = await reader.refused(403, method, path, {} if method != "DELETE" else None)
        assert "scopes" in message
        for caller in (writer, both):
            assert "scopes" not in await caller.refused(403, method, path, {} if method != "DELETE" else None)


async def test_2_last_use_has_the_granularity_of_a_day(platform: PlatformApi) -> None:
    admin = platform.admin
    account = await admin.create("/v1/service-accounts", {"name": "ci"})
    path = f"/v1/service-accounts/{account['identity']}/access-credentials"
    made = await admin.create(path, {"name": "first"})
    pair = admin.as_pair(text_of(made, "accessKey"), text_of(made, "accessSecret"))
    assert "lastUsedAt" not in (await admin.list(path))[0]
    await pair.list("/v1/regions")
    first = (await admin.list(path))[0]["lastUsedAt"]
    assert str(first).endswith("T00:00:00Z")
    platform.deployment.clock.seconds += 60
    await pair.list("/v1/regions")
    assert (await admin.list(path))[0]["lastUsedAt"] == first
    platform.deployment.clock.seconds += DAY
    await pair.list("/v1/regions")
    assert (await admin.list(path))[0]["lastUsedAt"] != first
