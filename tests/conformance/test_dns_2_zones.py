"""dns.md, sections 1 to 4 and 7: zones, records, IAM, audit; test names quote them."""

import json
from typing import Final, cast

import pytest
import trio
from sqlalchemy import select

from answering import read_zone
from deployment import APEX, Deployment
from platform_api import Api, Json, PlatformApi, items_of, read_object, serve_deployment, text_of
from signerd.dns.name import parse_name
from signerd.dns_zones.apex import ApexDefaults
from signerd.dns_zones.publisher import FileZone, ServedZone
from signerd.dns_zones.zone_rows import ZoneScope, find_zone
from signerd.dns_zones.zone_source import load_api_zone
from signerd.platform.gate import Gate
from signerd.platform.organisation import set_gate
from signerd.platform.tables import audit_entries
from signerd.zones.printer import write_master_file
from signerd_kms.attribution import NOBODY

ROOT: Final = "/v1/dns/zones"


async def make_zone(admin: Api, name: str = "example.com", **fields: object) -> Json:
    return await admin.create(ROOT, {"zoneName": name, **fields})


async def add(admin: Api, name: str, type_text: str, *values: str, **fields: object) -> Json:
    body = {"name": name, "type": type_text, "values": list(values), **fields}
    return await admin.create(f"{ROOT}/example.com/records", body)


async def refuse(admin: Api, status: int, name: str, type_text: str, *values: str, **fields: object) -> str:
    body = {"name": name, "type": type_text, "values": list(values), **fields}
    return await admin.refused(status, "POST", f"{ROOT}/example.com/records", body)


def publish(platform: PlatformApi) -> list[str]:
    """Print the zone as it would be published, sorted, without SOA."""
    scope = ZoneScope(platform.deployment.platform.organisation, None)
    with platform.deployment.store.read() as connection:
        zone = load_api_zone(connection, find_zone(connection, scope, "example.com"), APEX)
    text = "".join(write_master_file(zone))
    return sorted(line for line in text.splitlines() if " SOA " not in line)


def audited(platform: PlatformApi, action: str) -> list[Json]:
    with platform.deployment.engine.connect() as connection:
        rows = connection.execute(
            select(audit_entries.c.record)
            .where(audit_entries.c.action == action)
            .order_by(audit_entries.c.sequence)
        ).scalars()
        return [json.loads(record) for record in rows]


# 1 and 2: zones


async def test_1_a_new_zone_is_complete_and_has_nothing_that_was_never_set(admin: Api) -> None:
    zone = await make_zone(admin)
    assert text_of(zone, "identity").startswith("dnsz-")
    assert len(text_of(zone, "identity")) == 25
    assert (zone["name"], zone["slug"], zone["objectVersion"]) == ("example.com", "example-com", 1)
    assert zone["createdAt"] == zone["updatedAt"] == "2027-01-15T08:00:00Z"
    assert zone["nameservers"] == ["ns1.nl-01.test", "ns2.nl-01.test"]
    assert {"description", "labels", "annotations", "projectId"}.isdisjoint(zone)


async def test_1_slugs_are_made_unique(admin: Api) -> None:
    await make_zone(admin, "a-b.example")
    assert (await make_zone(admin, "a.b.example"))["slug"] == "a-b-example-2"


async def test_2_zones_are_found_by_identity_or_name(admin: Api) -> None:
    zone = await make_zone(admin, description="d", labels={"env": "prod"}, annotations={"a/b": "é"})
    assert await admin.get(f"{ROOT}/{zone['identity']}") == zone
    assert await admin.get(f"{ROOT}/example.com") == zone
    assert (zone["description"], zone["labels"], zone["annotations"]) == ("d", {"env": "prod"}, {"a/b": "é"})
    for name in ("example.org", "EXAMPLE.com", "example.com.", "dnsz-00000000000000000000", "example-com"):
        await admin.refused(404, "GET", f"{ROOT}/{name}")


async def test_2_lists_take_filters(admin: Api) -> None:
    first = await make_zone(admin, labels={"env": "prod", "team": "x"})
    await make_zone(admin, "example.org", labels={"env": "prod"})
    for query, expected in (
        ("", ["example.com", "example.org"]),
        ("name=example.org", ["example.org"]),
        (f"identity={first['identity']}", ["example.com"]),
        ("slug=example-com", ["example.com"]),
        ("matchLabels%5Benv%5D=prod", ["example.com", "example.org"]),
        ("matchLabels%5Benv%5D=prod&matchLabels%5Bteam%5D=x", ["example.com"]),
        ("vpc=1", ["example.com", "example.org"]),
    ):
        zones = await admin.list(f"{ROOT}?{query}")
        assert sorted(text_of(zone, "name") for zone in zones) == expected, query


async def test_2_put_replaces_everything_that_is_said_of_a_zone(platform: PlatformApi) -> None:
    admin = platform.admin
    zone = await make_zone(admin, description="d", labels={"a": "b"}, annotations={"c": "d"})
    platform.deployment.clock.seconds += 5
    changed = await admin.put(f"{ROOT}/{zone['identity']}", {"labels": {"x": "y"}})
    assert changed["labels"] == {"x": "y"}
    assert {"description", "annotations"}.isdisjoint(changed)
    assert (changed["objectVersion"], changed["updatedAt"]) == (2, "2027-01-15T08:00:05Z")
    cleared = await admin.put(f"{ROOT}/example.com", {})
    assert "labels" not in cleared
    assert (await admin.put(f"{ROOT}/example.com", {}))["objectVersion"] == 3


async def test_2_delete_removes_all_records_for_good_and_frees_the_name(platform: PlatformApi) -> None:
    admin = platform.admin
    zone = await make_zone(admin)
    record = await add(admin, "www", "A", "192.0.2.1")
    await admin.delete(f"{ROOT}/example.com")
    for path in ("", "/records", f"/records/{record['identity']}", "/export"):
        await admin.refused(404, "GET", f"{ROOT}/{zone['identity']}{path}")
    await admin.refused(404, "DELETE", f"{ROOT}/example.com")
    assert platform.deployment.publisher.withdrawn == [parse_name("example.com.")]
    again = await make_zone(admin)
    assert again["identity"] != zone["identity"]
    assert await admin.list(f"{ROOT}/example.com/records") == []


# 3: names of zones


@pytest.mark.parametrize(
    "name", ["sub.example.co.uk", "xn--bcher-kva.example", "1.2.3", "a.b", "2.0.192.in-addr.arpa"]
)
async def test_3_zone_names_are_echoed(admin: Api, name: str) -> None:
    assert (await make_zone(admin, name))["name"] == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "com",
        "Example.com",
        "example.com.",
        ".example.com",
        "a..b",
        "-a.example",
        "a-.example",
        "a_b.example",
        "*.example",
        "bücher.example",
        "a b.example",
        "x" * 64 + ".example",
        ".".join(["a" * 50] * 6),
        "example.com\n",
        "@",
    ],
)
async def test_3_anything_else_is_400_and_not_normalised(admin: Api, name: str) -> None:
    assert "zoneName" in await admin.refused(400, "POST", ROOT, {"zoneName": name})
    assert await admin.list(ROOT) == []


async def test_3_names_are_unique_in_the_deployment(platform: PlatformApi) -> None:
    await make_zone(platform.admin)
    await platform.admin.refused(409, "POST", ROOT, {"zoneName": "example.com"})
    await platform.admin.create("/v1/projects", {"name": "One"})
    await platform.admin.inside("one").refused(409, "POST", ROOT, {"zoneName": "example.com"})
    await make_zone(platform.admin, "child.example.com")


async def test_3_zones_are_seen_in_their_own_scope_only(platform: PlatformApi) -> None:
    admin = platform.admin
    project = await admin.create("/v1/projects", {"name": "One"})
    inside = admin.inside("one")
    zone = await make_zone(inside)
    assert zone["projectId"] == project["identity"]
    await make_zone(admin, "example.org")
    assert [one["name"] for one in await inside.list(ROOT)] == ["example.com"]
    assert [one["name"] for one in await admin.list(ROOT)] == ["example.org"]
    await admin.refused(404, "GET", f"{ROOT}/{zone['identity']}")
    await inside.refused(404, "GET", f"{ROOT}/example.org")
    assert "resources" in await admin.refused(400, "DELETE", "/v1/projects/one")


async def test_3_name_servers_are_added_unless_the_zone_has_its_own(platform: PlatformApi) -> None:
    await make_zone(platform.admin)
    assert publish(platform) == [
        "example.com. 3600 IN NS ns1.nl-01.test.",
        "example.com. 3600 IN NS ns2.nl-01.test.",
    ]
    await add(platform.admin, "@", "NS", "ns.example.net", ttl=60)
    assert publish(platform) == ["example.com. 60 IN NS ns.example.net."]


# 2 and 4: records


async def test_4_a_record_is_echoed_and_found_in_both_forms(platform: PlatformApi) -> None:
    admin = platform.admin
    zone = await make_zone(admin)
    record = await add(admin, "WWW", "A", "192.0.2.2", "192.0.2.1", ttl=60)
    assert record == {
        "identity": record["identity"],
        "name": "WWW",
        "type": "A",
        "ttl": 60,
        "values": ["192.0.2.2", "192.0.2.1"],
        "createdAt": "2027-01-15T08:00:00Z",
    }
    assert text_of(record, "identity").startswith("dnsr-")
    for path in (record["identity"], "www/A", "WWW/A", "w%77w/A"):
        assert await admin.get(f"{ROOT}/{zone['identity']}/records/{path}") == record
    for path in ("dnsr-00000000000000000000", "www/AAAA", "www/a", "www./A", "x/A", "www/BOGUS", "@/A"):
        await admin.refused(404, "GET", f"{ROOT}/example.com/records/{path}")
    await make_zone(admin, "example.org")
    await admin.refused(404, "GET", f"{ROOT}/example.org/records/{record['identity']}")


async def test_4_names_at_and_star_come_literally_or_encoded(admin: Api) -> None:
    await make_zone(admin)
    for name, paths in (("@", ("@", "%40")), ("*", ("*", "%2A")), ("*.x", ("*.x", "%2a%2Ex"))):
        record = await add(admin, name, "TXT", "t")
        for path in paths:
            assert await admin.get(f"{ROOT}/example.com/records/{path}/TXT") == record


async def test_2_records_are_filtered_by_type_and_name(admin: Api) -> None:
    await make_zone(admin)
    await add(admin, "www", "A", "192.0.2.1")
    await add(admin, "www", "TXT", "t")
    await add(admin, "x", "A", "192.0.2.1")
    for query, count in (
        ("", 3),
        ("recordType=A", 2),
        ("type=TXT", 1),
        ("name=WWW", 2),
        ("name=x&recordType=TXT", 0),
    ):
        assert len(await admin.list(f"{ROOT}/example.com/records?{query}")) == count


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_2_put_and_patch_work_on_both_forms(platform: PlatformApi, method: str, by_name: bool) -> None:
    admin = platform.admin
    await make_zone(admin)
    record = await add(admin, "www", "A", "192.0.2.1", ttl=60)
    path = f"{ROOT}/example.com/records/{'www/A' if by_name else record['identity']}"
    platform.deployment.clock.seconds += 5
    changed = read_object(await admin.send(method, path, {"values": ["192.0.2.9"]}), 200)
    assert (changed["ttl"], changed["values"]) == (60, ["192.0.2.9"])
    assert (changed["createdAt"], changed["updatedAt"]) == ("2027-01-15T08:00:00Z", "2027-01-15T08:00:05Z")
    assert await admin.get(path) == changed
    bodies: list[Json] = [
        {"values": []},
        {"values": ["x"]},
        {"ttl": -1, "values": ["192.0.2.1"]},
        {"name": "other", "values": ["192.0.2.1"]},
        {"type": "TXT", "values": ["192.0.2.1"]},
    ]
    for body in bodies:
        await admin.refused(400, method, path, body)
    if method == "PUT":
        assert "values" in await admin.refused(400, method, path, {"ttl": 5})
    else:
        assert read_object(await admin.send(method, path, {"ttl": 5}), 200)["values"] == ["192.0.2.9"]
    await admin.delete(path)
    await admin.refused(404, method, path, {"values": ["192.0.2.9"]})


async def test_4_one_record_of_a_name_and_type_compared_without_case(admin: Api) -> None:
    await make_zone(admin)
    await add(admin, "www", "A", "192.0.2.1")
    await refuse(admin, 409, "WWW", "A", "192.0.2.2")


@pytest.mark.parametrize(("ttl", "expected"), [(None, 3600), (0, 3600), (1, 1), (2147483647, 2147483647)])
async def test_4_ttl_absent_or_0_is_3600(admin: Api, ttl: int | None, expected: int) -> None:
    await make_zone(admin)
    assert (await add(admin, "www", "A", "192.0.2.1", ttl=ttl))["ttl"] == expected


@pytest.mark.parametrize("ttl", [-1, 2147483648, "60", 1.5])
async def test_4_other_ttls_are_400(admin: Api, ttl: object) -> None:
    await make_zone(admin)
    assert "ttl" in await refuse(admin, 400, "www", "A", "192.0.2.1", ttl=ttl)


@pytest.mark.parametrize(
    "name", ["", "www.", "a..b", "a b", "x.*", "*x", "*.*", "ü", "a" * 64, ".".join(["a" * 60] * 5), "a/b"]
)
async def test_4_bad_names_are_400(admin: Api, name: str) -> None:
    await make_zone(admin)
    assert "name" in await refuse(admin, 400, name, "A", "192.0.2.1")


@pytest.mark.parametrize("type_text", ["PTR", "SOA", "DS", "DNSKEY", "a", "", "TYPE1", "ANY"])
async def test_4_other_types_are_400(admin: Api, type_text: str) -> None:
    await make_zone(admin)
    assert "type" in await refuse(admin, 400, "www", type_text, "192.0.2.1")


VALUES = [
    ("A", "192.0.2.1", "192.0.2.1"),
    ("AAAA", "2001:DB8::1", "2001:db8::1"),
    ("CNAME", "mail.example.com", "mail.example.com."),
    ("CNAME", "_x.acm-validations.aws.", "_x.acm-validations.aws."),
    ("NS", "ns.example.net.", "ns.example.net."),
    ("MX", "10 Mail.example.com", "10 Mail.example.com."),
    ("MX", "0 .", "0 ."),
    ("SRV", "1 2 5060 sip.example.com.", "1 2 5060 sip.example.com."),
    ("SRV", "0 0 0 .", "0 0 0 ."),
    ("TXT", "v=spf1 -all", '"v=spf1 -all"'),
    ("TXT", '"heritage=external-dns,owner=x"', '"heritage=external-dns,owner=x"'),
    ("TXT", 'say "hi"; \\ok', '"say \\"hi\\"; \\\\ok"'),
    ("TXT", '"', '"\\""'),
    ("TXT", "é\n", '"\\195\\169\\010"'),
    ("TXT", "", '""'),
    ("TXT", "x" * 300, '"' + "x" * 255 + '" "' + "x" * 45 + '"'),
    ("CAA", "0 issue letsencrypt.org", '0 issue "letsencrypt.org"'),
    ("CAA", '128 issuewild ";"', '128 issuewild ";"'),
    ("CAA", "0 iodef mailto:a@example.com", '0 iodef "mailto:a@example.com"'),
]


@pytest.mark.parametrize(("type_text", "value", "printed"), VALUES)
async def test_4_values_are_echoed_exactly_and_published_as_data(
    platform: PlatformApi, type_text: str, value: str, printed: str
) -> None:
    await make_zone(platform.admin)
    record = await add(platform.admin, "x", type_text, value)
    assert record["values"] == [value]
    assert await platform.admin.get(f"{ROOT}/example.com/records/x/{type_text}") == record
    assert f"x.example.com. 3600 IN {type_text} {printed}" in publish(platform)


@pytest.mark.parametrize(
    ("type_text", "values"),
    [
        ("A", []),
        ("A", ["::1"]),
        ("A", ["192.0.2"]),
        ("A", ["192.0.2.01"]),
        ("A", [" 192.0.2.1"]),
        ("A", [""]),
        ("A", ["192.0.2.1", "192.0.2.1"]),
        ("AAAA", ["192.0.2.1"]),
        ("AAAA", ["fe80::1%eth0"]),
        ("AAAA", ["::1", "0::1"]),
        ("CNAME", ["a.test", "b.test"]),
        ("CNAME", ["."]),
        ("CNAME", ["a b"]),
        ("CNAME", ["a..b"]),
        ("CNAME", [""]),
        ("NS", ["a_b.test"]),
        ("NS", ["*.test"]),
        ("NS", ["192.0.2.1"]),
        ("NS", ["a.test", "A.test."]),
        ("MX", ["mail.test"]),
        ("MX", ["65536 mail.test"]),
        ("MX", ["-1 a.test"]),
        ("MX", ["10 a.test b"]),
        ("MX", ["10 ."]),
        ("MX", ["0 .", "10 a.test"]),
        ("MX", ["10 a;b.test"]),
        ("TXT", ["x" * 4097]),
        ("TXT", ["x", '"x"']),
        ("CAA", ["256 issue a"]),
        ("CAA", ["0 other a"]),
        ("CAA", ["0 issue"]),
        ("CAA", ['0 issue "a']),
        ("CAA", ["issue a"]),
        ("SRV", ["1 2 sip.test"]),
        ("SRV", ["1 2 70000 sip.test"]),
        ("SRV", ["1 2 x sip.test"]),
        ("A", ["192.0.2.1\n"]),
    ],
)
async def test_4_bad_values_are_400(admin: Api, type_text: str, values: list[str]) -> None:
    await make_zone(admin)
    await refuse(admin, 400, "x", type_text, *values)
    assert await admin.list(f"{ROOT}/example.com/records") == []


async def test_4_a_cname_does_not_stand_at_the_apex(admin: Api) -> None:
    await make_zone(admin)
    await refuse(admin, 400, "@", "CNAME", "a.test")


async def test_4_a_cname_and_other_types_are_409_in_both_directions(admin: Api) -> None:
    await make_zone(admin)
    await add(admin, "a", "CNAME", "x.test")
    await add(admin, "b", "TXT", "t")
    await refuse(admin, 409, "A", "TXT", "t")
    await refuse(admin, 409, "b", "CNAME", "x.test")
    assert len(await admin.list(f"{ROOT}/example.com/records")) == 2


# Permissions, gates, audit


async def test_4_of_writers_at_once_a_name_gets_a_cname_or_other_types_never_both(admin: Api) -> None:
    await admin.create(ROOT, {"zoneName": "example.com"})
    statuses: list[int] = []
    bodies: list[Json] = [
        {"name": "x", "type": "CNAME", "values": ["a.test"]},
        {"name": "x", "type": "A", "values": ["192.0.2.1"]},
        {"name": "x", "type": "TXT", "values": ["t"]},
    ]

    async def write(body: Json) -> None:
        statuses.append((await admin.send("POST", f"{ROOT}/example.com/records", body)).status_code)

    async with trio.open_nursery() as nursery:
        for body in bodies * 8:
            nursery.start_soon(write, body)
    types = sorted(str(record["type"]) for record in await admin.list(f"{ROOT}/example.com/records"))
    assert types in (["CNAME"], ["A", "TXT"])
    assert sorted(statuses) == [201] * len(types) + [409] * (24 - len(types))


async def test_2_rights_on_dns_zone_decide(platform: PlatformApi) -> None:
    admin = platform.admin
    await make_zone(admin)
    record = await add(admin, "www", "A", "192.0.2.1")
    path = f"{ROOT}/example.com"
    calls: list[tuple[str, str, str, Json | None]] = [
        ("list", "GET", ROOT, None),
        ("read", "GET", path, None),
        ("read", "GET", f"{path}/records", None),
        ("read", "GET", f"{path}/records/{record['identity']}", None),
        ("update", "PUT", path, {}),
        ("update", "PATCH", f"{path}/records/www/A", {"ttl": 60}),
        ("update", "POST", f"{path}/records", {"name": "y", "type": "A", "values": ["192.0.2.1"]}),
        ("update", "DELETE", f"{path}/records/y/A", None),
        ("create", "POST", ROOT, {"zoneName": "new.example"}),
        ("delete", "DELETE", path, None),
    ]
    callers: dict[str, Api] = {}
    for verb in ("list", "read", "update", "create", "delete"):
        member = platform.add_member(verb)
        await platform.grant(verb, [verb], ["dns_zone"], userIdentity=member.subject)
        callers[verb] = admin.as_token(member.token)
    for needed, method, target, body in calls:
        for verb, caller in callers.items():
            if verb != needed:
                assert "dns_zone" in await caller.refused(403, method, target, body)
        assert (await callers[needed].send(method, target, body)).is_success


async def test_2_an_unknown_zone_is_404_for_everybody(platform: PlatformApi) -> None:
    nobody = platform.admin.as_token(platform.add_member("nobody").token)
    await nobody.refused(404, "GET", f"{ROOT}/example.com")


async def test_2_the_dns_gate_is_needed(platform: PlatformApi) -> None:
    admin, organisation = platform.admin, platform.deployment.platform.organisation
    await make_zone(admin)
    platform.deployment.store.change(
        NOBODY, lambda change: set_gate(change, organisation, Gate.DNS, is_on=False)
    )
    for method, path in (
        ("GET", ROOT),
        ("POST", ROOT),
        ("GET", f"{ROOT}/example.com"),
        ("DELETE", f"{ROOT}/x.y"),
    ):
        assert "dns" in await admin.refused(403, method, path)


async def test_7_changes_are_service_entries_of_the_zone(platform: PlatformApi) -> None:
    admin = platform.admin
    zone = await make_zone(admin)
    await admin.put(f"{ROOT}/example.com", {"description": "d"})
    await add(admin, "www", "A", "192.0.2.1")
    await admin.send("PATCH", f"{ROOT}/example.com/records/www/A", {"ttl": 5})
    await admin.delete(f"{ROOT}/example.com/records/www/A")
    await admin.delete(f"{ROOT}/example.com")
    for action in (
        "zone.create",
        "zone.update",
        "record.create",
        "record.update",
        "record.delete",
        "zone.delete",
    ):
        entries = audited(platform, f"dns.{action}")
        assert [entry["resource"] for entry in entries] == [zone["identity"]]
        assert entries[0]["resource_type"] == "dns_zone"


# Change sets: an extension


async def test_7_generic_entries_of_every_call_are_of_the_zone(admin: Api) -> None:
    await admin.create(ROOT, {"zoneName": "example.com"})
    one = f"{ROOT}/example.com"
    record = await admin.create(f"{one}/records", {"name": "www", "type": "A", "values": ["192.0.2.1"]})
    await admin.get(f"{one}/records/{record['identity']}")
    await admin.delete(f"{one}/records/www/A")
    await admin.get(f"{one}/export")
    page = await admin.get("/v1/audit?limit=1000&resourceType=dns_zone&resourceIdentity=example.com")
    made = [entry["action"] for entry in items_of(page, "items")]
    assert made == ["GET", "DELETE", "GET", "POST"], "the newest first"


async def test_a_batch_is_made_whole_or_not_at_all(platform: PlatformApi) -> None:
    admin = platform.admin
    zone = await make_zone(admin)
    await add(admin, "old", "A", "192.0.2.1")
    path = f"{ROOT}/example.com/records:batch"
    good = [
        {"action": "delete", "name": "old", "type": "A"},
        {"action": "create", "name": "old", "type": "CNAME", "values": ["new.example.com"]},
        {"action": "upsert", "name": "new", "type": "A", "values": ["192.0.2.2"]},
    ]
    for bad, status in (
        ({"action": "create", "name": "old", "type": "TXT", "values": ["t"]}, 409),
        ({"action": "create", "name": "new", "type": "A", "values": ["192.0.2.3"]}, 409),
        ({"action": "update", "name": "none", "type": "A", "values": ["192.0.2.3"]}, 404),
        ({"action": "create", "name": "x", "type": "A", "values": ["nonsense"]}, 400),
        ({"action": "create", "name": "x", "type": "A"}, 400),
    ):
        before = publish(platform)
        await admin.refused(status, "POST", path, {"changes": [*good, bad]})
        assert publish(platform) == before
    published = len(platform.deployment.publisher.published)
    result = read_object(await admin.send("POST", path, {"changes": good}), 200)
    assert {key: result[key] for key in ("created", "updated", "deleted", "unchanged")} == {
        "created": 2,
        "updated": 0,
        "deleted": 1,
        "unchanged": 0,
    }
    assert platform.deployment.publisher.published[published:] == [(zone["identity"], 3)]
    again = read_object(await admin.send("POST", path, {"changes": good[2:]}), 200)
    assert again["unchanged"] == 1
    assert len(platform.deployment.publisher.published) == published + 1


# Zones of files


async def test_check_tells_likely_mistakes_of_what_is_stored(admin: Api) -> None:
    await admin.create(ROOT, {"zoneName": "example.com"})
    one = f"{ROOT}/example.com"
    assert (await admin.get(f"{one}/check"))["notices"] == []
    for name, type_text, value in (
        ("sub", "NS", "ns1.sub.example.com"),
        ("@", "MX", "10 mail.example.com"),
        ("loop", "CNAME", "loop.example.com"),
    ):
        await admin.create(f"{one}/records", {"name": name, "type": type_text, "values": [value]})
    checked = await admin.get(f"{one}/check")
    assert checked["zone"] == await admin.get(one)
    notices = {(notice["severity"], str(notice["text"])) for notice in items_of(checked, "notices")}
    assert {severity for severity, _ in notices} == {"warning"}
    texts = " ".join(sorted(text for _, text in notices))
    for part in (
        "mail.example.com. has no address",
        "no glue: ns1.sub.example.com.",
        "the alias points to itself",
    ):
        assert part in texts


async def test_a_name_server_that_nobody_can_have_is_a_warning(deployment: Deployment) -> None:
    deployment.apex = ApexDefaults((parse_name("ns1.invalid."),))
    async with serve_deployment(deployment) as platform:
        made = await platform.admin.create(ROOT, {"zoneName": "example.com"})
        (warning,) = cast("list[str]", made["warnings"])
        assert "api_zones.name_servers" in warning
        checked = await platform.admin.get(f"{ROOT}/example.com/check")
        assert warning in [notice["text"] for notice in items_of(checked, "notices")]


async def test_zones_of_files_are_listed_and_cannot_be_changed(platform: PlatformApi) -> None:
    admin = platform.admin
    text = "@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nwww 60 A 192.0.2.1\nx 60 PTR y.test.\n"
    platform.deployment.publisher.files.append(
        FileZone(
            parse_name("file.test."),
            "file.test",
            "the file /zones/file.test.zone",
            read_zone(text, "file.test."),
            ServedZone(77, None, None),
        )
    )
    [zone] = await admin.list(ROOT)
    assert (zone["name"], zone["source"], zone["readOnly"], zone["publishedSerial"]) == (
        "file.test",
        "file",
        True,
        77,
    )
    path = f"{ROOT}/file.test"
    assert await admin.get(path) == await admin.get(f"{ROOT}/{zone['identity']}") == zone
    records = await admin.list(f"{path}/records")
    assert [(record["name"], record["type"], record["values"]) for record in records] == [
        ("@", "NS", ["ns.file.test"]),
        ("www", "A", ["192.0.2.1"]),
    ]
    record = records[1]
    assert await admin.get(f"{path}/records/www/A") == record
    assert await admin.get(f"{path}/records/{record['identity']}") == record
    for method, target, body in (
        ("PUT", path, {}),
        ("DELETE", path, None),
        ("POST", f"{path}/records", {"name": "a", "type": "A", "values": ["192.0.2.1"]}),
        ("PUT", f"{path}/records/www/A", {"values": ["192.0.2.2"]}),
        ("DELETE", f"{path}/records/{record['identity']}", None),
        ("POST", f"{path}/records:batch", {"changes": [{"action": "delete", "name": "www", "type": "A"}]}),
    ):
        assert "/zones/file.test.zone" in await admin.refused(409, method, target, body)
    await admin.refused(409, "POST", ROOT, {"zoneName": "file.test"})
