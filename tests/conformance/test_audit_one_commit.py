"""The entries of the service and of the call are one transaction where both succeed, and true where not."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, event, select

from deployment import Deployment
from kms_api import call, encode, make_key, path_of, refuse
from platform_api import Api
from signerd.api import dispatcher
from signerd.api.reply import JsonValue, encode_json
from signerd.platform.request_record import RequestRecord
from signerd.platform.tables import audit_entries

Entries = Sequence[tuple[str, int | None]]
PLAINTEXT = encode(b"plaintext")


def list_entries(deployment: Deployment) -> Entries:
    """Give action and status of all entries of the organisation, in order."""
    query = (
        select(audit_entries.c.action, audit_entries.c.status, audit_entries.c.request_id)
        .where(audit_entries.c.chain == deployment.platform.organisation)
        .order_by(audit_entries.c.sequence)
    )
    with deployment.engine.connect() as connection:
        return [(row.action, row.status) for row in connection.execute(query)]


def count_commits(deployment: Deployment) -> list[Connection]:
    commits: list[Connection] = []
    event.listen(deployment.engine, "commit", commits.append)
    return commits


async def test_a_use_of_a_key_and_its_call_are_stored_by_one_commit(
    admin: Api, deployment: Deployment
) -> None:
    key = await make_key(admin, keyType="aes256-gcm96")
    await call(admin, key, "encrypt", plaintext=PLAINTEXT)  # reserves nonces
    before, commits = len(list_entries(deployment)), count_commits(deployment)
    await call(admin, key, "encrypt", plaintext=PLAINTEXT)
    assert len(commits) == 1
    assert list_entries(deployment)[before:] == [("kms.encrypt", None), ("POST", 200)]


async def test_a_batch_and_its_call_are_stored_by_one_commit(admin: Api, deployment: Deployment) -> None:
    key = await make_key(admin, keyType="aes256-gcm96")
    await call(admin, key, "encrypt", plaintext=PLAINTEXT)
    before, commits = len(list_entries(deployment)), count_commits(deployment)
    items = [{"plaintext": PLAINTEXT}, {"plaintext": "?"}, {"plaintext": PLAINTEXT, "keyVersion": "7"}]
    await call(admin, key, "encrypt", items=items)
    assert len(commits) == 1
    uses = [("kms.encrypt", None)] * 2  # what was malformed was not tried
    assert list_entries(deployment)[before:] == [*uses, ("POST", 200)]


async def test_a_batch_of_which_nothing_can_be_tried_has_its_entry(
    admin: Api, deployment: Deployment
) -> None:
    key = await make_key(admin, keyType="aes256-gcm96")
    before = len(list_entries(deployment))
    await call(admin, key, "encrypt", items=[{"plaintext": "?"}])
    assert list_entries(deployment)[before:] == [("POST", 200)]


async def test_a_refused_use_has_the_status_of_the_refusal(admin: Api, deployment: Deployment) -> None:
    key = await make_key(admin, keyType="aes256-gcm96")
    await admin.send("POST", path_of(key, "disable"))
    before = len(list_entries(deployment))
    await refuse(admin, 400, key, "encrypt", plaintext=PLAINTEXT)
    assert list_entries(deployment)[before:] == [("kms.encrypt", None), ("POST", 400)]


async def test_nothing_is_given_out_if_the_entry_of_the_call_is_not_stored(
    admin: Api, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await make_key(admin, keyType="aes256-gcm96")
    await call(admin, key, "encrypt", plaintext=PLAINTEXT)
    before = len(list_entries(deployment))

    def fail(connection: Connection, record: RequestRecord) -> None:
        raise OSError(f"no room for {record.action} in {connection}")

    monkeypatch.setattr(deployment.requests, "append_request", fail)
    message = await refuse(admin, 500, key, "encrypt", plaintext=PLAINTEXT)
    assert message == "internal error"
    assert list_entries(deployment)[before:] == [("POST", 500)]


async def test_what_fails_after_the_commit_has_an_entry_of_its_own(
    admin: Api, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await make_key(admin, keyType="aes256-gcm96")
    before = len(list_entries(deployment))

    def encode_errors(value: JsonValue) -> bytes:
        if isinstance(value, dict) and "ciphertext" in value:
            raise ValueError("cannot be encoded")
        return encode_json(value)

    monkeypatch.setattr(dispatcher, "encode_json", encode_errors)
    await refuse(admin, 500, key, "encrypt", plaintext=PLAINTEXT)
    assert list_entries(deployment)[before:] == [("kms.encrypt", None), ("POST", 200), ("POST", 500)]
