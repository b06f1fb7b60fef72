"""The summary from a real database and KMS."""

from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
import trio

from deployment import Deployment, make_deployment
from signerd.api.access import TokenPresented
from signerd.api.application import make_application
from signerd.api.server import bind_admin, serve_admin
from signerd.control.listen_address import ListenAddress
from signerd.platform.errors import CredentialRefused, OrganisationRefused
from signerd_kms.attribution import NOBODY
from signerd_kms.errors import Sealed
from signerd_kms.key import KeyType, Scope


@pytest.fixture
def deployment(tmp_path: Path) -> Generator[Deployment]:
    with make_deployment(tmp_path) as made:
        yield made


async def test_the_first_token_gets_the_summary(deployment: Deployment) -> None:
    scope = Scope(deployment.platform.organisation, deployment.platform.region)
    deployment.kms.create_key(scope, "DNSSEC example.com", KeyType("ecdsa-p256"), by=NOBODY)
    key = deployment.kms.create_key(scope, "DNSSEC example.net", KeyType("ecdsa-p256"), by=NOBODY)
    deployment.kms.disable(scope, key.identity, by=NOBODY)
    application = make_application(deployment.admin_parts)
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve_admin, application, bind_admin(ListenAddress("127.0.0.1", 0)))
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{address.port}", trust_env=False, timeout=60
        ) as client:
            headers = {"Authorization": f"Token {deployment.token}", "X-Organisation-Identity": "local-test"}
            response = await client.get("/v1/kms/summary", headers=headers)
            deployment.kms.seal()
            sealed = await client.get("/v1/kms/summary", headers=headers)
        nursery.cancel_scope.cancel()
    assert response.status_code == 200
    assert response.json() == {
        "featureEnabled": True,
        "regions": [
            {
                "identity": deployment.platform.region,
                "name": "Amsterdam",
                "slug": "nl-01",
                "kmsAvailable": True,
                "totalKeys": 2,
                "activeKeys": 1,
                "disabledKeys": 1,
                "pendingDeletionKeys": 0,
            }
        ],
    }
    assert sealed.status_code == 503


def test_only_the_organisation_of_the_token_is_found(deployment: Deployment) -> None:
    known = deployment.parts.authenticate(TokenPresented(deployment.token))
    identity = deployment.platform.organisation
    for name in ("local-test", identity):
        found = deployment.parts.find_organisation(known, name)
        assert (found.identity, found.name, found.slug) == (identity, "Local Test", "local-test")
    for name in ("Local Test", "%"):
        with pytest.raises(OrganisationRefused):
            deployment.parts.find_organisation(known, name)


def test_other_tokens_are_refused(deployment: Deployment) -> None:
    for token in ("", "x", deployment.token[:-1], deployment.token + "x"):
        with pytest.raises(CredentialRefused):
            deployment.parts.authenticate(TokenPresented(token))


def test_a_sealed_kms_knows_no_token(deployment: Deployment) -> None:
    deployment.kms.seal()
    with pytest.raises(Sealed):
        deployment.parts.authenticate(TokenPresented(deployment.token))
