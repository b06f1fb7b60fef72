"""The checklist of the API: a batch counts as its items; an export is an alarm."""

import logging

import httpx
import pytest

from api_server import serve
from deployment import Deployment
from platform_api import Api, text_of
from signerd.api.application import ApiOptions, make_application
from signerd.api.rate_limit import Rate, Rates

BURST = 20


async def test_checklist_a_batch_counts_as_its_items(deployment: Deployment) -> None:
    rates = Rates(credential=Rate(0.01, BURST))
    application = make_application(deployment.admin_parts, options=ApiOptions(rates))
    async with (
        serve(application) as address,
        httpx.AsyncClient(
            base_url=f"http://{address.host}:{address.port}", trust_env=False, timeout=60
        ) as client,
    ):
        api = Api(client, f"Token {deployment.token}")
        key = await api.create("/v1/kms/nl-01/keys", {"name": "k"})
        path = f"/v1/kms/nl-01/keys/{key['identity']}/encrypt"
        items = [{"plaintext": "eA=="}] * (BURST - 5)
        assert (await api.send("POST", path, {"items": items})).status_code == 200
        refused = await api.send("POST", path, {"items": items})
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1


async def test_checklist_an_export_is_an_alarm(admin: Api, caplog: pytest.LogCaptureFixture) -> None:
    key = await admin.create("/v1/kms/nl-01/keys", {"name": "k", "exportAllowed": True})
    with caplog.at_level(logging.WARNING):
        response = await admin.send("POST", f"/v1/kms/nl-01/keys/{key['identity']}/export", {})
    assert response.status_code == 200
    (alarm,) = [record.getMessage() for record in caplog.records if "exported" in record.getMessage()]
    assert text_of(key, "identity") in alarm
    assert "user:" in alarm
    assert response.json()["keyMaterial"] not in alarm
