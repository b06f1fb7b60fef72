"""platform.md, section 9: roles, service accounts, teams, memberships, projects and their policies."""

import pytest

from platform_api import Api, Json, PlatformApi, items_of, object_of, text_of
from signerd.platform.membership import Role

BUILT_IN = {
    "org-admin",
    "org-auditor",
    "kms:ReadAccess",
    "kms:FullAccess",
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:Sign",
    "kms:Verify",
    "kms:HMAC",
    "kms:Rotate",
    "kms:Export",
    "secrets:ReadAccess",
    "secrets:FullAccess",
    "dns:ReadAccess",
    "dns:FullAccess",
}
DESCRIBED = {
    "identity",
    "name",
    "slug",
    "description",
    "createdAt",
    "updatedAt",
    "objectVersion",
    "labels",
    "annotations",
}


def rules_of(policy: Json) -> dict[str, tuple[object, object]]:
    return {
        text_of(rule, "identity"): (rule["resources"], rule["permissions"])
        for rule in items_of(policy, "rules")
    }


async def test_9_built_in_roles_are_system_and_read_only(admin: Api) -> None:
    roles = {str(role["name"]): role for role in await admin.list("/v1/iam/roles")}
    assert roles.keys() >= BUILT_IN
    for role in roles.values():
        assert role["system"] is True
        assert role["isReadOnly"] is True
    assert list(rules_of(roles["org-admin"]).values()) == [(["*"], ["*"])]
    assert list(rules_of(roles["org-auditor"]).values()) == [(["audit_log"], ["list", "read"])]
    assert list(rules_of(roles["kms:Encrypt"]).values()) == [(["kms_key"], ["encrypt"])]
    assert list(rules_of(roles["secrets:ReadAccess"]).values()) == [(["secret"], ["list", "read"])]
    path = f"/v1/iam/roles/{roles['org-admin']['identity']}"
    (rule,) = rules_of(roles["org-admin"])
    await admin.refused(403, "DELETE", path)
    await admin.refused(403, "DELETE", f"{path}/rules/{rule}")
    await admin.refused(403, "POST", f"{path}/rules", {"resources": ["secret"], "permissions": ["read"]})


async def test_9_a_role_has_the_whole_wire_shape(admin: Api) -> None:
    body = {"name": "Ops", "description": "d", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    role = await admin.create("/v1/iam/roles", body)
    assert role.keys() == DESCRIBED | {"isReadOnly", "system", "organisation", "rules", "bindings"}
    assert {name: role[name] for name in body} == body
    assert (role["system"], role["isReadOnly"], role["rules"], role["bindings"]) == (False, False, [], [])
    path = f"/v1/iam/roles/{role['identity']}"
    rule = await admin.create(
        f"{path}/rules",
        {
            "resources": ["kms_key", "secret"],
            "permissions": ["list", "getSecretValue", "verifyHmac"],
            "resourceIdentities": ["/app/prod/*"],
            "note": "n",
        },
    )
    assert rule.keys() == {"identity", "resources", "resourceIdentities", "permissions", "note"}
    assert rule["permissions"] == ["list", "getSecretValue", "verifyHmac"]
    assert rule["resourceIdentities"] == ["/app/prod/*"]
    shown = await admin.get(path)
    assert shown["rules"] == [rule]
    assert shown["objectVersion"] == 2
    await admin.delete(f"{path}/rules/{rule['identity']}")
    await admin.refused(404, "DELETE", f"{path}/rules/{rule['identity']}")
    assert (await admin.get(path))["rules"] == []
    await admin.delete(path)
    await admin.refused(404, "GET", path)


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"resources": [], "permissions": ["read"]},
        {"resources": ["kms_key"], "permissions": []},
        {"resources": ["kms_key"], "permissions": [""]},
        {"resources": ["kms*"], "permissions": ["read"]},
        {"resources": ["kms_key"], "permissions": ["re*"]},
        {"resources": ["secret"], "permissions": ["read"], "resourceIdentities": [""]},
        {"resources": ["secret"], "permissions": ["read"], "resourceIdentities": ["/a*"]},
        {"resources": ["secret"], "permissions": ["read"], "resourceIdentities": ["/*/b/*"]},
        {"resources": ["kms_key"], "permissions": ["read"], "resourceIdentities": ["kms-*"]},
        {"resources": "kms_key", "permissions": ["read"]},
        {"resources": [1], "permissions": ["read"]},
    ],
)
async def test_9_a_rule_without_the_form_of_one_is_400(admin: Api, rule: object) -> None:
    role = await admin.create("/v1/iam/roles", {"name": "Ops"})
    await admin.refused(400, "POST", f"/v1/iam/roles/{role['identity']}/rules", rule)
    assert (await admin.get(f"/v1/iam/roles/{role['identity']}"))["rules"] == []


async def test_9_a_binding_has_exactly_one_principal_non_null(platform: PlatformApi) -> None:
    admin = platform.admin
    member = platform.add_member("member")
    team = await admin.create("/v1/teams", {"name": "team"})
    account = await admin.create("/v1/service-accounts", {"name": "ci"})
    role = await admin.create("/v1/iam/roles", {"name": "Ops"})
    path = f"/v1/iam/roles/{role['identity']}/bindings"
    principals = {
        "user": ("userIdentity", member.subject),
        "team": ("teamIdentity", team["identity"]),
        "serviceAccount": ("serviceAccountIdentity", account["identity"]),
    }
    for number, (shown, (field, identity)) in enumerate(principals.items()):
        binding = await admin.create(
            path, {"name": f"b{number}", "userIdentity": None, "teamIdentity": None, field: identity}
        )
        assert binding.keys() == DESCRIBED | {"organisationRole", "scopes", shown}
        principal = object_of(binding, shown)
        assert identity in (principal.get("identity"), principal.get("subject"))
    bindings = await admin.list(path)
    assert {binding["name"] for binding in bindings} == {"b0", "b1", "b2"}
    everyone = dict(principals.values())
    for body in (
        {},
        {"userIdentity": None},
        {"userIdentity": ""},
        everyone,
        {"userIdentity": "u-unknown"},
        {"teamIdentity": "team-unknown"},
        {"serviceAccountIdentity": "sa-unknown"},
        {"userIdentity": team["identity"]},
        {"userIdentity": member.subject, "scopes": ["everything"]},
    ):
        await admin.refused(400, "POST", path, {"name": "x", **body})
    await admin.refused(409, "POST", path, {"name": "B0", "userIdentity": member.subject})
    for binding in bindings:
        await admin.delete(f"{path}/{binding['identity']}")
        await admin.refused(404, "DELETE", f"{path}/{binding['identity']}")
    assert await admin.list(path) == []


async def test_9_principals_of_another_organisation_cannot_be_bound(platform: PlatformApi) -> None:
    foreign = platform.add_organisation("Foreign")
    owner = platform.add_member("owner", foreign.identity, role=Role.OWNER)
    theirs = platform.admin.as_token(owner.token).within("foreign")
    team = await theirs.create("/v1/teams", {"name": "team"})
    account = await theirs.create("/v1/service-accounts", {"name": "ci"})
    role = await platform.admin.create("/v1/iam/roles", {"name": "Ops"})
    path = f"/v1/iam/roles/{role['identity']}/bindings"
    messages: dict[str, set[str]] = {}
    for field, identity, unknown in (
        ("userIdentity", owner.subject, "u-00000000000000000000"),
        ("teamIdentity", team["identity"], "team-00000000000000000000"),
        ("serviceAccountIdentity", account["identity"], "sa-00000000000000000000"),
    ):
        for name in (identity, unknown):
            message = await platform.admin.refused(400, "POST", path, {"name": "x", field: name})
            messages.setdefault(field, set()).add(message)
    assert all(len(found) == 1 for found in messages.values())


async def test_9_rights_are_the_union_of_user_and_team_bindings(platform: PlatformApi) -> None:
    member = platform.add_member("member")
    caller = platform.admin.as_token(member.token)
    await caller.refused(403, "GET", "/v1/teams")
    await caller.refused(403, "GET", "/v1/iam/roles")
    await platform.grant("teams", ["list", "create"], ["team"], userIdentity=member.subject)
    await caller.list("/v1/teams")
    await caller.create("/v1/teams", {"name": "mine"})
    await caller.refused(403, "GET", "/v1/iam/roles")
    team = await platform.admin.create("/v1/teams", {"name": "readers"})
    await platform.grant("roles", ["list"], ["iam_role"], teamIdentity=text_of(team, "identity"))
    await caller.refused(403, "GET", "/v1/iam/roles")
    place = await platform.admin.create(
        f"/v1/teams/{team['identity']}/members", {"userIdentity": member.subject, "role": "MEMBER"}
    )
    await caller.list("/v1/iam/roles")
    await platform.admin.delete(f"/v1/teams/{team['identity']}/members/{place['identity']}")
    await caller.refused(403, "GET", "/v1/iam/roles")


async def test_9_a_binding_limited_to_read_grants_nothing_on_writes(platform: PlatformApi) -> None:
    member = platform.add_member("member")
    role = await platform.admin.create("/v1/iam/roles", {"name": "teams"})
    path = f"/v1/iam/roles/{role['identity']}"
    await platform.admin.create(f"{path}/rules", {"permissions": ["*"], "resources": ["team"]})
    await platform.admin.create(
        f"{path}/bindings", {"name": "b", "userIdentity": member.subject, "scopes": ["api:read"]}
    )
    caller = platform.admin.as_token(member.token)
    await caller.list("/v1/teams")
    await caller.refused(403, "POST", "/v1/teams", {"name": "x"})


async def test_9_nobody_grants_more_than_they_may_do(platform: PlatformApi) -> None:
    member = platform.add_member("member")
    caller = platform.admin.as_token(member.token)
    await platform.grant("iam", ["*"], ["iam_role", "service_account", "team"], userIdentity=member.subject)
    await platform.grant("keys", ["read"], ["kms_key"], userIdentity=member.subject)
    role = await caller.create("/v1/iam/roles", {"name": "own"})
    path = f"/v1/iam/roles/{role['identity']}"
    for rule in (
        {"resources": ["*"], "permissions": ["*"]},
        {"resources": ["kms_key"], "permissions": ["update"]},
        {"resources": ["kms_key", "secret"], "permissions": ["read"]},
    ):
        assert "grant" in await caller.refused(403, "POST", f"{path}/rules", rule)
        assert "grant" in await caller.refused(403, "POST", "/v1/iam/roles", {"name": "x", "rules": [rule]})
    await caller.create(f"{path}/rules", {"resources": ["kms_key"], "permissions": ["read"]})
    await caller.create(f"{path}/bindings", {"name": "me", "userIdentity": member.subject})
    admins = (await platform.admin.list("/v1/iam/roles?name=org-admin"))[0]
    binding = {"name": "me", "userIdentity": member.subject}
    assert "grant" in await caller.refused(
        403, "POST", f"/v1/iam/roles/{admins['identity']}/bindings", binding
    )
    account = await platform.admin.create("/v1/service-accounts", {"name": "root"})
    await platform.admin.create(
        f"/v1/iam/roles/{admins['identity']}/bindings",
        {"name": "root", "serviceAccountIdentity": account["identity"]},
    )
    credentials = f"/v1/service-accounts/{account['identity']}/access-credentials"
    assert "grant" in await caller.refused(403, "POST", credentials, {"name": "mine"})
    team = await platform.admin.create("/v1/teams", {"name": "admins"})
    await platform.admin.create(
        f"/v1/iam/roles/{admins['identity']}/bindings", {"name": "t", "teamIdentity": team["identity"]}
    )
    members = f"/v1/teams/{team['identity']}/members"
    assert "grant" in await caller.refused(
        403, "POST", members, {"userIdentity": member.subject, "role": "x"}
    )


async def test_9_service_accounts_have_the_whole_wire_shape(platform: PlatformApi) -> None:
    admin = platform.admin
    account = await admin.create("/v1/service-accounts", {"name": "ci", "description": "d"})
    assert account.keys() == DESCRIBED | {"organisation", "createdBy", "roleBindings"}
    assert object_of(account, "createdBy")["name"] == "Ada"
    path = f"/v1/service-accounts/{account['identity']}/access-credentials"
    made = await admin.create(path, {"name": "first", "scopes": ["api:read"], "description": "x"})
    assert made.keys() == {"accessKey", "accessSecret", "identity", "scopes"}
    assert made["scopes"] == ["api:read"]
    listed = await admin.list(path)
    assert [item["identity"] for item in listed] == [made["identity"]]
    assert listed[0].keys() == {"identity", "name", "description", "createdAt", "accessKey", "scopes"}
    assert text_of(made, "accessSecret") not in str(listed)
    for body in ({}, {"name": ""}, {"name": "x", "scopes": ["root"]}, {"name": "x", "expiresAt": "tomorrow"}):
        await admin.refused(400, "POST", path, body)
    for past in ("2020-01-01T00:00:00Z", "2027-01-15T08:00:00Z", "2030-01-01T00:00:00"):
        await admin.refused(400, "POST", path, {"name": "x", "expiresAt": past})
    pair = admin.as_pair(text_of(made, "accessKey"), text_of(made, "accessSecret"))
    await pair.list("/v1/regions")
    own = await pair.within(None).list("/v1/me/organisation-memberships")
    assert [membership["role"] for membership in own] == ["MEMBER"]
    await admin.delete(f"/v1/service-accounts/{account['identity']}")
    await pair.refused(401, "GET", "/v1/regions")
    await admin.refused(404, "GET", path)


async def test_9_teams_have_the_whole_wire_shape(platform: PlatformApi) -> None:
    admin = platform.admin
    member = platform.add_member("member")
    team = await admin.create("/v1/teams", {"name": "Platform"})
    assert team.keys() == DESCRIBED | {"members"}
    assert team["members"] == []
    path = f"/v1/teams/{team['identity']}/members"
    place = await admin.create(path, {"userIdentity": member.subject, "role": "MEMBER"})
    assert place.keys() == {"identity", "role", "user", "createdAt"}
    shown = await admin.get(f"/v1/teams/{team['identity']}")
    assert shown["members"] == [place]
    await admin.refused(409, "POST", path, {"userIdentity": member.subject, "role": "MEMBER"})
    await admin.refused(400, "POST", path, {"userIdentity": "u-unknown", "role": "MEMBER"})
    await admin.refused(404, "DELETE", f"{path}/tm-unknown")
    await admin.delete(f"{path}/{place['identity']}")
    assert (await admin.get(f"/v1/teams/{team['identity']}"))["members"] == []


async def test_9_memberships_and_the_lockout_check(platform: PlatformApi) -> None:
    admin = platform.admin
    (owner,) = await admin.list("/v1/memberships")
    assert owner.keys() == {"identity", "createdAt", "user", "role"}
    path = f"/v1/memberships/{owner['identity']}"
    assert "administrator" in await admin.refused(409, "PUT", path, {"role": "MEMBER"})
    await admin.refused(409, "DELETE", path)
    for body in ({}, {"role": "KING"}, {"role": 1}):
        await admin.refused(400, "PUT", path, body)
    second = platform.add_member("second")
    other = next(m for m in await admin.list("/v1/memberships") if m["identity"] != owner["identity"])
    caller = admin.as_token(second.token)
    await caller.refused(403, "PUT", f"/v1/memberships/{other['identity']}", {"role": "OWNER"})
    changed = await admin.put(f"/v1/memberships/{other['identity']}", {"role": "OWNER"})
    assert changed["role"] == "OWNER"
    assert (await admin.put(path, {"role": "MEMBER"}))["role"] == "MEMBER"
    await admin.refused(403, "GET", "/v1/memberships")
    await caller.delete(path)
    await admin.refused(403, "GET", "/v1/regions")
    await caller.refused(404, "DELETE", path)
    await caller.refused(409, "DELETE", f"/v1/memberships/{other['identity']}")


async def test_9_an_administrator_by_role_counts_for_the_lockout_check(platform: PlatformApi) -> None:
    admin = platform.admin
    (owner,) = await admin.list("/v1/memberships")
    second = platform.add_member("second")
    role = (await admin.list("/v1/iam/roles?name=org-admin"))[0]
    binding = await admin.create(
        f"/v1/iam/roles/{role['identity']}/bindings", {"name": "second", "userIdentity": second.subject}
    )
    caller = admin.as_token(second.token)
    await caller.put(f"/v1/memberships/{owner['identity']}", {"role": "MEMBER"})
    bindings = f"/v1/iam/roles/{role['identity']}/bindings/{binding['identity']}"
    await caller.refused(409, "DELETE", bindings)
    assert len(await caller.list(f"/v1/iam/roles/{role['identity']}/bindings")) == 1


async def test_9_projects_and_their_parents(admin: Api) -> None:
    parent = await admin.create("/v1/projects", {"name": "Parent"})
    assert parent.keys() == DESCRIBED
    child = await admin.create("/v1/projects", {"name": "Child", "parentProjectIdentity": parent["identity"]})
    assert child["parentProject"] == {"identity": parent["identity"], "name": "Parent", "slug": "parent"}
    path = f"/v1/projects/{child['identity']}"
    await admin.refused(400, "PUT", f"/v1/projects/{parent['identity']}", {"parentProjectIdentity": "child"})
    await admin.refused(400, "PUT", path, {"parentProjectIdentity": "child"})
    await admin.refused(400, "PUT", path, {"parentProjectIdentity": "prj-unknown"})
    await admin.refused(400, "DELETE", f"/v1/projects/{parent['identity']}")
    kept = await admin.put(path, {"description": "d"})
    assert kept["parentProject"] == child["parentProject"]
    cleared = await admin.put(path, {"parentProjectIdentity": ""})
    assert "parentProject" not in cleared
    await admin.delete(f"/v1/projects/{parent['identity']}")
    await admin.refused(409, "POST", "/v1/projects", {"name": "child"})
    assert [project["slug"] for project in await admin.list("/v1/projects")] == ["child"]


async def test_9_creating_a_project_provisions_the_default_policies_and_binds_the_creator_as_admin(
    platform: PlatformApi,
) -> None:
    member = platform.add_member("member")
    await platform.grant("projects", ["create"], ["project"], userIdentity=member.subject)
    caller = platform.admin.as_token(member.token)
    project = await caller.create("/v1/projects", {"name": "One"})
    inside = caller.inside("one")
    policies = {str(policy["name"]): policy for policy in await inside.list("/v1/projects/iam/policies")}
    assert policies.keys() >= BUILT_IN
    shape = {"isReadOnly", "system", "organisation", "rules", "bindings"}
    assert policies["org-admin"].keys() == DESCRIBED | shape | {
        "project",
        "replicateToChildren",
        "conditionals",
    }
    assert policies["org-admin"]["conditionals"] == {"allowed": [], "denied": []}
    bindings = items_of(policies["org-admin"], "bindings")
    assert [object_of(binding, "user")["subject"] for binding in bindings] == [member.subject]
    await caller.put(f"/v1/projects/{project['identity']}", {"description": "mine"})
    await caller.refused(403, "GET", "/v1/teams")
    await inside.refused(403, "GET", "/v1/teams")  # rights in a project are none in the organisation
    await inside.refused(403, "GET", "/v1/iam/roles")
    await caller.delete(f"/v1/projects/{project['identity']}")


async def test_9_policies_of_a_project(platform: PlatformApi) -> None:
    admin = platform.admin
    await admin.create("/v1/projects", {"name": "One"})
    await admin.create("/v1/projects", {"name": "Two"})
    inside = admin.inside("one")
    conditionals = {
        "allowed": [{"type": "ip", "ips": ["10.0.0.0/8"]}],
        "denied": [{"type": "time", "time": {"startHour": 22, "endHour": 6, "timezone": "Europe/Amsterdam"}}],
    }
    policy = await inside.create("/v1/projects/iam/policies", {"name": "Ops", "conditionals": conditionals})
    assert policy["conditionals"] == conditionals
    path = f"/v1/projects/iam/policies/{policy['identity']}"
    await admin.inside("two").refused(404, "GET", path)
    await admin.refused(404, "GET", f"/v1/iam/roles/{policy['identity']}")
    for bad in (
        {"allowed": [{"type": "moon"}]},
        {"allowed": [{"type": "ip", "ips": ["10.0.0.0/40"]}]},
        {"denied": [{"type": "time", "time": {"startHour": 25}}]},
        {"denied": [{"type": "time", "time": {"timezone": "Mars/Base"}}]},
    ):
        await inside.refused(400, "PUT", path, {"conditionals": bad})
    changed = await inside.put(path, {"description": "d", "replicateToChildren": True})
    assert (changed["name"], changed["description"], changed["replicateToChildren"]) == ("Ops", "d", True)
    assert changed["conditionals"] == conditionals
    member = platform.add_member("member")
    await inside.create(f"{path}/rules", {"resources": ["iam_policy"], "permissions": ["list"]})
    binding = await inside.create(f"{path}/bindings", {"name": "m", "userIdentity": member.subject})
    caller = admin.as_token(member.token)
    assert len(await caller.inside("one").list("/v1/projects/iam/policies")) > 1
    await caller.inside("two").refused(404, "GET", "/v1/projects/iam/policies")
    assert [project["slug"] for project in await caller.list("/v1/projects")] == ["one"]
    renamed = await inside.put(f"{path}/bindings/{binding['identity']}", {"description": "why"})
    assert (renamed["name"], renamed["description"]) == ("m", "why")
    members = await inside.list("/v1/projects/iam/policies/members")
    mine = [entry for entry in members if object_of(entry, "user")["subject"] == member.subject]
    assert mine[0]["bindings"] == [
        {
            "source": "iam_policy",
            "bindingIdentity": binding["identity"],
            "bindingName": "m",
            "policyIdentity": policy["identity"],
            "policyName": "Ops",
            "policySlug": "ops",
        }
    ]
    types = (await inside.send("GET", "/v1/projects/iam/policies/resources")).json()
    assert {"kms_key", "secret", "dns_zone", "audit_log", "iam_policy"} <= set(types)
    await inside.delete(path)
    await caller.inside("one").refused(404, "GET", "/v1/projects/iam/policies")


async def test_9_a_policy_holds_in_child_projects_only_if_it_says_so(platform: PlatformApi) -> None:
    admin = platform.admin
    await admin.create("/v1/projects", {"name": "Top"})
    await admin.create("/v1/projects", {"name": "Mid", "parentProjectIdentity": "top"})
    await admin.create("/v1/projects", {"name": "Low", "parentProjectIdentity": "mid"})
    member = platform.add_member("member")
    caller = admin.as_token(member.token)
    policy = await admin.inside("top").create(
        "/v1/projects/iam/policies",
        {"name": "p", "rules": [{"resources": ["iam_policy"], "permissions": ["list"]}]},
    )
    path = f"/v1/projects/iam/policies/{policy['identity']}"
    await admin.inside("top").create(f"{path}/bindings", {"name": "m", "userIdentity": member.subject})
    await caller.inside("top").list("/v1/projects/iam/policies")
    await caller.inside("low").refused(404, "GET", "/v1/projects/iam/policies")
    await admin.inside("top").put(path, {"replicateToChildren": True})
    await caller.inside("low").list("/v1/projects/iam/policies")
    await caller.inside("mid").list("/v1/projects/iam/policies")
