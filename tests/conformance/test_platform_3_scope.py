"""platform.md, sections 3, 4, 5 and 8: organisation, project, regions, gates, filters."""

import pytest

from platform_api import Api, PlatformApi, items_of, object_of, text_of
from signerd.platform.described import Description
from signerd.platform.gate import Gate
from signerd.platform.organisation import set_gate
from signerd.platform.region import create_region
from signerd_kms.attribution import NOBODY


async def test_3_the_organisation_is_named_by_identity_or_slug(platform: PlatformApi) -> None:
    for name in (platform.deployment.platform.organisation, "local-test"):
        await platform.admin.within(name).list("/v1/iam/roles")


@pytest.mark.parametrize("name", [None, ""])
async def test_3_missing_organisation_is_400_and_an_empty_value_counts_as_missing(
    admin: Api, name: str | None
) -> None:
    await admin.within(name).refused(400, "GET", "/v1/iam/roles")


async def test_3_unknown_organisation_and_one_the_caller_is_no_member_of_are_403_alike(
    platform: PlatformApi,
) -> None:
    foreign = platform.add_organisation("Foreign")
    messages = {
        await platform.admin.within(name).refused(403, "GET", "/v1/iam/roles")
        for name in (
            foreign.identity,
            foreign.slug,
            "o-00000000000000000000",
            "Local Test",
            "%",
            "local_test",
        )
    }
    assert len(messages) == 1


async def test_3_the_organisation_is_not_needed_on_v1_me(platform: PlatformApi) -> None:
    memberships = await platform.admin.within(None).list("/v1/me/organisation-memberships")
    assert [membership["role"] for membership in memberships] == ["OWNER"]
    organisation = object_of(memberships[0], "organisation")
    assert organisation["identity"] == platform.deployment.platform.organisation
    assert organisation["slug"] == "local-test"
    assert memberships[0]["user"] == {
        "subject": object_of(memberships[0], "user")["subject"],
        "name": "Ada",
        "email": "ada@example.com",
        "createdAt": "2027-01-15T08:00:00Z",
    }


async def test_3_project_is_named_by_identity_or_slug_and_unknown_or_not_accessible_is_404(
    platform: PlatformApi,
) -> None:
    admin = platform.admin
    project = await admin.create("/v1/projects", {"name": "One"})
    for name in (text_of(project, "identity"), "one"):
        await admin.inside(name).list("/v1/projects/iam/policies")
    outsider = admin.as_token(platform.add_member("outsider").token)
    messages = {
        await caller.inside(name).refused(404, "GET", "/v1/projects/iam/policies")
        for caller, name in (
            (admin, "prj-00000000000000000000"),
            (admin, "One"),
            (outsider, "one"),
            (outsider, text_of(project, "identity")),
        )
    }
    assert len(messages) == 1


async def test_3_the_project_is_required_on_projects_iam_policies(admin: Api) -> None:
    assert "X-Project-Identity" in await admin.refused(400, "GET", "/v1/projects/iam/policies")


async def test_3_the_query_names_a_project_when_the_header_does_not(admin: Api) -> None:
    one = await admin.create("/v1/projects", {"name": "One"})
    await admin.create("/v1/projects", {"name": "Two"})
    policies = await admin.list("/v1/projects/iam/policies?project=one")
    assert policies[0]["project"] == {"identity": one["identity"], "name": "One", "slug": "one"}
    policies = await admin.inside("two").list("/v1/projects/iam/policies?project=one")
    assert object_of(policies[0], "project")["slug"] == "two"


async def test_4_regions_are_an_array_of_the_whole_shape(platform: PlatformApi) -> None:
    platform.deployment.store.change(
        NOBODY,
        lambda change: create_region(change, "nl-02", Description("Utrecht"), zones=("nl-02a", "nl-02b")),
    )
    member = platform.admin.as_token(platform.add_member("member").token)
    regions = await member.list("/v1/regions")
    assert {region["slug"] for region in regions} == {"nl-01", "nl-02"}
    for region in regions:
        assert region.keys() == {
            "identity",
            "name",
            "slug",
            "description",
            "createdAt",
            "updatedAt",
            "objectVersion",
            "labels",
            "annotations",
            "zones",
        }
        assert region["objectVersion"] == 1
        assert region["updatedAt"] == region["createdAt"]
        assert await member.get(f"/v1/regions/{region['slug']}") == region
        assert await member.get(f"/v1/regions/{region['identity']}") == region
    zones = items_of(next(region for region in regions if region["slug"] == "nl-02"), "zones")
    assert [zone["slug"] for zone in zones] == ["nl-02a", "nl-02b"]
    assert all("cloudRegionIdentity" in zone for zone in zones)


async def test_4_region_slugs_compare_exactly_and_an_unknown_region_is_404(admin: Api) -> None:
    for name in ("NL-01", "nl-1", "Amsterdam", "nl-01%20", "nl%2D01"):
        await admin.refused(404, "GET", f"/v1/regions/{name}")


async def test_5_projects_are_403_when_the_gate_is_off(platform: PlatformApi) -> None:
    admin, organisation = platform.admin, platform.deployment.platform.organisation
    await admin.create("/v1/projects", {"name": "One"})
    platform.deployment.store.change(
        NOBODY, lambda change: set_gate(change, organisation, Gate.PROJECTS, is_on=False)
    )
    for method, path in (
        ("GET", "/v1/projects"),
        ("POST", "/v1/projects"),
        ("GET", "/v1/projects/one"),
        ("DELETE", "/v1/projects/one"),
        ("GET", "/v1/projects/none"),
        ("GET", "/v1/projects/iam/policies"),
        ("GET", "/v1/projects/iam/policies/members"),
    ):
        body = {"name": "x"} if method == "POST" else None
        assert "projects" in await admin.refused(403, method, path, body)
        assert "projects" in await admin.inside("none").refused(403, method, path, body)
    await admin.list("/v1/iam/roles")
    platform.deployment.store.change(
        NOBODY, lambda change: set_gate(change, organisation, Gate.PROJECTS, is_on=True)
    )
    await admin.get("/v1/projects/one")


async def test_5_the_kms_summary_succeeds_with_the_gate_off(platform: PlatformApi) -> None:
    organisation = platform.deployment.platform.organisation
    platform.deployment.store.change(
        NOBODY, lambda change: set_gate(change, organisation, Gate.KMS, is_on=False)
    )
    summary = await platform.admin.get("/v1/kms/summary")
    assert summary["featureEnabled"] is False
    assert not summary.get("regions")


async def test_8_filters_are_exact_and_anded_and_unknown_keys_are_ignored(admin: Api) -> None:
    for name, labels in (
        ("Alpha", {"env": "prod", "tier.example.com/x": "1"}),
        ("Beta", {"env": "prod"}),
        ("Gamma", {}),
    ):
        for path in ("/v1/service-accounts", "/v1/iam/roles", "/v1/projects", "/v1/teams"):
            await admin.create(path, {"name": name, "labels": labels})
    for path in ("/v1/service-accounts", "/v1/iam/roles", "/v1/projects", "/v1/teams"):
        for query, expected in (
            ("matchLabels%5Benv%5D=prod", ["Alpha", "Beta"]),
            ("matchLabels[env]=prod&matchLabels%5Btier.example.com%2Fx%5D=1", ["Alpha"]),
            ("matchLabels[env]=PROD", []),
            ("name=Beta", ["Beta"]),
            ("name=beta", []),
            ("slug=beta&matchLabels[env]=prod", ["Beta"]),
            ("slug=gamma&matchLabels[env]=prod", []),
            ("name=Gamma&vpc=x&colour=red&name2=", ["Gamma"]),
        ):
            found = await admin.list(f"{path}?{query}")
            assert sorted(str(item["name"]) for item in found) == expected, (path, query)


async def test_8_lists_are_ordered_by_created_at_then_identity(platform: PlatformApi) -> None:
    for number in range(6):
        await platform.admin.create("/v1/teams", {"name": f"team {number}"})
        if number % 2:
            platform.deployment.clock.seconds += 1
    teams = await platform.admin.list("/v1/teams")
    assert teams == sorted(teams, key=lambda team: (str(team["createdAt"]), str(team["identity"])))
    assert len(teams) == 6


@pytest.mark.parametrize(
    ("path", "prefix"), [("/v1/projects", "prj"), ("/v1/service-accounts", "sa"), ("/v1/teams", "team")]
)
async def test_8_identities_slugs_and_object_versions(platform: PlatformApi, path: str, prefix: str) -> None:
    admin = platform.admin
    body = {"name": " My  Thing (1)! ", "labels": {"a": ""}, "annotations": {"b.c/d": "é"}}
    made = await admin.create(path, body)
    identity = text_of(made, "identity")
    assert identity.startswith(prefix + "-")
    assert len(identity) == len(prefix) + 21
    assert made["slug"] == "my-thing-1"
    assert (made["labels"], made["annotations"]) == (body["labels"], body["annotations"])
    assert made["objectVersion"] == 1
    assert made["updatedAt"] == made["createdAt"]
    await admin.refused(409, "POST", path, {"name": "my thing 1"})
    platform.deployment.clock.seconds += 10
    assert await admin.get(f"{path}/{identity}") == made
    assert await admin.get(f"{path}/my-thing-1") == made
    same = await admin.put(f"{path}/{identity}", {"name": body["name"]})
    assert same["objectVersion"] == 1
    changed = await admin.put(f"{path}/{identity}", {"name": "Other", "labels": None, "description": "d"})
    assert (changed["objectVersion"], changed["slug"], changed["labels"]) == (2, "other", {})
    assert changed["annotations"] == body["annotations"]
    assert changed["description"] == "d"
    assert str(changed["updatedAt"]) > str(changed["createdAt"])
    for name in ("", "!!!", "x" * 300, "a\nb", identity):
        await admin.refused(400, "POST", path, {"name": name})
    await admin.delete(f"{path}/{identity}")
    await admin.refused(404, "GET", f"{path}/{identity}")
    await admin.refused(404, "DELETE", f"{path}/{identity}")
