"""Ids that are foreign, missing or invisible cost the same queries (security checklist, authorisation)."""

import re
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event

from platform_api import Api, PlatformApi, text_of
from signerd.platform.membership import Role
from signerd.platform.secret_text import append_crc

KEYS = "/v1/kms/nl-01/keys"
SECRET = "/v1/secrets/nl-01/secret"  # noqa: S105  # a path
PLAINTEXT = "aGVsbG8="


@contextmanager
def noting_statements(platform: PlatformApi) -> Generator[list[str]]:
    """Note the statements of all transactions, without their values."""
    noted: list[str] = []

    def note(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        del connection, cursor, rest
        noted.append(re.sub(r"\s+", " ", statement))

    event.listen(platform.deployment.engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(platform.deployment.engine, "before_cursor_execute", note)


async def note_refusal(
    platform: PlatformApi, caller: Api, call: tuple[str, str, object]
) -> tuple[int, list[str]]:
    """Give the status of a call that is refused, and its statements."""
    with noting_statements(platform) as noted:
        response = await caller.send(*call)
    assert response.status_code in (403, 404), response.text
    return response.status_code, noted


CALLS = {
    "read a key": ("GET", KEYS + "/{key}", None),
    "encrypt": ("POST", KEYS + "/{key}/encrypt", {"plaintext": PLAINTEXT}),
    "decrypt": ("POST", KEYS + "/{key}/decrypt", {"ciphertext": "thalassa:v1:AAAA"}),
    "sign": ("POST", KEYS + "/{key}/sign", {"input": PLAINTEXT}),
    "export": ("POST", KEYS + "/{key}/export", None),
    "rotate": ("POST", KEYS + "/{key}/rotate", None),
    "delete a key": ("DELETE", KEYS + "/{key}", None),
    "read a secret": ("GET", SECRET + "{path}", None),
    "read a secret's value": ("POST", SECRET + "{path}/value", None),
}


@pytest.mark.parametrize("name", CALLS)
async def test_foreign_missing_and_invisible_ids_cost_the_same_queries(
    platform: PlatformApi, name: str
) -> None:
    method, pattern, body = CALLS[name]
    admin = platform.admin
    own = text_of(await admin.create(KEYS, {"name": "own"}), "identity")
    await admin.create(
        "/v1/secrets/nl-01/secrets", {"path": "/own/x", "kmsKeyIdentity": own, "secretString": PLAINTEXT}
    )
    foreign = platform.add_organisation("Foreign")
    stranger = platform.add_member("stranger", foreign.identity, role=Role.OWNER)
    there = admin.as_token(stranger.token).within("foreign")
    key = text_of(await there.create(KEYS, {"name": "foreign"}), "identity")
    await there.create(
        "/v1/secrets/nl-01/secrets",
        {"path": "/foreign/x", "kmsKeyIdentity": key, "secretString": PLAINTEXT},
    )
    other = text_of(await admin.create(KEYS, {"name": "other"}), "identity")
    someone = platform.add_member("member")
    # has every right on something, so that everything is looked for, but none on what is asked for here
    await platform.grant("keys", ["*"], ["kms_key"], [other], userIdentity=someone.subject)
    await platform.grant("secrets", ["*"], ["secret"], ["/other/x"], userIdentity=someone.subject)
    member = admin.as_token(someone.token)
    places = {
        "missing": ("kms-00000000000000000000", "/missing/x"),
        "foreign": (key, "/foreign/x"),
        "invisible": (own, "/own/x"),
    }
    calls: dict[str, tuple[str, str, object]] = {
        kind: (method, pattern.format(key=identity, path=path), body)
        for kind, (identity, path) in places.items()
    }
    for caller, kinds in ((member, ("missing", "foreign", "invisible")), (admin, ("missing", "foreign"))):
        for _ in range(
            2
        ):  # the first use of a day is noted; after that what is known of callers is remembered
            await note_refusal(platform, caller, calls["missing"])
        found = {kind: await note_refusal(platform, caller, calls[kind]) for kind in kinds}
        assert any(statement.startswith("SELECT") for statement in found["missing"][1])
        for kind in kinds:
            assert found[kind] == found["missing"], kind


async def test_an_unknown_credential_costs_the_same_queries_as_a_wrong_secret(platform: PlatformApi) -> None:
    admin = platform.admin
    token = platform.add_member("member").token
    account = await admin.create("/v1/service-accounts", {"name": "robot"})
    pair = await admin.create(f"/v1/service-accounts/{account['identity']}/access-credentials", {"name": "c"})
    access_key = text_of(pair, "accessKey")
    begin, kind, token_id, secret, _ = token.split("_")
    wrong = append_crc("_".join((begin, kind, token_id, "0" * len(secret))))
    unknown = append_crc("_".join((begin, kind, "0" * len(token_id), secret)))
    for callers in (
        (admin.as_token(wrong), admin.as_token(unknown)),
        (admin.as_pair(access_key, "x" * 40), admin.as_pair("0" * len(access_key), "x" * 40)),
    ):
        found: list[list[str]] = []
        for caller in callers:
            await caller.refused(401, "GET", KEYS)
            with noting_statements(platform) as noted:
                await caller.refused(401, "GET", KEYS)
            found.append(noted)
        assert any(statement.startswith("SELECT") for statement in found[0])
        assert found[0] == found[1]
