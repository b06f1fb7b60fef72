"""platform.md, section 2.1: `POST /oidc/token`."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

import httpx
import pytest
from sqlalchemy import select

from issuer import Issuer, encode, make_key
from platform_api import Api, Json, PlatformApi, format_moment, object_of, text_of
from signerd.platform.tables import audit_entries

NOW = 1_800_000_000
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105  # a kind, no token


@dataclass(frozen=True)
class Account:
    """A service account with an access credential."""

    identity: str
    key: str
    secret: str
    path: str

    @property
    def basic(self) -> dict[str, str]:
        pair = f"{quote_plus(self.key)}:{quote_plus(self.secret)}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    @property
    def fields(self) -> dict[str, str]:
        return {"client_id": self.key, "client_secret": self.secret}


async def make_account(admin: Api, scopes: list[str] | None = None, **more: object) -> Account:
    account = await admin.create(
        "/v1/service-accounts", {"name": f"ci {len(await admin.list('/v1/service-accounts'))}"}
    )
    path = f"/v1/service-accounts/{account['identity']}/access-credentials"
    made = await admin.create(path, {"name": "first", "scopes": scopes or [], **more})
    return Account(
        text_of(account, "identity"),
        text_of(made, "accessKey"),
        text_of(made, "accessSecret"),
        f"{path}/{made['identity']}",
    )


async def ask(
    admin: Api, form: Mapping[str, str] | str, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Send the form as clients do: no organisation header."""
    response = await admin.client.post(
        "/oidc/token",
        content=form if isinstance(form, str) else urlencode(form),
        headers={"Content-Type": "application/x-www-form-urlencoded", **(headers or {})},
    )
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    if response.status_code != 200:
        assert {"error", "error_description"} <= response.json().keys(), response.text
    return response


async def issue(admin: Api, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Json:
    response = await ask(admin, form, headers)
    assert response.status_code == 200, response.text
    body: Json = response.json()
    assert body["token_type"] == "Bearer"  # noqa: S105
    assert isinstance(body["access_token"], str)
    assert body["access_token"]
    assert type(body["expires_in"]) is int
    return body


async def refuse(
    admin: Api,
    status: int,
    error: str,
    form: Mapping[str, str] | str,
    headers: Mapping[str, str] | None = None,
) -> str:
    response = await ask(admin, form, headers)
    assert (response.status_code, response.json()["error"]) == (status, error), response.text
    return str(response.json()["error_description"])


def read_refusals(platform: PlatformApi) -> "list[Json]":
    query = select(audit_entries.c.record).where(audit_entries.c.action == "auth.token.refuse")
    with platform.deployment.store.read() as connection:
        return [json.loads(record) for record in connection.execute(query).scalars()]


async def test_2_1_client_credentials_as_basic_or_in_the_body(admin: Api) -> None:
    account = await make_account(admin)
    form = {"grant_type": "client_credentials"}
    for headers, fields in ((account.basic, {}), ({}, account.fields)):
        body = await issue(admin, form | fields, headers)
        assert body["expires_in"] == 3600
        caller = admin.as_token(text_of(body, "access_token"))
        assert len(await caller.list("/v1/regions")) == 1
        own = await caller.within(None).list("/v1/me/organisation-memberships")
        assert [membership["identity"] for membership in own] == [account.identity]


async def test_2_1_a_token_lives_as_long_as_it_says_and_dies_with_its_credential(
    platform: PlatformApi,
) -> None:
    admin = platform.admin
    account = await make_account(admin)
    form = {"grant_type": "client_credentials"}
    first = admin.as_token(text_of(await issue(admin, form, account.basic), "access_token"))
    platform.deployment.clock.seconds = NOW + 3599
    await first.list("/v1/regions")
    second = admin.as_token(text_of(await issue(admin, form, account.basic), "access_token"))
    platform.deployment.clock.seconds = NOW + 3600
    await first.refused(401, "GET", "/v1/regions")
    await second.list("/v1/regions")
    await admin.delete(account.path)
    await second.refused(401, "GET", "/v1/regions")
    await refuse(admin, 401, "invalid_client", form, account.basic)


async def test_2_1_a_token_does_not_outlive_the_expiry_of_its_credential(admin: Api) -> None:
    account = await make_account(admin, expiresAt=format_moment(NOW + 100))
    body = await issue(admin, {"grant_type": "client_credentials"}, account.basic)
    assert body["expires_in"] == 100


async def test_2_1_failing_client_credential_grants_are_401_with_the_oauth_shape_and_audited(
    platform: PlatformApi,
) -> None:
    admin = platform.admin
    account = await make_account(admin)
    form = {"grant_type": "client_credentials"}
    wrong = Account(account.identity, account.key, account.secret[:-1] + "x", "")
    unknown = Account(account.identity, "ak-00000000000000000000", account.secret, "")
    messages = {await refuse(admin, 401, "invalid_client", form, wrong.basic)}
    messages.add(await refuse(admin, 401, "invalid_client", form | wrong.fields))
    messages.add(await refuse(admin, 401, "invalid_client", form, unknown.basic))
    assert len(messages) == 1
    response = await ask(admin, form, wrong.basic)
    assert response.headers["WWW-Authenticate"].startswith("Basic")
    refusals = read_refusals(platform)
    organisation = platform.deployment.platform.organisation
    assert [entry.get("organisation") for entry in refusals].count(organisation) == 3
    assert len(refusals) == 4
    for entry in refusals:
        assert object_of(entry, "context")["result"] == "failure"
        assert account.secret not in str(entry)
        if "organisation" in entry:
            assert entry["resource"] == account.identity


@pytest.mark.parametrize("missing", ["client_id", "client_secret"])
async def test_2_1_a_client_without_id_or_secret_is_invalid_client(admin: Api, missing: str) -> None:
    account = await make_account(admin)
    form = {"grant_type": "client_credentials", **account.fields}
    del form[missing]
    await refuse(admin, 401, "invalid_client", form)


async def test_2_1_malformed_requests_are_400_with_the_oauth_shape(admin: Api) -> None:
    account = await make_account(admin)
    form = {"grant_type": "client_credentials", **account.fields}
    await refuse(admin, 400, "invalid_request", account.fields)
    await refuse(admin, 400, "unsupported_grant_type", form | {"grant_type": "password"})
    await refuse(admin, 400, "invalid_request", urlencode(form) + "&grant_type=client_credentials")
    await refuse(admin, 400, "invalid_request", urlencode(form) + "&scope=%FF")
    await refuse(admin, 400, "invalid_request", json.dumps(form), {"Content-Type": "application/json"})
    await refuse(admin, 400, "invalid_request", form, account.basic)
    for header in ("Basic", "Basic !!", "Bearer abc", "Basic " + base64.b64encode(b"nocolon").decode()):
        await refuse(
            admin, 401, "invalid_client", {"grant_type": "client_credentials"}, {"Authorization": header}
        )


async def test_2_1_scopes_narrow_and_never_widen(admin: Api) -> None:
    free, reader = await make_account(admin), await make_account(admin, ["api:read"])
    form = {"grant_type": "client_credentials"}
    body = await issue(admin, form | {"scope": "api:read"}, free.basic)
    caller = admin.as_token(text_of(body, "access_token"))
    await caller.list("/v1/regions")
    assert "scopes" in await caller.refused(403, "POST", "/v1/teams", {"name": "x"})
    body = await issue(admin, form | {"scope": ""}, reader.basic)
    assert body["scope"] == "api:read"
    for scope in ("api:write", "api:read api:write", "everything"):
        await refuse(admin, 400, "invalid_scope", form | {"scope": scope}, reader.basic)
    await refuse(admin, 400, "invalid_scope", form | {"scope": "openid"}, free.basic)


async def test_3_an_access_token_may_carry_a_project_claim(platform: PlatformApi) -> None:
    admin = platform.admin
    account = await make_account(admin)
    one = await admin.create("/v1/projects", {"name": "One"})
    await admin.create("/v1/projects", {"name": "Two"})
    for slug in ("one", "two"):
        policy = (await admin.inside(slug).list("/v1/projects/iam/policies?name=org-admin"))[0]
        await admin.inside(slug).create(
            f"/v1/projects/iam/policies/{policy['identity']}/bindings",
            {"name": "ci", "serviceAccountIdentity": account.identity},
        )
    form = {"grant_type": "client_credentials", "project": "one"}
    body = await issue(admin, form, account.basic)
    caller = admin.as_token(text_of(body, "access_token"))
    for same in (caller, caller.inside("one"), caller.inside(text_of(one, "identity"))):
        assert (await same.list("/v1/projects/iam/policies"))[0]["project"] == {
            "identity": one["identity"],
            "name": "One",
            "slug": "one",
        }
    await caller.inside("two").refused(403, "GET", "/v1/projects/iam/policies")
    await caller.inside("none").refused(403, "GET", "/v1/projects/iam/policies")
    assert [project["slug"] for project in await caller.list("/v1/projects")] == ["one"]
    await caller.refused(404, "GET", "/v1/projects/two")
    await refuse(admin, 400, "invalid_request", form | {"project": "none"}, account.basic)
    await admin.delete(f"/v1/projects/{one['identity']}")
    await caller.refused(401, "GET", "/v1/regions")


ISSUER = "https://issuer.example.com"


@dataclass
class Federation:
    """A service account that tokens of an issuer may act as."""

    admin: Api
    issuer: Issuer
    account: str
    identity: Json
    provider: Json

    def form(self, token: str, **more: str) -> dict[str, str]:
        return {
            "grant_type": EXCHANGE,
            "subject_token": token,
            "subject_token_type": JWT,
            "organisation_id": "local-test",
            "service_account_id": self.account,
            **more,
        }

    def claims(self, **more: object) -> dict[str, object]:
        claims: dict[str, object] = {
            "iss": self.issuer.url,
            "sub": "repo:example/app:ref:refs/heads/main",
            "aud": "https://api.example.com",
            "exp": NOW + 300,
            "iat": NOW,
            "repository": "example/app",
            **more,
        }
        return {name: value for name, value in claims.items() if value is not None}

    async def accept(self, token: str | None = None, **more: str) -> Json:
        return await issue(self.admin, self.form(token or self.issuer.issue(self.claims()), **more))

    async def refuse(self, token: str, status: int = 400, error: str = "invalid_grant", **more: str) -> str:
        return await refuse(self.admin, status, error, self.form(token, **more))


async def federate(
    platform: PlatformApi, issuer: Issuer, provider: Mapping[str, object], identity: Mapping[str, object]
) -> Federation:
    admin = platform.admin
    account = await admin.create("/v1/service-accounts", {"name": "ci"})
    made = await admin.create(
        "/v1/federated-identity-providers", {"name": "Issuer", "providerIssuer": issuer.url, **provider}
    )
    found = await admin.create(
        "/v1/federated-identities",
        {
            "name": "ci",
            "serviceAccountIdentity": account["identity"],
            "providerIdentity": made["identity"],
            "providerSubject": "repo:example/app:*",
            "trustedAudiences": ["https://api.example.com"],
            **identity,
        },
    )
    return Federation(admin, issuer, text_of(account, "identity"), found, made)


async def federate_locally(platform: PlatformApi, algorithm: str = "ES256", **identity: object) -> Federation:
    issuer = Issuer(ISSUER, algorithm)
    return await federate(platform, issuer, {"localJwks": issuer.key_set}, identity)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_2_1_token_exchange_with_stored_keys(platform: PlatformApi, algorithm: str) -> None:
    federation = await federate_locally(platform, algorithm)
    body = await federation.accept()
    assert body["expires_in"] == 3600
    caller = platform.admin.as_token(text_of(body, "access_token"))
    own = await caller.within(None).list("/v1/me/organisation-memberships")
    assert [membership["identity"] for membership in own] == [federation.account]
    identity = platform.deployment.platform.organisation
    await federation.accept(organisation_id=identity)
    await federation.accept(subject_token_type=ID_TOKEN)
    assert platform.deployment.fetched == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60),
        ("3600", 3600),
        ("86400", 86400),
        ("3600s", 3600),
        ("39600s", 39600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("24h0m0s", 86400),
        ("1m", 60),
    ],
)
async def test_2_1_lifetimes_have_three_forms(platform: PlatformApi, text: str, seconds: int) -> None:
    federation = await federate_locally(platform)
    assert (await federation.accept(access_token_lifetime=text))["expires_in"] == seconds


async def test_2_1_lifetimes_out_of_range_are_400(platform: PlatformApi) -> None:
    federation = await federate_locally(platform)
    token = federation.issuer.issue(federation.claims())
    for text in (
        "59",
        "0",
        "-60",
        "86401",
        "24h1s",
        "25h",
        "1h 1m",
        "h",
        "1",
        "1e3",
        "3600S",
        "1d",
        "9" * 40,
    ):
        message = await federation.refuse(token, error="invalid_request", access_token_lifetime=text)
        assert "access_token_lifetime" in message


@pytest.mark.parametrize(
    "missing", ["subject_token", "subject_token_type", "organisation_id", "service_account_id"]
)
async def test_2_1_required_fields_are_named_when_missing(platform: PlatformApi, missing: str) -> None:
    federation = await federate_locally(platform)
    form = federation.form(federation.issuer.issue(federation.claims()))
    del form[missing]
    assert missing in await refuse(platform.admin, 400, "invalid_request", form)
    form[missing] = ""
    assert missing in await refuse(platform.admin, 400, "invalid_request", form)


async def test_2_1_another_kind_of_subject_token_is_not_supported(platform: PlatformApi) -> None:
    federation = await federate_locally(platform)
    token = federation.issuer.issue(federation.claims())
    kind = "urn:ietf:params:oauth:token-type:saml2"
    await federation.refuse(token, error="invalid_request", subject_token_type=kind)


async def test_2_1_the_claims_are_checked_and_all_refusals_look_alike_and_are_audited(
    platform: PlatformApi,
) -> None:
    federation = await federate_locally(platform, conditions={"repository": "example/*", "n": 3})
    await federation.refuse(federation.issuer.issue(federation.claims()))
    good = federation.claims(n=3)
    await federation.accept(federation.issuer.issue(good))
    refused: list[str] = []
    cases: list[Json] = [
        {"exp": NOW - 61},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"nbf": NOW + 61},
        {"iat": NOW + 61},
        {"iss": "https://issuer.example.com/"},
        {"iss": "https://other.example.com"},
        {"iss": None},
        {"aud": "https://other.example.com"},
        {"aud": None},
        {"aud": []},
        {"aud": ["https://api.example.com/"]},
        {"sub": "repo:example/other:ref"},
        {"sub": "REPO:example/app:x"},
        {"sub": None},
        {"sub": 5},
        {"repository": "evil/example/app"},
        {"repository": None},
        {"n": "3"},
        {"n": True},
        {"n": 4},
    ]
    for changes in cases:
        claims = {name: value for name, value in {**good, **changes}.items() if value is not None}
        refused.append(await federation.refuse(federation.issuer.issue(claims)))
    token = federation.issuer.issue(good)
    for field, name in (
        ("service_account_id", "sa-00000000000000000000"),
        ("organisation_id", "o-00000000000000000000"),
        ("organisation_id", platform.add_organisation("Foreign").slug),
    ):
        form = federation.form(token) | {field: name}
        refused.append(await refuse(platform.admin, 400, "invalid_grant", form))
    assert len(set(refused)) == 1
    assert len(read_refusals(platform)) == len(refused) + 1
    assert token not in str(read_refusals(platform))


async def test_2_1_leeway_for_the_clock_of_the_issuer(platform: PlatformApi) -> None:
    federation = await federate_locally(platform)
    for changes in ({"exp": NOW - 59}, {"nbf": NOW + 60}, {"iat": NOW + 60}):
        await federation.accept(federation.issuer.issue(federation.claims(**changes)))


async def test_2_1_signatures_and_headers_are_checked(platform: PlatformApi) -> None:
    federation = await federate_locally(platform)
    issuer, claims = federation.issuer, federation.claims()
    good = issuer.issue(claims)
    await federation.accept(good)
    header, payload, signature = good.split(".")
    none = encode(json.dumps({"alg": "none"}).encode())
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    other = issuer.issue({**claims, "sub": "repo:example/app:x"}).split(".")[1]
    for token in (
        "x",
        "..",
        f"{header}.{payload}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{flipped}",
        f"{header}.{payload}.{signature}=",
        f"{header}.{other}.{signature}",
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        good + ".x",
        good + "é",
        "A" * 20_000,
        issuer.issue(claims, key=make_key("ES256")),
        issuer.issue(claims, header={"kid": "k2"}),
        issuer.issue(claims, header={"alg": "HS256"}),
        issuer.issue(claims, header={"alg": "RS256"}),
        issuer.issue(claims, header={"crit": ["exp"]}),
        issuer.issue(claims, header={"alg": None}),
    ):
        await federation.refuse(token)
    twice = b'{"sub":"a","sub":"b"}'
    await federation.refuse(f"{header}.{encode(twice)}.{signature}")


async def test_2_1_an_rsa_token_cannot_choose_another_algorithm_for_the_key(platform: PlatformApi) -> None:
    federation = await federate_locally(platform, "RS256")
    for algorithm in ("PS256", "RS1", "HS256", "ES256", "none"):
        await federation.refuse(federation.issuer.issue(federation.claims(), header={"alg": algorithm}))


@pytest.mark.parametrize(
    ("mode", "trusted", "audience", "accepted"),
    [
        ("any", ["a", "b"], "b", True),
        ("any", ["a", "b"], ["c", "a"], True),
        ("any", ["a", "b"], ["c"], False),
        ("all", ["a", "b"], ["b", "a", "c"], True),
        ("all", ["a", "b"], ["a", "c"], False),
        ("all", ["a"], "a", True),
        ("exact", ["a", "b"], ["b", "a"], True),
        ("exact", ["a", "b"], ["a", "b", "c"], False),
        ("exact", ["a", "b"], "a", False),
        ("exact", ["a"], "a", True),
        ("exact", ["a"], "A", False),
    ],
)
async def test_2_1_audience_modes(
    platform: PlatformApi, mode: str, trusted: list[str], audience: object, *, accepted: bool
) -> None:
    federation = await federate_locally(platform, trustedAudiences=trusted, audienceMatchMode=mode)
    token = federation.issuer.issue(federation.claims(aud=audience))
    if accepted:
        await federation.accept(token)
    else:
        await federation.refuse(token)


async def test_2_1_expiry_status_and_scopes_of_the_federated_identity_apply(platform: PlatformApi) -> None:
    federation = await federate_locally(
        platform, allowedScopes=["api:read"], expiresAt=format_moment(NOW + 200)
    )
    admin = platform.admin
    body = await federation.accept()
    assert (body["expires_in"], body["scope"]) == (200, "api:read")
    caller = admin.as_token(text_of(body, "access_token"))
    assert "scopes" in await caller.refused(403, "POST", "/v1/teams", {"name": "x"})
    token = federation.issuer.issue(federation.claims())
    await federation.refuse(token, error="invalid_scope", scope="api:write")
    path = f"/v1/federated-identities/{federation.identity['identity']}"
    await caller.list("/v1/regions")
    await admin.put(path, {"status": "inactive"})
    await caller.refused(401, "GET", "/v1/regions")  # tokens end with what they rest on
    await federation.refuse(token)
    await admin.put(path, {"status": "active"})
    await federation.accept(token)
    provider = f"/v1/federated-identity-providers/{federation.provider['identity']}"
    await admin.put(provider, {"status": "inactive"})
    await federation.refuse(token)
    await admin.put(provider, {"status": "active"})
    platform.deployment.clock.seconds = NOW + 200
    await federation.refuse(token)


async def test_2_1_keys_are_discovered_kept_and_looked_up_again_when_the_issuer_has_new_ones(
    platform: PlatformApi,
) -> None:
    issuer = Issuer("https://issuer.example.com/tenant/")
    documents, clock = platform.deployment.documents, platform.deployment.clock
    discovery = "https://issuer.example.com/tenant/.well-known/openid-configuration"
    documents[discovery] = json.dumps(
        {"issuer": issuer.url, "jwks_uri": "https://keys.example.com/set"}
    ).encode()
    documents["https://keys.example.com/set"] = json.dumps(issuer.key_set).encode()
    federation = await federate(platform, issuer, {}, {})
    for _ in range(3):
        await federation.accept()
    assert platform.deployment.fetched == [discovery, "https://keys.example.com/set"]
    issuer.keys["k2"] = make_key("ES256")
    documents["https://keys.example.com/set"] = json.dumps(issuer.key_set).encode()
    fresh = issuer.issue(federation.claims(), key_id="k2")
    await federation.refuse(fresh)  # just looked: an attacker must not make it look for each token
    assert len(platform.deployment.fetched) == 2
    clock.seconds += 60
    await federation.accept(fresh)
    assert len(platform.deployment.fetched) == 4
    clock.seconds += 86400
    del documents["https://keys.example.com/set"]
    token = issuer.issue(federation.claims(exp=clock.seconds + 60))
    await federation.refuse(token, 503, "temporarily_unavailable")
    await federation.refuse(token, 503, "temporarily_unavailable")
    assert len(platform.deployment.fetched) == 6  # the failure is remembered for a while


async def test_2_1_a_given_key_address_is_used_and_a_foreign_configuration_is_not(
    platform: PlatformApi,
) -> None:
    issuer = Issuer(ISSUER)
    platform.deployment.documents["https://keys.example.com/set"] = json.dumps(issuer.key_set).encode()
    federation = await federate(platform, issuer, {"providerJwksUri": "https://keys.example.com/set"}, {})
    await federation.accept()
    assert platform.deployment.fetched == ["https://keys.example.com/set"]
    provider = f"/v1/federated-identity-providers/{federation.provider['identity']}"
    changed = await platform.admin.put(provider, {"providerJwksUri": ""})
    assert "providerJwksUri" not in changed
    platform.deployment.documents[f"{ISSUER}/.well-known/openid-configuration"] = json.dumps(
        {"issuer": "https://evil.example.com", "jwks_uri": "https://keys.example.com/set"}
    ).encode()
    await federation.refuse(issuer.issue(federation.claims()), 503, "temporarily_unavailable")


async def test_9_federated_providers_and_identities_have_the_whole_wire_shape(platform: PlatformApi) -> None:
    federation = await federate_locally(platform, conditions={"repository": ["a", "b"]}, labels={"a": "b"})
    admin = platform.admin
    described = {"identity", "name", "slug", "description", "labels", "annotations"}
    described |= {"createdAt", "updatedAt", "objectVersion"}
    provider = await admin.get(f"/v1/federated-identity-providers/{federation.provider['identity']}")
    assert provider.keys() == described | {"providerIssuer", "localJwks", "status"}
    assert provider["localJwks"] == federation.issuer.key_set
    identity = await admin.get(f"/v1/federated-identities/{federation.identity['identity']}")
    assert identity.keys() == described | {
        "serviceAccountIdentity",
        "providerIdentity",
        "providerSubject",
        "trustedAudiences",
        "audienceMatchMode",
        "allowedScopes",
        "conditions",
        "status",
    }
    assert (identity["audienceMatchMode"], identity["status"]) == ("any", "active")
    assert await admin.list("/v1/federated-identities?matchLabels[a]=b") == [identity]
    assert await admin.list("/v1/federated-identities?matchLabels[a]=c") == []
    assert await admin.list("/v1/federated-identity-providers?status=active") == [provider]
    await admin.refused(400, "DELETE", f"/v1/federated-identity-providers/{provider['identity']}")
    await admin.delete(f"/v1/federated-identities/{identity['identity']}")
    await admin.delete(f"/v1/federated-identity-providers/{provider['identity']}")
    assert await admin.list("/v1/federated-identities") == []


async def test_9_federation_refuses_what_would_trust_too_much(platform: PlatformApi) -> None:
    admin = platform.admin
    federation = await federate_locally(platform)
    cases: list[Json] = [
        {"providerIssuer": ""},
        {"providerIssuer": "http://issuer.example.com"},
        {"providerIssuer": "issuer"},
        {"providerIssuer": "https://i.example.com", "providerJwksUri": "http://keys.example.com/"},
        {"providerIssuer": "https://i.example.com", "providerJwksUri": "file:///etc/passwd"},
        {"providerIssuer": "https://i.example.com", "localJwks": {}},
        {"providerIssuer": "https://i.example.com", "localJwks": {"keys": []}},
        {"providerIssuer": "https://i.example.com", "localJwks": {"keys": [{"kty": "oct", "k": "AA"}]}},
        {"providerIssuer": "https://i.example.com", "status": "maybe"},
    ]
    for provider in cases:
        await admin.refused(400, "POST", "/v1/federated-identity-providers", {"name": "x", **provider})
    base: Json = {
        "name": "x",
        "serviceAccountIdentity": federation.account,
        "providerIdentity": federation.provider["identity"],
        "providerSubject": "a",
        "trustedAudiences": ["a"],
    }
    drafts: list[Json] = [
        {"providerSubject": ""},
        {"providerSubject": "*"},
        {"providerSubject": "***"},
        {"trustedAudiences": []},
        {"trustedAudiences": [""]},
        {"serviceAccountIdentity": "sa-unknown"},
        {"providerIdentity": "fip-unknown"},
        {"audienceMatchMode": "some"},
        {"allowedScopes": ["root"]},
        {"conditions": {"a": {}}},
        {"conditions": []},
        {"expiresAt": "soon"},
    ]
    for changes in drafts:
        await admin.refused(400, "POST", "/v1/federated-identities", {**base, **changes})
    assert len(await admin.list("/v1/federated-identities")) == 1
