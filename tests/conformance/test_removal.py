"""Organisations, regions and users end when nothing is lost with them; an extension for the operator."""

import pytest
from sqlalchemy import func, select

from platform_api import Api, Json, PlatformApi, text_of
from signerd.platform import tables
from signerd.platform.membership import Role

PLAINTEXT = "aGVsbG8="


async def make_tenant(platform: PlatformApi) -> tuple[Api, str]:
    """Make an organisation with something in every table; give its owner and its identity."""
    made = platform.add_organisation("Tenant")
    owner = platform.admin.as_token(
        platform.add_member("owner", made.identity, role=Role.OWNER).token
    ).within("tenant")
    parent = await owner.create("/v1/projects", {"name": "One"})
    await owner.create("/v1/projects", {"name": "Below", "parentProjectIdentity": parent["identity"]})
    account = await owner.create("/v1/service-accounts", {"name": "robot"})
    await owner.create(f"/v1/service-accounts/{account['identity']}/access-credentials", {"name": "c"})
    team = await owner.create("/v1/teams", {"name": "team"})
    role = await owner.create("/v1/iam/roles", {"name": "role"})
    path = f"/v1/iam/roles/{role['identity']}"
    await owner.create(f"{path}/rules", {"permissions": ["read"], "resources": ["kms_key"]})
    await owner.create(f"{path}/bindings", {"name": "b", "teamIdentity": team["identity"]})
    provider = await owner.create(
        "/v1/federated-identity-providers", {"name": "issuer", "providerIssuer": "https://issuer.example.com"}
    )
    assert provider["identity"]
    await owner.create("/v1/me/tokens", {"name": "here only", "organisation": "tenant"})
    return owner, made.identity


def list_rows(platform: PlatformApi, organisation: str) -> dict[str, int]:
    """Count what the platform's tables have of an organisation, where there is any."""
    found: dict[str, int] = {}
    with platform.deployment.engine.connect() as connection:
        for table in tables.metadata.tables.values():
            if "organisation" in table.c:
                query = select(func.count()).select_from(table).where(table.c.organisation == organisation)
                if count := connection.execute(query).scalar_one():
                    found[table.name] = count
    return found


async def test_an_organisation_goes_with_all_that_is_its_own_but_its_audit(platform: PlatformApi) -> None:
    owner, identity = await make_tenant(platform)
    assert len(list_rows(platform, identity)) > 10
    await platform.admin.delete("/v1/organisations/tenant")
    assert set(list_rows(platform, identity)) <= {"audit_entries"}
    await platform.admin.refused(404, "GET", "/v1/organisations/tenant")
    await owner.refused(403, "GET", "/v1/projects")
    with platform.deployment.engine.connect() as connection:
        entries = tables.audit_entries
        chains = connection.execute(
            select(entries.c.chain).where(entries.c.action == "organisation.delete")
        ).scalars()
        assert set(chains) == {"instance", identity}
    assert platform.add_organisation("Tenant").slug == "tenant"  # its name is free


@pytest.mark.parametrize("what", ["key", "key pending deletion", "secret", "zone"])
async def test_an_organisation_with_keys_secrets_or_zones_stays(platform: PlatformApi, what: str) -> None:
    owner, identity = await make_tenant(platform)
    if what == "zone":
        await owner.create("/v1/dns/zones", {"zoneName": "tenant.example"})
    else:
        key = await owner.inside("one").create("/v1/kms/nl-01/keys", {"name": "key"})
        if what == "secret":
            body = {"path": "/a", "kmsKeyIdentity": key["identity"], "secretString": PLAINTEXT}
            await owner.inside("one").create("/v1/secrets/nl-01/secrets", body)
        if what == "key pending deletion":
            await owner.inside("one").send("DELETE", f"/v1/kms/nl-01/keys/{key['identity']}")
    before = list_rows(platform, identity)
    message = await platform.admin.refused(400, "DELETE", f"/v1/organisations/{identity}")
    assert f"{2 if what == 'secret' else 1} keys, secrets and zones" in message
    assert list_rows(platform, identity) == before


async def test_the_deployments_own_organisation_and_region_stay(admin: Api) -> None:
    assert "deployment" in await admin.refused(400, "DELETE", "/v1/organisations/local-test")
    assert "deployment" in await admin.refused(400, "DELETE", "/v1/regions/nl-01")


async def test_a_region_goes_when_nothing_is_there(admin: Api) -> None:
    await admin.create("/v1/regions", {"slug": "nl-02", "name": "nl-02", "zones": ["nl-02a"]})
    key = await admin.create("/v1/kms/nl-02/keys", {"name": "key"})
    assert "1 keys" in await admin.refused(400, "DELETE", "/v1/regions/nl-02")
    await admin.send("DELETE", f"/v1/kms/nl-02/keys/{key['identity']}")
    await admin.refused(400, "DELETE", "/v1/regions/nl-02")  # it may be wanted back
    await admin.create("/v1/regions", {"slug": "nl-03", "name": "nl-03", "zones": ["nl-03a"]})
    await admin.delete("/v1/regions/nl-03")
    await admin.refused(404, "GET", "/v1/regions/nl-03")
    await admin.refused(404, "DELETE", "/v1/regions/nl-03")
    assert len(await admin.list("/v1/regions")) == 2


async def test_a_user_goes_with_memberships_and_tokens(platform: PlatformApi) -> None:
    member = platform.add_member("leaving")
    caller = platform.admin.as_token(member.token)
    await platform.grant("list", ["list"], ["kms_key"], userIdentity=member.subject)
    assert await caller.list("/v1/kms/nl-01/keys") == []
    await platform.admin.delete(f"/v1/users/{member.subject}")
    await caller.refused(401, "GET", "/v1/kms/nl-01/keys")
    assert member.subject not in str(await platform.admin.list("/v1/memberships"))
    await platform.admin.refused(404, "DELETE", f"/v1/users/{member.subject}")


async def test_users_without_whom_nobody_could_help_stay(platform: PlatformApi) -> None:
    admin = platform.admin
    foreign = platform.add_organisation("Foreign")
    owner = platform.add_member("only-owner", foreign.identity, role=Role.OWNER)
    await admin.refused(409, "DELETE", f"/v1/users/{owner.subject}")
    assert await admin.as_token(owner.token).within("foreign").list("/v1/memberships")
    (own,) = [user for user in await admin.list("/v1/users") if user["name"] == "Ada"]
    assert "themselves" in await admin.refused(400, "DELETE", f"/v1/users/{name_of(own)}")


def name_of(user: Json) -> str:
    return text_of(user, "subject")


async def test_all_of_it_is_for_the_operator(platform: PlatformApi) -> None:
    _, identity = await make_tenant(platform)
    owner = platform.admin.as_token(platform.add_member("an-owner", role=Role.OWNER).token)
    other = platform.add_member("other")
    for path in (f"/v1/organisations/{identity}", "/v1/regions/nl-01", f"/v1/users/{other.subject}"):
        await owner.refused(403, "DELETE", path)
        await platform.admin.as_token("sgd_pat_none").refused(401, "DELETE", path)
