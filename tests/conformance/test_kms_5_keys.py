"""kms.md, sections 2, 4, 5 and 6: making, listing, reading and changing keys; test names quote them."""

import json
from typing import Final

import pytest
from sqlalchemy import select

from kms_api import ROOT, call, check_key, encode, make_key, path_of, refuse, send_with
from platform_api import Api, Json, PlatformApi, items_of, object_of, read_object, text_of
from signerd.platform.described import Description
from signerd.platform.gate import Gate
from signerd.platform.organisation import set_gate
from signerd.platform.region import create_region
from signerd.platform.tables import audit_entries
from signerd_kms.attribution import NOBODY

DAY: Final = 86_400
FAST_TYPES: Final = [
    "aes128-gcm96",
    "aes256-gcm96",
    "chacha20-poly1305",
    "rsa-2048",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "ed25519",
    "hmac",
    "hmac-sha256",
    "hmac-sha512",
]


def audited(platform: PlatformApi, action: str) -> list[Json]:
    """List the audit entries of an action, decoded."""
    with platform.deployment.engine.connect() as connection:
        rows = connection.execute(
            select(audit_entries.c.record)
            .where(audit_entries.c.action == action)
            .order_by(audit_entries.c.sequence)
        ).scalars()
        return [json.loads(record) for record in rows]


# 2 and 4: types and the object


@pytest.mark.parametrize("key_type", FAST_TYPES)
async def test_2_every_key_type_is_made_under_its_exact_name(admin: Api, key_type: str) -> None:
    key = await make_key(admin, keyType=key_type)
    assert key["keyType"] == key_type


@pytest.mark.parametrize("key_type", [None, ""])
async def test_2_key_type_absent_is_aes256_gcm96(admin: Api, key_type: str | None) -> None:
    key = await make_key(admin) if key_type is None else await make_key(admin, keyType=key_type)
    assert key["keyType"] == "aes256-gcm96"


@pytest.mark.parametrize("key_type", ["ec-p256", "hmac-sha384", "AES256-GCM96", "aes", "rsa-1024"])
async def test_2_unknown_type_is_400(admin: Api, key_type: str) -> None:
    assert "keyType" in await admin.refused(400, "POST", ROOT, {"name": "a", "keyType": key_type})


async def test_4_a_new_key_has_the_defaults_and_nothing_that_was_never_set(admin: Api) -> None:
    key = await make_key(admin, "Production Key")
    assert key["slug"] == "production-key"
    assert (key["status"], key["latestVersion"], key["objectVersion"]) == ("active", 1, 1)
    assert (key["exportAllowed"], key["keyRotationEnabled"], key["imported"]) == (False, False, False)
    assert key["minDecryptionVersion"] == 1
    assert key["createdAt"] == key["updatedAt"] == "2027-01-15T08:00:00Z"
    absent = {"description", "labels", "annotations", "projectId", "rotationPeriodInDays"}
    absent |= {"deletionScheduledAt", "lastRotatedAt", "nextRotationAt"}
    assert absent.isdisjoint(key)


async def test_4_labels_and_annotations_are_echoed_exactly(admin: Api) -> None:
    chosen: dict[str, object] = {
        "description": "für alle",
        "labels": {"env": "prod", "a/b": ""},
        "annotations": {"note": "ünï"},
    }
    key = await make_key(admin, "a key", **chosen)
    assert {name: key[name] for name in chosen} == chosen
    assert await admin.get(path_of(key)) == key


async def test_4_null_and_unknown_fields_mean_the_default(admin: Api) -> None:
    key = await make_key(
        admin, description=None, labels=None, exportAllowed=None, rotationPeriodInDays=None, other={"x": 1}
    )
    assert "labels" not in key


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": ""},
        {"name": "x" * 256},
        {"name": "line\nbreak"},
        {"name": 1},
        {"name": "a", "description": "x" * 1025},
        {"name": "a", "labels": {"a": 1}},
        {"name": "a", "exportAllowed": "true"},
        {"name": "a", "rotationPeriodInDays": "90"},
        {"name": "a", "rotationPeriodInDays": 1.0},
        {"name": "a", "rotationPeriodInDays": 0},
        {"name": "a", "rotationPeriodInDays": 3651},
        {"name": "a", "keyRotationEnabled": True},
        {"name": "a", "hashFunction": "sha256"},
        {"name": "a", "allowRotation": True},
    ],
)
async def test_4_what_breaks_a_rule_of_the_create_request_is_400(admin: Api, wrong: Json) -> None:
    await admin.refused(400, "POST", ROOT, wrong)
    assert await admin.list(ROOT) == []


async def test_4_names_have_up_to_255_characters_and_a_period_is_echoed_with_rotation_off(admin: Api) -> None:
    key = await make_key(admin, "ü" * 255, rotationPeriodInDays=3650)
    assert key["rotationPeriodInDays"] == 3650
    assert "nextRotationAt" not in key


async def test_4_slug_is_usable_as_id_and_the_identity_wins(admin: Api) -> None:
    key = await make_key(admin, "First")
    identity = text_of(key, "identity")
    await make_key(admin, identity)  # a slug that is the other's identity
    assert (await admin.get(f"{ROOT}/first"))["identity"] == identity
    assert (await admin.get(f"{ROOT}/{identity}"))["name"] == "First"


# 5: calls


async def test_5_post_keys_409_if_a_key_with_that_name_or_slug_exists(admin: Api) -> None:
    await make_key(admin, "My Key")
    for name in ("My Key", "my-key", "MY KEY"):
        await admin.refused(409, "POST", ROOT, {"name": name})


async def test_5_names_of_keys_pending_deletion_do_not_block_a_new_key(admin: Api) -> None:
    old = await make_key(admin)
    await admin.send("DELETE", path_of(old))
    new = await make_key(admin)
    assert (await admin.get(f"{ROOT}/a-key"))["identity"] == new["identity"]
    await admin.refused(409, "DELETE", path_of(old, "cancel-deletion"))
    await admin.send("DELETE", path_of(new))
    response = await admin.send("DELETE", path_of(old, "cancel-deletion"))
    assert read_object(response, 200)["status"] == "active"


async def test_5_get_keys_is_a_bare_array_in_order_with_pending_ones(admin: Api) -> None:
    assert await admin.list(ROOT) == []
    made = [await make_key(admin, f"key {number}") for number in range(3)]
    await admin.send("DELETE", path_of(made[1]))
    listed = await admin.list(ROOT)
    assert [key["identity"] for key in listed] == sorted(str(key["identity"]) for key in made)
    assert sorted(str(key["status"]) for key in listed) == ["active", "active", "pending_deletion"]
    for key in listed:
        check_key(key)


async def test_5_get_keys_filters_by_identity_name_slug_status_and_labels(admin: Api) -> None:
    one = await make_key(admin, "Key One", labels={"env": "prod", "tier": "1"})
    two = await make_key(admin, "Key Two", labels={"env": "prod"})
    await admin.send("POST", path_of(two, "disable"))
    for query, found in {
        f"identity={one['identity']}": [one],
        "name=Key%20One": [one],
        "slug=key-two": [two],
        "name=key": [],
        "status=disabled": [two],
        "status=active": [one],
        "matchLabels%5Benv%5D=prod": [one, two],
        "matchLabels%5Benv%5D=prod&matchLabels%5Btier%5D=1": [one],
        "matchLabels%5Benv%5D=test": [],
        "name=Key%20One&slug=key-two": [],
        "unknown=x": [one, two],
        "name=": [one, two],
    }.items():
        listed = await admin.list(f"{ROOT}?{query}")
        assert {key["identity"] for key in listed} == {key["identity"] for key in found}, query


async def test_5_get_keys_id_404_if_unknown_other_region_or_scope(platform: PlatformApi) -> None:
    admin = platform.admin
    key = await make_key(admin)
    platform.deployment.store.change(
        NOBODY, lambda change: create_region(change, "nl-02", Description("Two"))
    )
    platform.add_organisation("Foreign")
    project = await admin.create("/v1/projects", {"name": "One"})
    messages = {
        await admin.refused(404, "GET", f"{ROOT}/kms-00000000000000000000"),
        await admin.inside(text_of(project, "identity")).refused(
            404, "GET", f"{ROOT}/kms-00000000000000000000"
        ),
    }
    assert len(messages) == 1
    await admin.refused(404, "GET", f"/v1/kms/nl-02/keys/{key['identity']}")
    await admin.inside("one").refused(404, "GET", path_of(key))
    await admin.refused(404, "GET", f"/v1/kms/nl-99/keys/{key['identity']}")


async def test_4_keys_of_a_project_are_its_own_and_say_so(admin: Api) -> None:
    project = await admin.create("/v1/projects", {"name": "One"})
    inside = admin.inside("one")
    key = await make_key(inside)
    assert key["projectId"] == project["identity"]
    assert await admin.list(ROOT) == []
    assert [listed["identity"] for listed in await inside.list(ROOT)] == [key["identity"]]
    await make_key(admin)  # the name is free outside


async def test_5_a_known_region_without_a_kms_is_503(platform: PlatformApi) -> None:
    platform.deployment.store.change(
        NOBODY, lambda change: create_region(change, "nl-03", Description("Three"), is_kms_available=False)
    )
    await platform.admin.refused(503, "GET", "/v1/kms/nl-03/keys")
    await platform.admin.refused(503, "POST", "/v1/kms/nl-03/keys", {"name": "a"})


async def test_5_every_call_is_403_with_the_gate_off_and_the_summary_is_not(platform: PlatformApi) -> None:
    key = await make_key(platform.admin)
    organisation = platform.deployment.platform.organisation
    platform.deployment.store.change(
        NOBODY, lambda change: set_gate(change, organisation, Gate.KMS, is_on=False)
    )
    for method, path in (
        ("GET", ROOT),
        ("POST", ROOT),
        ("GET", path_of(key)),
        ("POST", path_of(key, "encrypt")),
        ("DELETE", path_of(key)),
        ("GET", "/v1/kms/nl-01/wrapping-key"),
        ("GET", "/v1/kms/unknown/keys"),
    ):
        await platform.admin.refused(403, method, path)
    summary = await platform.admin.get("/v1/kms/summary")
    assert summary["featureEnabled"] is False


async def test_5_summary_lists_every_region_with_its_counts(platform: PlatformApi) -> None:
    admin = platform.admin
    await make_key(admin, "one")
    await admin.send("POST", path_of(await make_key(admin, "two"), "disable"))
    await admin.send("DELETE", path_of(await make_key(admin, "three")))
    summary = await admin.get("/v1/kms/summary")
    assert summary == {
        "featureEnabled": True,
        "regions": [
            {
                "identity": platform.deployment.platform.region,
                "name": "Amsterdam",
                "slug": "nl-01",
                "kmsAvailable": True,
                "totalKeys": 3,
                "activeKeys": 1,
                "disabledKeys": 1,
                "pendingDeletionKeys": 1,
            }
        ],
    }


async def test_5_rotate_gives_a_new_latest_version_with_no_body_or_an_empty_one(admin: Api) -> None:
    key = await make_key(admin)
    bodies: list[Json | None] = [None, {}]
    for number, body in enumerate(bodies, start=2):
        rotated = read_object(await admin.send("POST", path_of(key, "rotate"), body), 200)
        check_key(rotated)
        assert rotated["latestVersion"] == rotated["objectVersion"] == number
        numbers = [version["version"] for version in items_of(rotated, "versions")]
        assert numbers == list(range(1, number + 1))
        assert rotated["lastRotatedAt"] == "2027-01-15T08:00:00Z"


async def test_5_patch_rotation_changes_only_what_is_there(admin: Api) -> None:
    key = await make_key(admin)
    path = path_of(key, "rotation")
    steps: list[tuple[Json, bool, int, int]] = [
        ({"rotationPeriodInDays": 90}, False, 90, 2),
        ({"keyRotationEnabled": True}, True, 90, 3),
        ({}, True, 90, 3),
        ({"keyRotationEnabled": True, "rotationPeriodInDays": 90}, True, 90, 3),
        ({"keyRotationEnabled": None}, True, 90, 3),
        ({"keyRotationEnabled": False}, False, 90, 4),
    ]
    for body, enabled, period, version in steps:
        changed = read_object(await admin.send("PATCH", path, body), 200)
        assert (changed["keyRotationEnabled"], changed["rotationPeriodInDays"]) == (enabled, period)
        assert changed["objectVersion"] == version
        assert ("nextRotationAt" in changed) is enabled


@pytest.mark.parametrize(
    "body",
    [
        {"keyRotationEnabled": True},
        {"rotationPeriodInDays": 0},
        {"rotationPeriodInDays": 3651},
        {"rotationPeriodInDays": "90"},
        {"keyRotationEnabled": 1},
    ],
)
async def test_5_patch_rotation_400_if_enabled_without_a_period_or_out_of_range(
    admin: Api, body: Json
) -> None:
    key = await make_key(admin)
    await admin.refused(400, "PATCH", path_of(key, "rotation"), body)
    assert await admin.get(path_of(key)) == key


async def test_5_patch_rotation_400_while_pending_deletion_and_200_while_disabled(admin: Api) -> None:
    key = await make_key(admin)
    await admin.send("POST", path_of(key, "disable"))
    read_object(await admin.send("PATCH", path_of(key, "rotation"), {"rotationPeriodInDays": 9}), 200)
    await admin.send("DELETE", path_of(key))
    await admin.refused(400, "PATCH", path_of(key, "rotation"), {})


async def test_5_disable_and_enable_repeat_as_a_no_op_200(admin: Api) -> None:
    key = await make_key(admin)
    first = read_object(await admin.send("POST", path_of(key, "disable")), 200)
    assert (first["status"], first["objectVersion"]) == ("disabled", 2)
    assert read_object(await admin.send("POST", path_of(key, "disable")), 200) == first
    again = read_object(await admin.send("POST", path_of(key, "enable")), 200)
    assert (again["status"], again["objectVersion"]) == ("active", 3)
    assert read_object(await admin.send("POST", path_of(key, "enable")), 200) == again


async def test_5_disable_and_enable_400_while_pending_deletion(admin: Api) -> None:
    key = await make_key(admin)
    await admin.send("DELETE", path_of(key))
    for operation in ("enable", "disable", "rotate"):
        await admin.refused(400, "POST", path_of(key, operation))


async def test_5_delete_schedules_30_days_ahead_and_repeating_leaves_the_date(platform: PlatformApi) -> None:
    admin = platform.admin
    key = await make_key(admin)
    await admin.send("POST", path_of(key, "disable"))
    first = read_object(await admin.send("DELETE", path_of(key)), 200)
    assert (first["status"], first["deletionScheduledAt"]) == ("pending_deletion", "2027-02-14T08:00:00Z")
    platform.deployment.clock.seconds += DAY
    assert read_object(await admin.send("DELETE", path_of(key)), 200) == first
    assert await admin.get(path_of(key)) == first


@pytest.mark.parametrize(("days", "date"), [(7, "2027-01-22T08:00:00Z"), (30, "2027-02-14T08:00:00Z")])
async def test_extension_pending_days_7_to_30(admin: Api, days: int, date: str) -> None:
    key = await make_key(admin)
    deleted = read_object(await admin.send("DELETE", f"{path_of(key)}?pendingDays={days}"), 200)
    assert deleted["deletionScheduledAt"] == date


@pytest.mark.parametrize("days", ["6", "31", "0", "-7", "x", "7.5", "99999999999"])
async def test_extension_pending_days_out_of_range_is_400(admin: Api, days: str) -> None:
    key = await make_key(admin)
    await admin.refused(400, "DELETE", f"{path_of(key)}?pendingDays={days}")
    assert await admin.get(path_of(key)) == key


async def test_5_cancel_deletion_makes_it_active_and_is_200_unchanged_if_not_pending(admin: Api) -> None:
    key = await make_key(admin)
    await admin.send("POST", path_of(key, "disable"))
    await admin.send("DELETE", path_of(key))
    back = read_object(await admin.send("DELETE", path_of(key, "cancel-deletion")), 200)
    assert back["status"] == "active"
    assert "deletionScheduledAt" not in back
    assert read_object(await admin.send("DELETE", path_of(key, "cancel-deletion")), 200) == back


# 6: life cycle

USES: Final[list[tuple[str, str, Json]]] = [
    ("aes256-gcm96", "encrypt", {"plaintext": encode(b"x")}),
    ("aes256-gcm96", "decrypt", {"ciphertext": "thalassa:v1:AAAA"}),
    ("aes256-gcm96", "export", {}),
    ("aes256-gcm96", "rewrap", {"ciphertext": "thalassa:v1:AAAA"}),
    ("aes256-gcm96", "datakey", {}),
    ("ed25519", "sign", {"input": encode(b"x")}),
    ("ed25519", "verify", {"input": encode(b"x"), "signature": "thalassa:v1:AAAA"}),
    ("hmac", "hmac", {"input": encode(b"x")}),
    ("hmac", "verify-hmac", {"input": encode(b"x"), "hmac": "thalassa:v1:AAAA"}),
]


@pytest.mark.parametrize(("key_type", "operation", "body"), USES)
async def test_6_crypto_on_disabled_and_pending_keys_is_400_and_metadata_works(
    platform: PlatformApi, key_type: str, operation: str, body: Json
) -> None:
    admin = platform.admin
    key = await make_key(admin, keyType=key_type, exportAllowed=True)
    await admin.send("POST", path_of(key, "disable"))
    await refuse(admin, 400, key, operation, **body)
    await admin.send("DELETE", path_of(key))
    await refuse(admin, 400, key, operation, **body)
    assert (await admin.get(path_of(key)))["status"] == "pending_deletion"
    if key_type == "ed25519":
        assert (await admin.get(path_of(key, "public-key")))["keys"]


async def test_6_a_purged_key_is_404_everywhere_and_its_audit_entry_has_no_principal(
    platform: PlatformApi,
) -> None:
    admin = platform.admin
    key = await make_key(admin)
    await admin.send("DELETE", path_of(key))
    clock = platform.deployment.clock
    assert platform.deployment.kms.purge_due(clock.seconds + 30 * DAY - 1) == []
    assert platform.deployment.kms.purge_due(clock.seconds + 30 * DAY) == [key["identity"]]
    for method, path in (
        ("GET", path_of(key)),
        ("POST", path_of(key, "encrypt")),
        ("DELETE", path_of(key)),
        ("DELETE", path_of(key, "cancel-deletion")),
        ("POST", path_of(key, "enable")),
        ("GET", path_of(key, "public-key")),
    ):
        await admin.refused(404, method, path, {"plaintext": "eA=="} if method == "POST" else None)
    assert await admin.list(ROOT) == []
    (entry,) = audited(platform, "kms.deleted")
    assert "actor" not in entry
    assert entry["resource"] == key["identity"]


async def test_6_keys_are_rotated_when_the_last_version_is_older_than_the_period(
    platform: PlatformApi,
) -> None:
    admin, kms, clock = platform.admin, platform.deployment.kms, platform.deployment.clock
    key = await make_key(admin, keyRotationEnabled=True, rotationPeriodInDays=10)
    assert key["nextRotationAt"] == "2027-01-25T08:00:00Z"
    disabled = await make_key(admin, "disabled", keyRotationEnabled=True, rotationPeriodInDays=10)
    await admin.send("POST", path_of(disabled, "disable"))
    await make_key(admin, "off", rotationPeriodInDays=10)
    assert kms.rotate_due(clock.seconds) == []
    clock.seconds += 35 * DAY  # three evaluations were missed: one rotation
    assert kms.rotate_due(clock.seconds) == [key["identity"]]
    assert kms.rotate_due(clock.seconds) == []
    assert (await admin.get(path_of(key)))["latestVersion"] == 2
    (entry,) = audited(platform, "kms.rotate.scheduled")
    assert "actor" not in entry


# audit, rights, extensions


async def test_5_audit_names(platform: PlatformApi) -> None:
    admin = platform.admin
    key = await make_key(admin, exportAllowed=True)
    made = await call(admin, key, "encrypt", plaintext=encode(b"x"))
    await call(admin, key, "decrypt", ciphertext=made["ciphertext"])
    await refuse(admin, 400, key, "decrypt", ciphertext="thalassa:v1:AAAA")
    await call(admin, key, "export")
    await admin.send("POST", path_of(key, "rotate"))
    await admin.send("PATCH", path_of(key, "rotation"), {})
    await admin.send("POST", path_of(key, "disable"))
    await admin.send("POST", path_of(key, "enable"))
    await admin.send("DELETE", path_of(key))
    await admin.send("DELETE", path_of(key, "cancel-deletion"))
    for action, results in {
        "kms.create": ["success"],
        "kms.encrypt": ["success"],
        "kms.decrypt": ["success", "failure"],
        "kms.export": ["success"],
        "kms.rotate": ["success"],
        "kms.update_rotation": ["success"],
        "kms.disable": ["success"],
        "kms.enable": ["success"],
        "kms.schedule_deletion": ["success"],
        "kms.cancel_deletion": ["success"],
    }.items():
        entries = audited(platform, action)
        assert [object_of(entry, "context")["result"] for entry in entries] == results, action
        for entry in entries:
            assert entry["resource_type"] == "kms_key"
            assert entry["resource"] == key["identity"]
            assert str(entry["actor"]).startswith("user:")
            assert entry["request_id"]
            context = object_of(entry, "context")
            assert context["credentials_id"]
            assert context["client_ip"] == "127.0.0.1"
            assert context["requestId"] == entry["request_id"]
            assert context["region"] == platform.deployment.platform.region


RIGHTS: Final[dict[str, tuple[str, str, Json | None, int]]] = {
    "list": ("GET", "", None, 403),
    "create": ("POST", "", {"name": "b"}, 403),
    "read": ("GET", "/{key}", None, 404),
    "encrypt": ("POST", "/{key}/encrypt", {"plaintext": "eA=="}, 404),
    "decrypt": ("POST", "/{key}/decrypt", {"ciphertext": "x"}, 404),
    "sign": ("POST", "/{key}/sign", {"input": "eA=="}, 404),
    "verify": ("POST", "/{key}/verify", {"input": "eA==", "signature": "thalassa:v1:AAAA"}, 404),
    "hmac": ("POST", "/{key}/hmac", {"input": "eA=="}, 404),
    "verifyHmac": ("POST", "/{key}/verify-hmac", {"input": "eA==", "hmac": "thalassa:v1:AAAA"}, 404),
    "rotate": ("POST", "/{key}/rotate", None, 404),
    "export": ("POST", "/{key}/export", {}, 404),
    "update": ("PATCH", "/{key}/rotation", {}, 404),
    "delete": ("POST", "/{key}/enable", None, 404),
}


@pytest.mark.parametrize("verb", RIGHTS)
async def test_9_each_verb_allows_its_own_calls_and_update_the_single_ones(
    platform: PlatformApi, verb: str
) -> None:
    key = await make_key(platform.admin)
    member = platform.add_member("member")
    caller = platform.admin.as_token(member.token)
    await platform.grant("some", [verb], ["kms_key"], userIdentity=member.subject)
    singles = {"encrypt", "decrypt", "sign", "verify", "hmac", "verifyHmac", "rotate", "export"}
    allowed = {verb, *(singles if verb == "update" else ())}
    unknown = "no key kms-00000000000000000000"
    for name, (method, path, body, refusal) in RIGHTS.items():
        response = await caller.send(method, ROOT + path.format(key=key["identity"]), body)
        if name in allowed:
            assert response.status_code in (200, 201, 400), name
        else:
            assert response.status_code == refusal, name
            if refusal == 404:
                expected = unknown.replace("kms-00000000000000000000", str(key["identity"]))
                assert response.json()["message"] == expected


async def test_5_get_keys_leaves_out_what_the_caller_may_not_read(platform: PlatformApi) -> None:
    one, _ = await make_key(platform.admin, "one"), await make_key(platform.admin, "two")
    member = platform.add_member("member")
    await platform.grant(
        "some", ["list", "read"], ["kms_key"], [text_of(one, "identity")], userIdentity=member.subject
    )
    caller = platform.admin.as_token(member.token)
    assert [key["identity"] for key in await caller.list(ROOT)] == [one["identity"]]


async def test_extension_if_match_with_another_object_version_is_412(admin: Api) -> None:
    key = await make_key(admin)
    for method, path, body in (
        ("POST", "rotate", None),
        ("PATCH", "rotation", {"rotationPeriodInDays": 5}),
        ("POST", "disable", None),
        ("POST", "enable", None),
        ("DELETE", "", None),
        ("DELETE", "cancel-deletion", None),
    ):
        target = path_of(key, *([path] if path else []))
        response = await send_with(admin, method, target, {"If-Match": '"7"'}, body)
        assert response.status_code == 412, path
        response = await send_with(admin, method, target, {"If-Match": "seven"}, body)
        assert response.status_code == 400, path
    assert await admin.get(path_of(key)) == key
    response = await send_with(admin, "POST", path_of(key, "rotate"), {"If-Match": '"1"'})
    assert response.status_code == 200
    assert response.headers["ETag"] == '"2"'
    response = await send_with(admin, "POST", path_of(key, "rotate"), {"If-Match": "2"})
    assert response.json()["objectVersion"] == 3


async def test_extension_an_idempotency_key_gives_the_same_key_again(admin: Api) -> None:
    headers = {"Idempotency-Key": "deploy-1"}
    first = await send_with(admin, "POST", ROOT, headers, {"name": "a"})
    again = await send_with(admin, "POST", ROOT, headers, {"name": "a"})
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    other = await send_with(admin, "POST", ROOT, headers, {"name": "b"})
    assert other.status_code == 409
    assert len(await admin.list(ROOT)) == 1
    for wrong in ("", "x" * 256):
        response = await send_with(admin, "POST", ROOT, {"Idempotency-Key": wrong}, {"name": "c"})
        assert response.status_code == 400


async def test_extension_limit_and_cursor_go_through_the_list_once(admin: Api) -> None:
    for number in range(7):
        await make_key(admin, f"key {number}", labels={"odd": str(number % 2)})
    whole = await admin.list(ROOT)
    for query, expected in (
        ("", whole),
        ("&matchLabels%5Bodd%5D=1", [key for key in whole if key["labels"] == {"odd": "1"}]),
    ):
        seen: list[Json] = []
        cursor = ""
        while True:
            response = await admin.send("GET", f"{ROOT}?limit=3{query}{cursor}")
            page = response.json()
            assert len(page) <= 3
            seen += page
            following = response.headers.get("X-Next-Cursor")
            if following is None:
                break
            cursor = f"&cursor={following}"
        assert seen == expected
    response = await admin.send("GET", f"{ROOT}?limit=3")
    following = response.headers["X-Next-Cursor"]
    flipped = ("B" if following[0] == "A" else "A") + following[1:]
    for path in (
        f"{ROOT}?limit=3&cursor={flipped}",
        f"{ROOT}?limit=3&cursor=x",
        f"{ROOT}?limit=3&status=active&cursor={following}",
        f"{ROOT}?limit=0",
        f"{ROOT}?limit=1001",
        f"{ROOT}?limit=x",
    ):
        await admin.refused(400, "GET", path)


async def test_sealed_crypto_is_503(platform: PlatformApi) -> None:
    key = await make_key(platform.admin)
    platform.deployment.kms.seal()
    assert (await platform.admin.send("GET", path_of(key))).status_code == 503
    assert (
        await platform.admin.send("POST", path_of(key, "encrypt"), {"plaintext": "eA=="})
    ).status_code == 503
