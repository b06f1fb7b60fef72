"""The second approver of exports (security checklist, abuse)."""

import ipaddress
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

import httpx
import pytest
from sqlalchemy import select

from api_server import serve
from deployment import Deployment
from kms_api import ROOT, make_key, path_of
from platform_api import Api, Json, Member, PlatformApi, items_of, text_of
from signerd.api.application import ApiOptions, make_application
from signerd.api.client_address import ClientAddresses
from signerd.api.kms_backend import KmsBackend
from signerd.platform.membership import Role
from signerd.platform.tables import audit_entries
from signerd_kms.schema import export_approvals


@dataclass(frozen=True)
class People:
    """Who exports, who approves, and the API that asks for both."""

    platform: PlatformApi
    exporter: Api
    exporter_is: Member
    approver: Api
    approver_is: Member
    key: Json
    told: list[tuple[str, str]]

    async def export(self, status: int = 200) -> Json:
        response = await self.exporter.send("POST", path_of(self.key, "export"))
        assert response.status_code == status, response.text
        body: Json = response.json()
        return body

    async def approve(self, **more: object) -> Json:
        body = {"userIdentity": self.exporter_is.subject, **more}
        return await self.approver.create(path_of(self.key, "export-approvals"), body)


@pytest.fixture
async def people(deployment: Deployment) -> AsyncGenerator[People]:
    """Serve with exports that need an approval."""
    told: list[tuple[str, str]] = []
    parts = replace(
        deployment.admin_parts,
        kms=lambda: KmsBackend(
            deployment.kms,
            deployment.store,
            needs_export_approval=True,
            note_event=lambda code, text: told.append((code, text)),
        ),
    )
    options = ApiOptions(addresses=ClientAddresses([ipaddress.ip_network("192.0.2.0/24")]))
    async with (
        serve(make_application(parts, options=options)) as address,
        httpx.AsyncClient(
            base_url=f"http://{address.host}:{address.port}", trust_env=False, timeout=60
        ) as client,
    ):
        platform = PlatformApi(deployment, Api(client, f"Token {deployment.token}"))
        key = await make_key(platform.admin, "leaving", exportAllowed=True)
        exporter = platform.add_member("exporter")
        await platform.grant("export", ["read", "export"], ["kms_key"], userIdentity=exporter.subject)
        approver = platform.add_member("approver")
        await platform.grant("approve", ["read", "approveExport"], ["kms_key"], userIdentity=approver.subject)
        yield People(
            platform,
            platform.admin.as_token(exporter.token),
            exporter,
            platform.admin.as_token(approver.token),
            approver,
            key,
            told,
        )


async def test_a_key_leaves_once_for_each_approval(people: People) -> None:
    refused = await people.export(403)
    assert refused["code"] == "kms.export_not_approved"
    approval = await people.approve()
    assert approval["keyIdentity"] == people.key["identity"]
    assert approval["userIdentity"] == people.exporter_is.subject
    assert approval["expiresAt"] == "2027-01-15T09:00:00Z"
    assert (await people.export())["keyMaterial"]
    await people.export(403)
    await people.approve()
    assert (await people.export())["keyMaterial"]


async def test_both_are_in_the_audit(people: People) -> None:
    await people.export(403)
    await people.approve()
    await people.export()
    entries = items_of(await people.platform.admin.get("/v1/audit?action=kms.export"), "items")
    assert len(entries) == 2
    assert "'approvedBy': 'user:" in str(entries)
    approvals = items_of(await people.platform.admin.get("/v1/audit?action=kms.approve_export"), "items")
    assert people.exporter_is.subject in str(approvals)


async def test_people_are_told_of_approvals_and_exports_and_of_no_refusal(people: People) -> None:
    await people.export(403)
    assert people.told == []
    await people.approve()
    await people.export()
    assert [code for code, _ in people.told] == ["kms.export_approved", "kms.key_exported"]
    assert all(str(people.key["identity"]) in text for _, text in people.told)
    assert people.exporter_is.subject in people.told[1][1]


async def test_an_approval_ends(people: People) -> None:
    await people.approve(expiresInSeconds=60)
    people.platform.deployment.clock.seconds += 60
    await people.export(403)


@pytest.mark.parametrize("who", ["approver", "exporter"])
async def test_an_approval_ends_with_the_user_who_gave_or_has_it(people: People, who: str) -> None:
    await people.approve()
    subjects = {"approver": people.approver_is.subject, "exporter": people.exporter_is.subject}
    await people.platform.admin.delete(f"/v1/users/{subjects[who]}")
    if who == "approver":
        assert (await people.export(403))["code"] == "kms.export_not_approved"
    with people.platform.deployment.engine.connect() as connection:
        assert connection.execute(select(export_approvals)).all() == []
        entries = select(audit_entries).where(audit_entries.c.action == "user.delete")
        (entry,) = connection.execute(entries).all()
    assert b'"exportApprovals":1' in entry.record


async def test_an_approval_of_others_stays_when_a_user_goes(people: People) -> None:
    await people.approve()
    await people.platform.admin.delete(f"/v1/users/{people.platform.add_member('third').subject}")
    assert (await people.export())["keyMaterial"]


async def test_nobody_approves_for_themselves_and_the_right_is_one_of_its_own(people: People) -> None:
    place = path_of(people.key, "export-approvals")
    owner = people.platform.add_member("owner", role=Role.OWNER)
    own = people.platform.admin.as_token(owner.token)
    await own.refused(400, "POST", place, {"userIdentity": owner.subject})
    body = {"userIdentity": people.exporter_is.subject}
    await people.exporter.refused(404, "POST", place, body)  # may export, not approve
    await people.approver.refused(404, "POST", path_of(people.key, "export"))  # the other way round


async def test_an_approval_is_for_a_member_who_is_a_person_and_for_keys_that_may_leave(
    people: People,
) -> None:
    place = path_of(people.key, "export-approvals")
    account = await people.platform.admin.create("/v1/service-accounts", {"name": "robot"})
    for nobody in ("", "u-00000000000000000000", text_of(account, "identity")):
        await people.approver.refused(400, "POST", place, {"userIdentity": nobody})
    for seconds in (59, 86_401, -1):
        body = {"userIdentity": people.exporter_is.subject, "expiresInSeconds": seconds}
        await people.approver.refused(400, "POST", place, body)
    staying = await make_key(people.platform.admin, "staying")
    body = {"userIdentity": people.exporter_is.subject}
    await people.approver.refused(400, "POST", path_of(staying, "export-approvals"), body)


async def test_an_approval_is_for_one_person_and_one_key(people: People) -> None:
    other_key = await make_key(people.platform.admin, "other", exportAllowed=True)
    await people.approve()
    await people.exporter.refused(403, "POST", path_of(other_key, "export"))
    await people.platform.admin.refused(403, "POST", path_of(people.key, "export"))
    assert (await people.export())["keyMaterial"]


async def test_without_the_option_no_approval_is_asked_for(admin: Api) -> None:
    key = await make_key(admin, exportAllowed=True)
    response = await admin.send("POST", path_of(key, "export"))
    assert response.status_code == 200
    assert path_of(key).startswith(ROOT)
