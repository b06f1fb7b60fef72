"""dns.md, section 6 and its notes: DNSSEC of a zone; test names quote them."""

import base64
import json
from collections.abc import AsyncGenerator
from typing import Final, cast

import dns.dnssec
import dns.name
import dns.rdata
import pytest
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from sqlalchemy import func, insert, select

from deployment import Deployment
from dnssec_api import DnssecApi, bring_key, serve_dnssec
from kms_api import ROOT as KEYS
from kms_api import make_key, path_of
from platform_api import Json, items_of, object_of, text_of
from signerd.dns.name import Name, format_name, parse_name
from signerd.dns_zones.publisher import FileZone, ServedZone
from signerd.dnssec.ds import make_ds_set
from signerd.platform.described import Description
from signerd.platform.gate import Gate
from signerd.platform.organisation import set_gate
from signerd.platform.region import create_region
from signerd.platform.tables import audit_entries
from signerd.rollover.file_zones import NoQuestions
from signerd.store.zone_tables import (
    metadata,
    parent_notices,
    zone_events,
    zone_key_signatures,
    zone_timetables,
)
from signerd.zone_dnssec.ignored_servers import list_ignored
from signerd.zone_dnssec.management import Order, Wish
from signerd.zone_dnssec.settings import ACTIVE, OUTGOING, ZonePlace, find_setting, list_ksks
from signerd_kms.attribution import NOBODY
from signerd_kms.key import Scope

OFF: Final = {"enabled": False, "dsDelegated": False}
MINUTE: Final = 60
DsSets = list[list[bytes] | None]


@pytest.fixture
async def api(deployment: Deployment) -> AsyncGenerator[DnssecApi]:
    async with serve_dnssec(deployment) as served:
        yield served


@pytest.fixture
def zone(api: DnssecApi) -> ZonePlace:
    return api.add("example.com", api.organisation)


def path(zone: ZonePlace) -> str:
    return f"/v1/dns/zones/{zone.identity}/dnssec"


async def enable(api: DnssecApi, zone: ZonePlace, **body: object) -> Json:
    return await api.admin.put(path(zone), {"region": "nl-01", **body})


async def status(api: DnssecApi, zone: ZonePlace) -> Json:
    return await api.admin.get(path(zone))


def ds_of(body: Json) -> list[bytes]:
    """Give the DS RDATA of an answer."""
    found: list[bytes] = []
    for item in items_of(body, "dsRecords"):
        tag, algorithm, digest_type, digest = text_of(item, "record").split(" ")
        head = int(tag).to_bytes(2) + bytes((int(algorithm), int(digest_type)))
        found.append(head + bytes.fromhex(digest))
    return found


def audited(api: DnssecApi, action: str) -> list[Json]:
    with api.deployment.engine.connect() as connection:
        rows = connection.execute(
            select(audit_entries.c.record)
            .where(audit_entries.c.action == action)
            .order_by(audit_entries.c.sequence)
        ).scalars()
        return [json.loads(record) for record in rows]


def states_of(api: DnssecApi, zone: ZonePlace) -> dict[str, str]:
    with api.deployment.engine.connect() as connection:
        return {key.kms_key: key.state for key in list_ksks(connection, zone.text)}


# Off, and unknown zones


async def test_get_is_off_and_not_delegated_before_enable(api: DnssecApi, zone: ZonePlace) -> None:
    assert await status(api, zone) == OFF


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_404_only_for_an_unknown_zone(api: DnssecApi, method: str) -> None:
    await api.admin.refused(404, method, "/v1/dns/zones/dnsz-none/dnssec", {"region": "nl-01"})


async def test_z_is_zone_identity_or_zone_name(api: DnssecApi, zone: ZonePlace) -> None:
    by_name = await api.admin.put("/v1/dns/zones/example.com/dnssec", {"region": "nl-01"})
    assert await status(api, zone) == by_name


# Enable


async def test_answer_and_the_next_get_have_enabled_true_at_once_with_ds_records(
    api: DnssecApi, zone: ZonePlace
) -> None:
    made = await enable(api, zone)
    assert made["enabled"] is True
    assert made["dsDelegated"] is False
    assert len(items_of(made, "dsRecords")) == 2
    assert await status(api, zone) == made
    assert api.changed == [zone.apex]


@pytest.mark.parametrize("form", ["nl-01", "identity"])
async def test_region_slug_or_identity_returned_in_the_form_the_caller_used(
    api: DnssecApi, zone: ZonePlace, form: str
) -> None:
    text = api.deployment.platform.region if form == "identity" else form
    assert (await enable(api, zone, region=text))["region"] == text
    assert (await status(api, zone))["region"] == text


async def test_repeating_with_the_other_form_of_the_region_changes_the_echo_only(
    api: DnssecApi, zone: ZonePlace
) -> None:
    first = await enable(api, zone)
    identity = api.deployment.platform.region
    again = await enable(api, zone, region=identity)
    assert again == {**first, "region": identity}


@pytest.mark.parametrize("body", [{}, {"region": ""}, {"region": 1}, {"region": None}])
async def test_region_is_required(api: DnssecApi, zone: ZonePlace, body: Json) -> None:
    assert "region" in await api.admin.refused(400, "PUT", path(zone), body)
    assert await status(api, zone) == OFF


async def test_unknown_region_is_404(api: DnssecApi, zone: ZonePlace) -> None:
    await api.admin.refused(404, "PUT", path(zone), {"region": "nl-99"})


async def test_needs_kms_in_the_region_given(api: DnssecApi, zone: ZonePlace) -> None:
    api.deployment.store.change(
        NOBODY,
        lambda change: create_region(change, "no-kms", Description("None"), is_kms_available=False),
    )
    await api.admin.refused(503, "PUT", path(zone), {"region": "no-kms"})
    assert await status(api, zone) == OFF


@pytest.mark.parametrize("gate", [Gate.DNS, Gate.KMS])
async def test_needs_the_dns_and_kms_gates(api: DnssecApi, zone: ZonePlace, gate: Gate) -> None:
    api.deployment.store.change(NOBODY, lambda change: set_gate(change, api.organisation, gate, False))
    await api.admin.refused(403, "PUT", path(zone), {"region": "nl-01"})


async def test_status_and_disable_need_no_kms_gate(api: DnssecApi, zone: ZonePlace) -> None:
    made = await enable(api, zone)
    api.deployment.store.change(NOBODY, lambda change: set_gate(change, api.organisation, Gate.KMS, False))
    assert await status(api, zone) == made
    await api.admin.delete(path(zone))
    assert (await status(api, zone))["enabled"] is False


async def test_the_platform_creates_an_ecdsa_p256_key_named_exactly_dnssec_zone_name(
    api: DnssecApi, zone: ZonePlace
) -> None:
    made = await enable(api, zone)
    (key,) = await api.admin.list(KEYS)
    assert (key["name"], key["keyType"]) == ("DNSSEC example.com", "ecdsa-p256")
    assert made["kmsKeyIdentity"] == key["identity"]


async def test_the_key_is_in_the_zones_scope(api: DnssecApi) -> None:
    project = await api.admin.create("/v1/projects", {"name": "shop"})
    zone = api.add("shop.example", api.organisation, str(project["identity"]))
    inside = api.admin.inside(str(project["identity"]))
    made = await inside.put(path(zone), {"region": "nl-01"})
    assert [key["identity"] for key in await inside.list(KEYS)] == [made["kmsKeyIdentity"]]
    assert await api.admin.list(KEYS) == []


async def test_a_given_key_of_another_scope_is_unknown(api: DnssecApi) -> None:
    project = await api.admin.create("/v1/projects", {"name": "shop"})
    zone = api.add("shop.example", api.organisation, str(project["identity"]))
    key = await make_key(api.admin, keyType="ecdsa-p256")
    body = {"region": "nl-01", "kmsKeyIdentity": key["identity"]}
    await api.admin.inside(str(project["identity"])).refused(404, "PUT", path(zone), body)


@pytest.mark.parametrize(
    ("key_type", "algorithm"),
    [("ecdsa-p256", 13), ("ecdsa-p384", 14), ("rsa-2048", 8), ("rsa-3072", 8), ("rsa-4096", 8)],
)
async def test_ds_records_and_algorithms_of_the_five_types(
    api: DnssecApi, zone: ZonePlace, key_type: str, algorithm: int
) -> None:
    key = await make_key(api.admin, keyType=key_type)
    made = await enable(api, zone, kmsKeyIdentity=key["identity"])
    assert made["kmsKeyIdentity"] == key["identity"]
    first, second = items_of(made, "dsRecords")
    assert (first["digestTypeName"], second["digestTypeName"]) == ("SHA-256", "SHA-384")
    public = base64.b64decode(text_of(first, "publicKey"), validate=True)
    dnskey = dns.rdata.from_text("IN", "DNSKEY", f"257 3 {algorithm} {base64.b64encode(public).decode()}")
    for item, name in ((first, "SHA256"), (second, "SHA384")):
        assert item["keyRole"] == "KSK"
        assert item["algorithm"] == algorithm
        expected = dns.dnssec.make_ds(dns.name.from_text("example.com"), dnskey, name)
        assert item["record"] == expected.to_text()
        assert item["keyTag"] == dns.dnssec.key_id(cast("DNSKEY", dnskey))


@pytest.mark.parametrize("key_type", ["ecdsa-p521", "ed25519", "aes256-gcm96", "hmac"])
async def test_wrong_type_is_400(api: DnssecApi, zone: ZonePlace, key_type: str) -> None:
    key = await make_key(api.admin, keyType=key_type)
    body = {"region": "nl-01", "kmsKeyIdentity": key["identity"]}
    assert key_type in await api.admin.refused(400, "PUT", path(zone), body)
    assert await status(api, zone) == OFF


@pytest.mark.parametrize(("method", "action"), [("POST", "disable"), ("DELETE", "")])
async def test_wrong_state_is_400(api: DnssecApi, zone: ZonePlace, method: str, action: str) -> None:
    key = await make_key(api.admin, keyType="ecdsa-p256")
    assert (await api.admin.send(method, path_of(key, *([action] if action else [])))).status_code < 300
    body = {"region": "nl-01", "kmsKeyIdentity": key["identity"]}
    assert "active" in await api.admin.refused(400, "PUT", path(zone), body)


async def test_unknown_key_is_404(api: DnssecApi, zone: ZonePlace) -> None:
    await api.admin.refused(404, "PUT", path(zone), {"region": "nl-01", "kmsKeyIdentity": "kms-none"})


async def test_a_usable_key_left_from_before_is_reused(api: DnssecApi, zone: ZonePlace) -> None:
    key = await make_key(api.admin, "DNSSEC example.com", keyType="ecdsa-p256")
    assert (await enable(api, zone))["kmsKeyIdentity"] == key["identity"]
    assert len(await api.admin.list(KEYS)) == 1


async def test_an_unusable_key_that_blocks_the_name_is_numbered_past(api: DnssecApi, zone: ZonePlace) -> None:
    first = await make_key(api.admin, "DNSSEC example.com", keyType="ecdsa-p256")
    await api.admin.send("POST", path_of(first, "disable"))
    await make_key(api.admin, "DNSSEC example.com 2", keyType="hmac")
    made = await enable(api, zone)
    names = {key["identity"]: key["name"] for key in await api.admin.list(KEYS)}
    assert names[made["kmsKeyIdentity"]] == "DNSSEC example.com 3"


# Rights


async def test_the_caller_needs_update_on_the_zone(api: DnssecApi, zone: ZonePlace) -> None:
    member = api.platform.add_member("bob")
    await api.platform.grant("reader", ["read"], ["dns_zone"], userIdentity=member.subject)
    await api.platform.grant("keys", ["create"], ["kms_key"], userIdentity=member.subject)
    bob = api.admin.as_token(member.token)
    assert await bob.get(path(zone)) == OFF
    await bob.refused(403, "PUT", path(zone), {"region": "nl-01"})
    await bob.refused(403, "DELETE", path(zone))


async def test_the_caller_needs_create_on_keys(api: DnssecApi, zone: ZonePlace) -> None:
    member = api.platform.add_member("bob")
    await api.platform.grant("zones", ["read", "update"], ["dns_zone"], userIdentity=member.subject)
    bob = api.admin.as_token(member.token)
    await bob.refused(403, "PUT", path(zone), {"region": "nl-01"})
    await api.platform.grant("keys", ["create"], ["kms_key"], userIdentity=member.subject)
    assert (await bob.put(path(zone), {"region": "nl-01"}))["enabled"] is True


async def test_the_caller_needs_sign_on_the_given_key(api: DnssecApi, zone: ZonePlace) -> None:
    member = api.platform.add_member("bob")
    key = await make_key(api.admin, keyType="ecdsa-p256")
    await api.platform.grant("zones", ["read", "update"], ["dns_zone"], userIdentity=member.subject)
    await api.platform.grant("other", ["create"], ["kms_key"], userIdentity=member.subject)
    bob = api.admin.as_token(member.token)
    body = {"region": "nl-01", "kmsKeyIdentity": key["identity"]}
    await bob.refused(404, "PUT", path(zone), body)
    await api.platform.grant(
        "sign", ["sign"], ["kms_key"], [str(key["identity"])], userIdentity=member.subject
    )
    assert (await bob.put(path(zone), body))["enabled"] is True


# Repeating, and changing the key


@pytest.mark.parametrize("named", [True, False])
async def test_repeating_with_the_same_key_is_a_no_op(api: DnssecApi, zone: ZonePlace, named: bool) -> None:
    first = await enable(api, zone)
    chosen = {"kmsKeyIdentity": first["kmsKeyIdentity"]} if named else {}
    assert await enable(api, zone, **chosen) == first
    assert len(await api.admin.list(KEYS)) == 1
    assert len(audited(api, "dns.dnssec.enable")) == 1
    assert len(api.changed) == 1


async def test_rotation_never_changes_the_key_of_a_zone(api: DnssecApi, zone: ZonePlace) -> None:
    first = await enable(api, zone)
    rotated = await api.admin.send("POST", f"{KEYS}/{first['kmsKeyIdentity']}/rotate")
    assert rotated.json()["latestVersion"] == 2
    assert await status(api, zone) == first
    await api.admin.delete(path(zone))
    assert (await enable(api, zone))["dsRecords"] == first["dsRecords"]


async def test_another_key_starts_a_key_change(api: DnssecApi, zone: ZonePlace) -> None:
    first = await enable(api, zone)
    old = ds_of(first)
    api.answer(zone, old)
    assert (await status(api, zone))["dsDelegated"] is True
    key = await make_key(api.admin, keyType="ecdsa-p384")
    second = await enable(api, zone, kmsKeyIdentity=key["identity"])
    new = ds_of(second)
    assert second["kmsKeyIdentity"] == key["identity"]
    assert set(new).isdisjoint(old)
    assert second["dsDelegated"] is False
    keys = [str(first["kmsKeyIdentity"]), str(key["identity"])]
    # "keep the old key in the zone until the parent shows the new DS"
    for ds in (old, [*old, *new], new, new):
        api.deployment.clock.seconds += 100 * MINUTE
        api.answer(zone, ds)
        assert states_of(api, zone) == dict(zip(keys, [OUTGOING, ACTIVE], strict=True))
    told = await status(api, zone)
    assert (told["dsDelegated"], ds_of(told)) == (True, new)
    assert object_of(told, "delegation")["alarms"] == []


async def test_the_timetable_hands_the_ds_of_its_next_key_out(api: DnssecApi, zone: ZonePlace) -> None:
    first = await enable(api, zone)
    api.answer(zone, ds_of(first))
    before = await status(api, zone)
    key = bring_key(api.deployment, zone, "DNSSEC example.com 2")
    assert await status(api, zone) == before, "not yet: a cache may lack the key"
    incoming = list(make_ds_set(zone.apex, key.dnskey))
    api.answer(zone, [*ds_of(first), *incoming])
    assert object_of(await status(api, zone), "delegation")["alarms"] == []
    api.deployment.clock.seconds += 5
    api.management.hand_out(api.setting_of(zone), key.id)
    second = await status(api, zone)
    assert (second["kmsKeyIdentity"], ds_of(second)) == (key.kms_key, incoming)
    assert (second["dsDelegated"], second["nextDsProbeAt"]) == (False, "2027-01-15T08:00:05Z")
    assert states_of(api, zone) == {str(first["kmsKeyIdentity"]): OUTGOING, key.kms_key: ACTIVE}
    (entry,) = audited(api, "dns.dnssec.rollover")
    assert object_of(entry, "context")["kmsKey"] == key.kms_key
    api.answer(zone, incoming)
    assert (await status(api, zone))["dsDelegated"] is True
    assert await enable(api, zone) == await status(api, zone), "the zone's own key is no other key"


# Delegation


async def test_a_matching_ds_sets_ds_delegated_and_a_lost_one_sets_it_back(
    api: DnssecApi, zone: ZonePlace
) -> None:
    ds = ds_of(await enable(api, zone))
    story: list[tuple[DsSets, bool]] = [
        ([ds, ds], True),
        ([ds, None], True),
        ([ds, []], False),
        ([ds, ds], True),
    ]
    for sets, expected in story:
        api.answer(zone, *sets)
        assert (await status(api, zone))["dsDelegated"] is expected
    told = [object_of(entry, "context")["delegated"] for entry in audited(api, "dns.dnssec.delegated")]
    assert told == ["true", "false", "true"]


async def test_next_ds_probe_at_says_when(api: DnssecApi, zone: ZonePlace) -> None:
    made = await enable(api, zone)
    assert made["nextDsProbeAt"] == "2027-01-15T08:00:00Z"
    api.answer(zone, [])
    assert (await status(api, zone))["nextDsProbeAt"] == "2027-01-15T08:01:00Z"
    api.answer(zone, ds_of(made))
    assert (await status(api, zone))["nextDsProbeAt"] == "2027-01-15T09:00:00Z"


async def test_the_status_says_what_each_server_said_and_what_to_do(api: DnssecApi, zone: ZonePlace) -> None:
    made = await enable(api, zone)
    records = [item["record"] for item in items_of(made, "dsRecords")]
    alien = b"\x00\x09\x0d\x02" + b"\xab" * 32
    api.answer(zone, [alien], None, ttl=77)
    told = object_of(await status(api, zone), "delegation")
    assert told["servers"] == [
        {
            "server": "192.0.2.0#53",
            "answeredAt": "2027-01-15T08:00:00Z",
            "dsRecords": ["9 13 2 " + "ab" * 32],
            "ttl": 77,
        },
        {"server": "192.0.2.1#53", "answeredAt": "2027-01-15T08:00:00Z", "error": "timed out"},
    ]
    assert sorted(map(str, records)) == told["dsToAdd"]
    assert told["dsToRemove"] == ["9 13 2 " + "ab" * 32]
    assert told["alarms"] == [
        "the parent's DS 9 13 2 points to no key of the zone; validating resolvers get no answers"
    ]


async def test_vendor_order_is_unsigned_until_the_ds_is_seen(deployment: Deployment) -> None:
    async with serve_dnssec(deployment, Order.VENDOR) as api:
        zone = api.add("example.com", api.organisation)
        ds = ds_of(await enable(api, zone))
        assert not api.management.is_served_signed(zone.text)
        api.answer(zone, [])
        assert not api.management.is_served_signed(zone.text)
        api.answer(zone, ds)
        assert api.management.is_served_signed(zone.text)
        api.answer(zone, [])
        assert api.management.is_served_signed(zone.text)


async def test_sign_first_is_the_default(api: DnssecApi, zone: ZonePlace) -> None:
    assert not api.management.is_served_signed(zone.text)
    await enable(api, zone)
    assert api.management.is_served_signed(zone.text)


# Disable


async def test_disable_is_204_also_when_already_off(api: DnssecApi, zone: ZonePlace) -> None:
    await api.admin.delete(path(zone))
    await enable(api, zone)
    await api.admin.delete(path(zone))
    await api.admin.delete(path(zone))
    assert len(audited(api, "dns.dnssec.disable")) == 1


async def test_disable_status_is_off_at_once_and_the_zone_stays_signed_until_the_ds_is_gone(
    api: DnssecApi, zone: ZonePlace
) -> None:
    ds = ds_of(await enable(api, zone))
    api.answer(zone, ds, ds)
    await api.admin.delete(path(zone))
    told = await status(api, zone)
    assert (told["enabled"], told["stillSigned"]) == (False, True)
    assert "nextDsProbeAt" in told
    assert "dsRecords" not in told
    story: list[DsSets] = [[ds, ds], [[], ds], [[], None]]
    for sets in story:
        api.deployment.clock.seconds += 1000
        api.answer(zone, *sets)
        assert api.management.is_served_signed(zone.text)
    api.deployment.clock.seconds += 1000
    api.answer(zone, [], [])
    # "the zone stays signed until the DS is gone": from caches too, which the timetable of the keys knows
    now = api.deployment.clock.now()
    api.management.note_moments(api.setting_of(zone), None, now + 301)
    told = await status(api, zone)
    moment = "2027-01-15T09:11:41Z"
    assert (told["enabled"], told["stillSigned"]) == (False, True)
    assert object_of(told, "delegation")["unsignedAt"] == moment
    assert "oldKeysLeaveAt" not in object_of(told, "delegation")
    api.deployment.clock.seconds += 301
    api.answer(zone, [], [])
    assert api.management.is_served_signed(zone.text)
    api.management.end(api.setting_of(zone))
    assert not api.management.is_served_signed(zone.text)
    assert await status(api, zone) == OFF
    setting = api.setting_of(zone)
    assert setting.next_probe_at is None
    assert api.management.list_due() == []


async def test_turned_on_again_before_the_ds_is_gone_the_zone_stays_signed(
    api: DnssecApi, zone: ZonePlace
) -> None:
    await enable(api, zone)
    await api.admin.delete(path(zone))
    off = api.setting_of(zone)
    on = await enable(api, zone)
    api.management.end(off)
    assert api.management.is_served_signed(zone.text)
    assert await status(api, zone) == on


async def test_the_kms_key_is_not_deleted(api: DnssecApi, zone: ZonePlace) -> None:
    made = await enable(api, zone)
    await api.admin.delete(path(zone))
    api.answer(zone, [])
    key = await api.admin.get(f"{KEYS}/{made['kmsKeyIdentity']}")
    assert key["status"] == "active"


@pytest.mark.parametrize("is_unsigned", [False, True])
async def test_disable_then_enable_has_the_same_key_and_ds(
    api: DnssecApi, zone: ZonePlace, is_unsigned: bool
) -> None:
    first = await enable(api, zone)
    await api.admin.delete(path(zone))
    api.answer(zone, [])
    if is_unsigned:
        api.management.end(api.setting_of(zone))
    assert api.management.is_served_signed(zone.text) is not is_unsigned
    again = await enable(api, zone)
    assert (again["kmsKeyIdentity"], again["dsRecords"]) == (first["kmsKeyIdentity"], first["dsRecords"])
    assert list(states_of(api, zone).values()) == [ACTIVE]


async def test_disable_then_enable_has_the_key_that_the_timetable_brought(
    api: DnssecApi, zone: ZonePlace
) -> None:
    await enable(api, zone)
    key = bring_key(api.deployment, zone, "DNSSEC example.com 2")
    api.management.hand_out(api.setting_of(zone), key.id)
    before = await status(api, zone)
    await api.admin.delete(path(zone))
    api.management.end(api.setting_of(zone))
    again = await enable(api, zone)
    assert again["kmsKeyIdentity"] == before["kmsKeyIdentity"] == key.kms_key
    assert again["dsRecords"] == before["dsRecords"]
    assert len(await api.admin.list(KEYS)) == 2


async def test_a_deleted_zones_keys_are_not_those_of_the_next_of_its_name(api: DnssecApi) -> None:
    first = api.add("example.com", api.organisation)
    key = await make_key(api.admin, keyType="ecdsa-p384")
    before = await enable(api, first, kmsKeyIdentity=key["identity"])
    await api.admin.delete(f"/v1/dns/zones/{first.identity}")
    other = api.platform.add_organisation("other")
    second = api.add("example.com", other.identity)
    region = api.deployment.platform.region
    wish = Wish("nl-01", region, None, lambda _: None, lambda: None)
    api.management.enable(second, wish, NOBODY)
    with api.deployment.engine.connect() as connection:
        assert find_setting(connection, first) is None
        (made,) = list_ksks(connection, "example.com")
    assert made.kms_key != before["kmsKeyIdentity"]
    (own,) = api.deployment.kms.list_keys(Scope(other.identity, region))
    assert (own.identity, own.name) == (made.kms_key, "DNSSEC example.com")


async def test_2_delete_removes_dnssec_state_too_and_the_kms_key_stays(
    api: DnssecApi, zone: ZonePlace
) -> None:
    made = await enable(api, zone)
    await api.admin.put(f"{path(zone)}/parent-servers/192.0.2.1", {})
    with api.deployment.engine.begin() as connection:
        connection.execute(insert(zone_events).values(zone=zone.text, at=1, stage="published", detail=""))
        connection.execute(
            insert(zone_key_signatures).values(
                zone=f"{zone.text}.", subject=b"s", expiration=2, inception=1, rrsig=b"r"
            )
        )
        connection.execute(
            insert(parent_notices).values(zone=f"{zone.text}.", digest=b"d", changed_at=1, attempts=0)
        )
        connection.execute(
            insert(zone_timetables).values(zone=f"{zone.text}.", state="{}", parent="{}", updated_at=1)
        )
    assert 0 not in count_rows(api, zone).values(), "every table about zones has something of it"
    await api.admin.delete(f"/v1/dns/zones/{zone.identity}")
    assert set(count_rows(api, zone).values()) == {0}
    assert (await api.admin.get(f"{KEYS}/{made['kmsKeyIdentity']}"))["status"] == "active"


def count_rows(api: DnssecApi, zone: ZonePlace) -> dict[str, int]:
    """Count the rows of all tables that are about a zone by its name."""
    with api.deployment.engine.connect() as connection:
        return {
            table.name: connection.execute(
                select(func.count()).where(table.c.zone.in_([zone.text, f"{zone.text}."]))
            ).scalar_one()
            for table in metadata.tables.values()
            if "zone" in table.c
        }


async def test_the_next_owner_of_a_name_reads_nothing_of_the_versions_of_before(api: DnssecApi) -> None:
    first = api.add("example.com", api.organisation)
    await api.admin.delete(f"/v1/dns/zones/{first.identity}")
    with api.deployment.engine.begin() as connection:  # the old zone's last word comes late
        connection.execute(
            insert(zone_events).values(zone="example.com", at=1, stage="published", serial=7, detail="secret")
        )
    second = api.add("example.com", api.organisation)
    assert await api.admin.list(f"/v1/dns/zones/{second.identity}/versions") == []


# When the DS may be at the parent, and servers of it that are gone (extensions)


async def test_the_status_says_from_when_the_ds_may_be_at_the_parent(api: DnssecApi, zone: ZonePlace) -> None:
    made = await enable(api, zone)
    told = object_of(await status(api, zone), "delegation")
    assert (told["keyPublished"], "dsNotBefore" in told) == (False, False)
    api.answer(zone, [])
    now = api.deployment.clock.now()
    api.management.note_signed(zone.text, now)
    assert object_of(await status(api, zone), "delegation")["keyPublished"] is False
    api.management.note_moments(api.setting_of(zone), now + 40, None)
    answer = await status(api, zone)
    told = object_of(answer, "delegation")
    assert (told["keyPublished"], told["dsNotBefore"]) == (True, "2027-01-15T08:00:40Z")
    assert answer["nextDsProbeAt"] == "2027-01-15T08:00:40Z"
    assert answer["dsRecords"] == made["dsRecords"], "the operator may have them at once"
    former = api.setting_of(zone)
    key = await make_key(api.admin, keyType="ecdsa-p256")
    await enable(api, zone, kmsKeyIdentity=key["identity"])
    api.management.note_moments(former, now + 40, now + 50)
    told = object_of(await status(api, zone), "delegation")
    assert (told["keyPublished"], "dsNotBefore" in told) == (False, False), "it was said of another key"
    api.answer(zone, ds_of(await status(api, zone)))
    assert "keyPublished" not in object_of(await status(api, zone), "delegation"), "nothing is to be added"


async def test_the_status_says_when_old_keys_leave_the_zone(api: DnssecApi, zone: ZonePlace) -> None:
    await enable(api, zone)
    key = await make_key(api.admin, keyType="ecdsa-p256")
    api.answer(zone, ds_of(await enable(api, zone, kmsKeyIdentity=key["identity"])))
    assert "oldKeysLeaveAt" not in object_of(await status(api, zone), "delegation")
    now = api.deployment.clock.now()
    api.management.note_moments(api.setting_of(zone), now, now + 301)
    answer = await status(api, zone)
    told = object_of(answer, "delegation")
    assert told["oldKeysLeaveAt"] == answer["nextDsProbeAt"] == "2027-01-15T08:05:01Z"
    assert "unsignedAt" not in told


async def test_a_key_that_stays_may_be_delegated_as_before(api: DnssecApi, zone: ZonePlace) -> None:
    await enable(api, zone)
    api.management.note_moments(api.setting_of(zone), api.deployment.clock.now() + 3600, None)
    await api.admin.delete(path(zone))
    again = await enable(api, zone)
    assert object_of(again, "delegation")["dsNotBefore"] == "2027-01-15T09:00:00Z"


async def test_a_server_that_never_answers_is_ignored_on_command_until_a_time(
    api: DnssecApi, zone: ZonePlace
) -> None:
    ds = ds_of(await enable(api, zone))
    api.answer(zone, ds, ds)
    await api.admin.delete(path(zone))
    api.answer(zone, [], None)
    api.deployment.clock.seconds += 600
    api.answer(zone, [], None)
    assert not api.setting_of(zone).view.is_complete, "the silent server may have the DS"
    server = f"{path(zone)}/parent-servers/192.0.2.1%2353"
    made = await api.admin.put(server, {"lifetime": "48h"})
    assert made["server"] == "192.0.2.1#53"
    assert (made["since"], made["until"]) == ("2027-01-15T08:10:00Z", "2027-01-17T08:10:00Z")
    assert str(made["actor"]).startswith("user:")
    told = await status(api, zone)
    assert told["nextDsProbeAt"] == "2027-01-15T08:10:00Z", "the parent is asked at once"
    assert object_of(told, "delegation")["ignoredServers"] == [made]
    api.answer(zone, [], None)
    servers = items_of(object_of(await status(api, zone), "delegation"), "servers")
    assert [server.get("ignored") for server in servers] == [None, True]
    view = api.setting_of(zone).view
    assert (view.is_complete, view.ds_anywhere) == (True, frozenset()), "from now on the TTL counts"
    (entry,) = audited(api, "dns.dnssec.ignore_server")
    assert object_of(entry, "context")["server"] == "192.0.2.1#53"
    assert entry["actor"] == made["actor"]


async def test_what_an_ignored_server_does_say_counts(api: DnssecApi, zone: ZonePlace) -> None:
    ds = ds_of(await enable(api, zone))
    await api.admin.put(f"{path(zone)}/parent-servers/192.0.2.1", {})
    api.answer(zone, ds, [])
    assert (await status(api, zone))["dsDelegated"] is False


@pytest.mark.parametrize("is_heeded", [True, False])
async def test_a_server_counts_again_on_command_and_when_the_time_is_over(
    api: DnssecApi, zone: ZonePlace, is_heeded: bool
) -> None:
    await enable(api, zone)
    server = f"{path(zone)}/parent-servers/192.0.2.1"
    await api.admin.put(server, {"lifetime": "60s"})
    if is_heeded:
        await api.admin.delete(server)
        await api.admin.delete(server)
        assert len(audited(api, "dns.dnssec.heed_server")) == 1
    else:
        api.deployment.clock.seconds += 60
    await api.admin.delete(path(zone))
    api.answer(zone, [], None)
    assert not api.setting_of(zone).view.is_complete
    assert "ignoredServers" not in object_of(await status(api, zone), "delegation")


@pytest.mark.parametrize(
    ("server", "body"),
    [
        ("ns1.example", {}),
        ("192.0.2.1%230", {}),
        ("192.0.2.1%23dns", {}),
        ("192.0.2.1", {"lifetime": "0"}),
        ("192.0.2.1", {"lifetime": "2161h"}),
        ("192.0.2.1", {"lifetime": "soon"}),
    ],
)
async def test_no_address_and_no_end_are_400(
    api: DnssecApi, zone: ZonePlace, server: str, body: Json
) -> None:
    await api.admin.refused(400, "PUT", f"{path(zone)}/parent-servers/{server}", body)


async def test_a_zone_of_a_file_is_shown_and_not_changed(api: DnssecApi) -> None:
    api.deployment.publisher.files.append(
        FileZone(parse_name("file.test."), "file.test", "the file f.zone", None, ServedZone(None, None, None))
    )
    file = "/v1/dns/zones/file.test/dnssec"
    assert await api.admin.get(file) == {"enabled": False, "dsDelegated": False}
    for method, body in (("PUT", {"region": "nl-01"}), ("DELETE", None)):
        assert "the file f.zone" in await api.admin.refused(409, method, file, body)
    assert "has no keys yet" in await api.admin.refused(409, "POST", f"{file}:probe")
    await api.admin.put(f"{file}/parent-servers/192.0.2.1", {})
    (entry,) = audited(api, "dns.dnssec.ignore_server")
    assert object_of(entry, "context")["zone"] == "file.test"
    with api.deployment.engine.connect() as connection:
        (ignored,) = list_ignored(connection, "file.test", api.deployment.clock.now())
    assert ignored.server == "192.0.2.1#53"
    await api.admin.delete(f"{file}/parent-servers/192.0.2.1")


async def test_the_parent_of_a_zone_of_a_file_is_asked_on_command(deployment: Deployment) -> None:
    asked: list[str] = []

    class Questions(NoQuestions):
        def ask_soon(self, name: Name) -> bool:
            asked.append(format_name(name))
            return True

    async with serve_dnssec(deployment, questions=Questions()) as api:
        deployment.publisher.files.append(
            FileZone(parse_name("file.test."), "file.test", "a file", None, ServedZone(None, None, None))
        )
        file = "/v1/dns/zones/file.test/dnssec"
        assert (await api.admin.send("POST", f"{file}:probe")).status_code == 202
        assert asked == ["file.test."]
        assert len(audited(api, "dns.dnssec.probe")) == 1
        member = api.platform.add_member("bob")
        await api.platform.grant("reader", ["read"], ["dns_zone"], userIdentity=member.subject)
        bob = api.admin.as_token(member.token)
        await bob.refused(403, "POST", f"{file}:probe")
        assert (await bob.get(file))["enabled"] is False


async def test_the_parent_is_asked_on_command(api: DnssecApi, zone: ZonePlace) -> None:
    await api.admin.refused(409, "POST", f"{path(zone)}:probe")
    api.answer(zone, ds_of(await enable(api, zone)))
    api.deployment.clock.seconds += 5
    assert api.management.list_due() == []
    asked = await api.admin.send("POST", f"{path(zone)}:probe")
    assert (asked.status_code, asked.json()["nextDsProbeAt"]) == (202, "2027-01-15T08:00:05Z")
    assert api.management.list_due() == [zone]
    assert len(audited(api, "dns.dnssec.probe")) == 1


async def test_commands_about_the_parent_need_update_on_the_zone(api: DnssecApi, zone: ZonePlace) -> None:
    await enable(api, zone)
    member = api.platform.add_member("bob")
    await api.platform.grant("reader", ["read"], ["dns_zone"], userIdentity=member.subject)
    bob = api.admin.as_token(member.token)
    await bob.refused(403, "POST", f"{path(zone)}:probe")
    await bob.refused(403, "PUT", f"{path(zone)}/parent-servers/192.0.2.1", {})
    await bob.refused(403, "DELETE", f"{path(zone)}/parent-servers/192.0.2.1")


# Failure


async def test_last_sign_error_says_what_since_when_and_until_when_and_success_clears_it(
    api: DnssecApi, zone: ZonePlace
) -> None:
    await enable(api, zone)
    now = api.deployment.clock.now()
    api.management.note_signed(zone.text, now)
    assert (await status(api, zone))["lastSignedAt"] == "2027-01-15T08:00:00Z"
    api.management.note_failed(zone.text, "the key is away", now + 86400)
    api.deployment.clock.seconds += 600
    api.management.note_failed(zone.text, "the key is away", now + 86400)
    told = text_of(await status(api, zone), "lastSignError")
    assert told == (
        "the key is away; since 2027-01-15T08:00:00Z; "
        "the signatures in service hold until 2027-01-16T08:00:00Z"
    )
    assert len(audited(api, "dns.dnssec.sign_failed")) == 1
    api.management.note_signed(zone.text, now + 600)
    told_now = await status(api, zone)
    assert "lastSignError" not in told_now
    assert told_now["lastSignedAt"] == "2027-01-15T08:10:00Z"


@pytest.mark.parametrize(
    ("method", "action", "undo", "word"),
    [
        ("POST", ["disable"], ("POST", ["enable"]), "disabled"),
        ("DELETE", [], ("DELETE", ["cancel-deletion"]), "pending"),
    ],
)
async def test_key_disabled_or_pending_deletion_shows_before_a_signature_is_due(
    api: DnssecApi, zone: ZonePlace, method: str, action: list[str], undo: tuple[str, list[str]], word: str
) -> None:
    made = await enable(api, zone)
    key: Json = {"identity": made["kmsKeyIdentity"]}
    assert (await api.admin.send(method, path_of(key, *action))).status_code < 300
    assert word in text_of(await status(api, zone), "lastSignError")
    assert (await api.admin.send(undo[0], path_of(key, *undo[1]))).status_code < 300
    await api.admin.send("POST", path_of(key, "enable"))
    assert "lastSignError" not in await status(api, zone)


# Audit


async def test_key_creation_emits_kms_create_via_dns_dnssec_in_the_callers_name(
    api: DnssecApi, zone: ZonePlace
) -> None:
    await enable(api, zone)
    (created,) = audited(api, "kms.create")
    (enabled,) = audited(api, "dns.dnssec.enable")
    assert object_of(created, "context")["via"] == "dns-dnssec"
    assert created["actor"] == enabled["actor"]
    assert str(created["actor"]).startswith("user:")
    assert created["request_id"] == enabled["request_id"]
    assert (enabled["resource_type"], enabled["resource"]) == ("dns_zone", zone.identity)


async def test_ds_are_those_of_the_version_that_signs(api: DnssecApi, zone: ZonePlace) -> None:
    made = await enable(api, zone)
    with api.deployment.engine.connect() as connection:
        (key,) = list_ksks(connection, zone.text)
    assert list(make_ds_set(zone.apex, key.dnskey)) == ds_of(made)
    assert key.kms_version == 1
