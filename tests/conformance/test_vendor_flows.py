"""The vendor's provider against a whole server: its acceptance tests, read as strictly (platform.md 11).

Five flows for keys, nine for secrets, then what else the contract says of the client itself.
"""

import base64
import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import cast

import pytest

from daemon_process import DaemonProcess, run_daemon
from vendor_client import (
    AUDIT,
    CIPHERTEXT,
    KEY,
    LEVEL,
    PLAINTEXT,
    REGION,
    SECRET,
    SUMMARY,
    VALUE,
    VERSION,
    Answer,
    DecodingFailed,
    Json,
    Shape,
    VendorClient,
    decode,
    list_objects,
)

OPTIONS = "region: {slug: nl-01, name: Amsterdam}\nresponders: {count: 1}\n"
KEYS = "/v1/kms/nl-01/keys"
SECRETS = "/v1/secrets/nl-01/secrets"
STATEMENTS = {"statements": [{"effect": "Allow", "actions": ["read"], "principals": ["team:platform"]}]}
_NUMBERS = count(1)


def secret_at(path: str) -> str:
    return f"/v1/secrets/nl-01/secret{path}"


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Generator[DaemonProcess]:
    with run_daemon(tmp_path_factory.mktemp("vendor"), {}, OPTIONS) as running:
        yield running


@pytest.fixture
def client(daemon: DaemonProcess) -> Generator[VendorClient]:
    report = daemon.status()
    assert report is not None
    token = (daemon.state / "admin.token").read_text().strip()
    made = VendorClient(int(str(report["admin"]).rpartition("@")[2].rpartition(":")[2]), f"Token {token}")
    yield made
    made.close()


@pytest.fixture
def name() -> str:
    return f"tf-acc-{next(_NUMBERS)}"


def read_twice(client: VendorClient, target: str, kind: Shape) -> Json:
    """Read an object as refresh and plan do: nothing may change between two reads without a write."""
    first, second = client.call("GET", target), client.call("GET", target)
    assert first.body == second.body
    return second.read_object(kind)


def make_key(client: VendorClient, name: str) -> Json:
    summary = client.call("GET", "/v1/kms/summary").read_object(SUMMARY)
    assert summary["featureEnabled"] is True
    regions = {region["slug"]: region["kmsAvailable"] for region in list_objects(summary, "regions")}
    assert regions["nl-01"] is True
    return client.call("POST", KEYS, {"name": name, "keyType": "aes256-gcm96"}).read_object(KEY, 201)


def make_secret(client: VendorClient, name: str, **value: object) -> tuple[str, Json]:
    """Create a secret as the provider does; gives its path and what the server said."""
    path = f"/tf-acc/{name}"
    key = make_key(client, name)
    body = {"path": path, "kmsKeyIdentity": key["identity"], **value}
    return path, client.call("POST", SECRETS, body).read_object(SECRET, 201)


def list_versions(secret: Json) -> list[Json]:
    return list_objects(secret, "versions")


def context_of(entry: Json) -> Json:
    return cast("Json", entry["context"])


# keys


def test_1_a_key_is_created_planned_without_difference_imported_and_deleted(
    client: VendorClient, name: str
) -> None:
    created = make_key(client, name)
    assert created["status"] == "active"
    assert created["latestVersion"] == 1
    assert created["slug"] == name
    assert not {"rotationPeriodInDays", "description", "labels", "annotations"} & created.keys()
    key = f"{KEYS}/{created['identity']}"
    assert read_twice(client, key, KEY) == created, "read after write"
    assert read_twice(client, f"{KEYS}/{name}", KEY) == created, "import by slug"
    deleted = client.call("DELETE", key).read_object(KEY)
    assert deleted["status"] == "pending_deletion"
    assert "deletionScheduledAt" in deleted


def test_2_rotation_is_patched_and_an_empty_patch_changes_nothing(client: VendorClient, name: str) -> None:
    key = f"{KEYS}/{make_key(client, name)['identity']}"
    wanted = {"keyRotationEnabled": True, "rotationPeriodInDays": 90}
    patched = client.call("PATCH", f"{key}/rotation", wanted).read_object(KEY)
    assert (patched["keyRotationEnabled"], patched["rotationPeriodInDays"]) == (True, 90)
    assert read_twice(client, key, KEY) == patched
    assert client.call("PATCH", f"{key}/rotation", {}).read_object(KEY) == patched
    assert read_twice(client, key, KEY) == patched


def test_3_disable_and_enable_arrive_chunked_and_empty_on_one_connection(
    client: VendorClient, name: str
) -> None:
    key = f"{KEYS}/{make_key(client, name)['identity']}"
    assert client.call("POST", f"{key}/disable").read_object(KEY)["status"] == "disabled"
    assert read_twice(client, key, KEY)["status"] == "disabled"
    assert client.call("POST", f"{key}/enable").read_object(KEY)["status"] == "active"
    assert read_twice(client, key, KEY)["status"] == "active"
    assert client.call("POST", f"{key}/rotate").read_object(KEY)["latestVersion"] == 2


def test_4_a_deletion_is_cancelled_and_cancelling_again_changes_nothing(
    client: VendorClient, name: str
) -> None:
    key = f"{KEYS}/{make_key(client, name)['identity']}"
    client.call("DELETE", key).read_object(KEY)
    assert read_twice(client, key, KEY)["status"] == "pending_deletion"
    cancelled = client.call("DELETE", f"{key}/cancel-deletion").read_object(KEY)
    assert cancelled["status"] == "active"
    assert "deletionScheduledAt" not in cancelled
    for _ in range(2):  # on every apply while the flag stays set
        assert client.call("DELETE", f"{key}/cancel-deletion").read_object(KEY) == cancelled
    assert read_twice(client, key, KEY) == cancelled


def test_5_the_data_source_finds_a_key_by_name_in_the_whole_list(client: VendorClient, name: str) -> None:
    created = make_key(client, name)
    answer = client.call("GET", KEYS)
    assert answer.body == client.call("GET", KEYS).body
    assert next(key for key in answer.read_list(KEY) if key["name"] == name) == created


# secrets


def test_6_a_secret_with_a_string_is_created_read_and_deleted(client: VendorClient, name: str) -> None:
    path, created = make_secret(client, name, secretString=encode("hunter2"))
    assert created["currentVersion"] == 1
    assert created["path"] == path
    assert not {"description", "labels", "annotations", "accessPolicy", "lastAccessedAt"} & created.keys()
    assert read_twice(client, secret_at(path), SECRET) == created
    assert client.call("DELETE", secret_at(path)).status == 204
    assert client.call("GET", secret_at(path)).read_message(404)
    assert client.call("DELETE", secret_at(path)).read_message(404)


@pytest.mark.parametrize("octets", [32, 0])
def test_7_a_generated_secret_has_the_length_asked_for_and_32_for_zero(
    client: VendorClient, name: str, octets: int
) -> None:
    path, _ = make_secret(client, name, generateSecret={"byteLength": octets} if octets else {})
    value = client.call("POST", f"{secret_at(path)}/value", {"path": path}).read_object(VALUE)
    assert len(base64.b64decode(str(value["secretString"]))) == 32


def test_8_key_values_come_back_raw(client: VendorClient, name: str) -> None:
    wanted = {"user": "app", "password": "p@ss word"}
    path, _ = make_secret(client, name, secretKeyValues=wanted)
    value = client.call("POST", f"{secret_at(path)}/value", {"path": path}).read_object(VALUE)
    assert value["secretKeyValues"] == wanted
    assert value["kmsKeyVersion"] == "1"


def test_9_looking_for_versions_reveals_nothing(client: VendorClient, name: str) -> None:
    path, created = make_secret(client, name, secretString=encode("v"))
    kms_key = created["kmsKey"]
    assert isinstance(kms_key, dict)
    read = read_twice(client, f"{secret_at(path)}?includeVersions=true", SECRET)
    assert [version["version"] for version in list_versions(read)] == [1]
    assert "lastAccessedAt" not in read
    assert read["kmsKey"] == kms_key


def test_10_a_policy_is_set_and_given_back_unchanged(client: VendorClient, name: str) -> None:
    path, _ = make_secret(client, name, secretString=encode("v"))
    put = client.call("PUT", f"{secret_at(path)}/policy", {"accessPolicy": STATEMENTS})
    assert put.read_object(SECRET)["accessPolicy"] == STATEMENTS
    assert read_twice(client, secret_at(path), SECRET)["accessPolicy"] == STATEMENTS
    refused = client.call("POST", f"{secret_at(path)}/value", {"path": path})
    assert refused.read_message(403) == "access policy denied"
    assert client.call("DELETE", secret_at(path)).status == 204, "a policy blocks no delete"


@pytest.mark.parametrize("cleared", [{}, None, {"statements": []}])
def test_11_a_policy_is_cleared(client: VendorClient, name: str, cleared: object) -> None:
    path, _ = make_secret(client, name, secretString=encode("v"), accessPolicy=STATEMENTS)
    put = client.call("PUT", f"{secret_at(path)}/policy", {"accessPolicy": cleared})
    assert "accessPolicy" not in put.read_object(SECRET)
    assert "accessPolicy" not in read_twice(client, secret_at(path), SECRET)


def test_12_versions_are_2_and_3_and_each_is_found(client: VendorClient, name: str) -> None:
    path, _ = make_secret(client, name, secretString=encode("one"))
    for number, text in ((2, "two"), (3, "three")):
        body = {"path": path, "secretString": encode(text)}
        added = client.call("POST", f"{secret_at(path)}/versions", body)
        assert added.read_object(VERSION, 201) == {"path": path, "version": number}
        read = read_twice(client, f"{secret_at(path)}?includeVersions=true", SECRET)
        assert number in [version["version"] for version in list_versions(read)]
        assert read["currentVersion"] == number
    value = client.call("POST", f"{secret_at(path)}/value", {"path": path, "version": 2}).read_object(VALUE)
    assert value["secretString"] == encode("two")


def test_13_versions_are_destroyed_in_parallel_the_current_one_too(client: VendorClient, name: str) -> None:
    path, _ = make_secret(client, name, secretString=encode("one"), accessPolicy=STATEMENTS)
    clear = client.call("PUT", f"{secret_at(path)}/policy", {"accessPolicy": {}})
    assert clear.status == 200
    for text in ("two", "three"):
        client.call("POST", f"{secret_at(path)}/versions", {"path": path, "secretString": encode(text)})

    def destroy(number: int) -> int:
        own = replace(client)  # shares no connection: the provider uses several
        try:
            return own.call("DELETE", f"{secret_at(path)}/versions?version={number}").status
        finally:
            own.close()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(destroy, (3, 2, 1))) == [204, 204, 204]
    read = read_twice(client, f"{secret_at(path)}?includeVersions=true", SECRET)
    assert [version["status"] for version in list_versions(read)] == ["destroyed"] * 3
    assert read["currentVersion"] == 0
    assert client.call("DELETE", secret_at(path)).status == 204


def test_14_browsing_and_listing_give_their_two_shapes(client: VendorClient, name: str) -> None:
    path, created = make_secret(client, f"{name}/db", secretString=encode("v"))
    level = client.call("GET", f"{SECRETS}?path=/tf-acc/").read_object(LEVEL)
    assert level["path"] == "/tf-acc/"
    prefixes = level["prefixes"]
    assert isinstance(prefixes, list)
    assert f"/tf-acc/{name}/" in prefixes
    assert client.call("GET", f"{SECRETS}?pathPrefix=/tf-acc/{name}/").read_list(SECRET) == [created]
    assert client.call("GET", f"{SECRETS}?path=/tf-acc/{name}").read_object(LEVEL)["secrets"] == [created]
    assert client.call("GET", f"{SECRETS}?pathPrefix=/none").body == b"[]"
    assert client.call("DELETE", secret_at(path)).status == 204


# the client itself


def test_a_provider_with_client_credentials_asks_for_a_token_for_each_operation(
    client: VendorClient, name: str
) -> None:
    account = client.call("POST", "/v1/service-accounts", {"name": name}).read_object(REGION, 201)
    roles = client.call("GET", "/v1/iam/roles").read_list(REGION)
    role = next(role for role in roles if role["name"] == "org-admin")
    binding = {"name": name, "serviceAccountIdentity": account["identity"]}
    client.call("POST", f"/v1/iam/roles/{role['identity']}/bindings", binding).read_object(REGION, 201)
    target = f"/v1/service-accounts/{account['identity']}/access-credentials"
    pair = client.call("POST", target, {"name": name}).read_object(
        {"accessKey": "string", "accessSecret": "string", "identity": "string", "scopes": ["string"]}, 201
    )
    anonymous = replace(client, authorization=None)
    for in_body in (False, True, False):
        token = anonymous.fetch_token(str(pair["accessKey"]), str(pair["accessSecret"]), in_body=in_body)
        own = replace(client, authorization=f"Bearer {token}")
        own.call("GET", KEYS).read_list(KEY)
        own.close()
    anonymous.close()


@pytest.mark.parametrize("scheme", ["Token", "token", "Bearer", "BEARER"])
def test_a_personal_token_is_good_under_both_schemes_in_any_case(client: VendorClient, scheme: str) -> None:
    _, _, token = str(client.authorization).partition(" ")
    client.call("GET", KEYS).read_list(KEY)
    replaced = replace(client, authorization=f"{scheme} {token}")
    replaced.call("GET", KEYS).read_list(KEY)
    replaced.close()


def test_organisation_and_region_go_by_slug_and_by_identity(client: VendorClient, name: str) -> None:
    created = make_key(client, name)
    page = client.call("GET", "/v1/audit?limit=1").read_object(AUDIT)
    entry = list_objects(page, "items")[0]
    by_identity = replace(client, organisation=str(entry["organizationIdentity"]))
    region = client.call("GET", "/v1/regions/nl-01").read_object(REGION)
    target = f"/v1/kms/{region['identity']}/keys/{created['identity']}"
    assert by_identity.call("GET", target).read_object(KEY) == created
    assert client.call("GET", f"/v1/kms/NL-01/keys/{name}").read_message(404), "compared exactly"
    by_identity.close()


def test_label_filters_arrive_with_escaped_brackets(client: VendorClient, name: str) -> None:
    body = {"name": name, "labels": {"tf/acc": name}}
    created = client.call("POST", KEYS, body).read_object(KEY, 201)
    found = client.call("GET", f"{KEYS}?matchLabels%5Btf%2Facc%5D={name}").read_list(KEY)
    assert found == [created]
    assert client.call("GET", f"{KEYS}?matchLabels%5Btf%2Facc%5D=other").body == b"[]"


def test_versions_are_strings_where_the_client_has_strings(client: VendorClient, name: str) -> None:
    key = f"{KEYS}/{make_key(client, name)['identity']}"
    made = client.call("POST", f"{key}/encrypt", {"plaintext": encode("x")}).read_object(CIPHERTEXT)
    assert made["keyVersion"] == "1"
    opened = client.call("POST", f"{key}/decrypt", {"ciphertext": made["ciphertext"]})
    assert opened.read_object(PLAINTEXT) == {"plaintext": encode("x"), "keyVersion": "1"}


def test_a_plus_in_a_path_is_a_plus(client: VendorClient, name: str) -> None:
    path, created = make_secret(client, f"{name}+plus", secretString=encode("v"))
    assert path.endswith("+plus")
    assert read_twice(client, secret_at(path), SECRET) == created


def test_every_error_is_json_with_a_message_and_the_connection_goes_on(client: VendorClient) -> None:
    def refuse(other: VendorClient, status: int, method: str, target: str, body: object = None) -> Answer:
        answer = other.call(method, target, body)
        assert answer.read_message(status)
        other.close()
        return answer

    answer = refuse(replace(client, authorization=None), 401, "GET", KEYS)
    assert answer.headers["www-authenticate"] == "Bearer"
    refuse(replace(client, authorization="Token tc_pat_unknown"), 401, "POST", KEYS)
    refuse(replace(client, organisation=None), 400, "GET", KEYS)
    refuse(replace(client, organisation=""), 400, "GET", KEYS)
    refuse(replace(client, organisation="nobody"), 403, "GET", KEYS)
    refuse(replace(client, project="nothing"), 404, "GET", KEYS)
    for status, method, target in (
        (404, "GET", "/v1/nothing"),
        (405, "PUT", KEYS),
        (404, "GET", "/v1/kms/nowhere/keys"),
        (404, "GET", f"{KEYS}/unknown"),
        (404, "POST", f"{KEYS}/unknown/disable"),
        (400, "POST", KEYS),
        (404, "GET", f"{KEYS}/"),
    ):
        assert client.call(method, target).read_message(status)
    assert client.call("GET", "/v1/nothing").read_message(404) == "not found"
    client.call("GET", KEYS).read_list(KEY)


def test_the_audit_of_a_flow_is_paged_and_spelled_as_the_client_reads_it(
    client: VendorClient, name: str
) -> None:
    path, _ = make_secret(client, name, secretString=encode("v"))
    client.call("POST", f"{secret_at(path)}/value", {"path": path}).read_object(VALUE)
    target = "/v1/audit?action=secrets.get_value,kms.decrypt&limit=2&page=1&includeSystemServices=true"
    page = client.call("GET", target).read_object(AUDIT)
    items = list_objects(page, "items")
    assert (page["page"], page["itemsPerPage"]) == (1, 2)
    assert page["totalItems"] == page["totalCount"]
    assert [item["action"] for item in items] == ["secrets.get_value", "kms.decrypt"]
    assert len({context_of(item)["requestId"] for item in items}) == 1
    generic = client.call("GET", "/v1/audit?action=POST&limit=1").read_object(AUDIT)
    context = context_of(list_objects(generic, "items")[0])
    assert context["user_agent"] == client.agent
    assert (context["status"], context["method"]) == (200, "POST")
    assert str(context["path"]).endswith("/value")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (KEY, '{"latestVersion": "1"}'),
        (KEY, '{"latestVersion": 1.0}'),
        (KEY, '{"exportAllowed": 1}'),
        (KEY, '{"createdAt": "2027-01-15 08:00:00Z"}'),
        (KEY, '{"createdAt": ""}'),
        (KEY, '{"labels": {"a": 1}}'),
        (CIPHERTEXT, '{"keyVersion": 1}'),
        (LEVEL, "[]"),
    ],
)
def test_the_decoder_of_these_tests_is_strict(kind: Shape, text: str) -> None:
    with pytest.raises(DecodingFailed):
        decode(kind, json.loads(text))


def test_the_log_of_all_this_has_no_errors(daemon: DaemonProcess) -> None:
    assert "Traceback" not in daemon.log
    assert "error" not in daemon.log.lower().replace("errors", ""), daemon.log
