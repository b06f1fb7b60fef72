"""A client certificate as identity (security checklist): from our own TLS, never from a header."""

import ipaddress
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import trustme
from sqlalchemy import select

from api_server import serve
from deployment import Deployment
from kms_api import ROOT
from platform_api import Api, Json, PlatformApi, text_of
from signerd.api.application import ApiOptions, make_application
from signerd.api.client_address import ClientAddresses
from signerd.api.platform_parts import PlatformParts
from signerd.api.server import ServerOptions
from signerd.api.tls import ReloadableTls, TlsFiles
from signerd.platform.client_certificate import CertifiedIdentity, ClientCertificate, find_identity
from signerd.platform.tables import audit_entries
from signerd_kms.identity import new_identity

NAME = "dns:billing.example"


class Authorities:
    """The server's certificate and the authority of clients."""

    def __init__(self, directory: Path) -> None:
        self.server, self.clients = trustme.CA(), trustme.CA()
        made = self.server.issue_cert("127.0.0.1")
        self.files = TlsFiles(directory / "server.pem", directory / "server.key", directory / "clients.pem")
        self.files.certificate.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        self.files.key.write_bytes(made.private_key_pem.bytes())
        (directory / "clients.pem").write_bytes(self.clients.cert_pem.bytes())

    def make_context(self, name: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.server.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
        self.clients.issue_cert(name).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
        return context


@pytest.fixture
def authorities(tmp_path: Path) -> Authorities:
    return Authorities(tmp_path)


@asynccontextmanager
async def serve_certified(
    deployment: Deployment,
    authorities: Authorities,
    certified: Sequence[CertifiedIdentity],
    *,
    client: str = "billing.example",
    proxies: Sequence[str] = (),
) -> AsyncGenerator[Api]:
    """Serve with identities of certificates; give a caller with a certificate and no credential."""
    access = PlatformParts(deployment.store, deployment.kms, deployment.pepper, certified)
    options = ApiOptions(addresses=ClientAddresses([ipaddress.ip_network(text) for text in proxies]))
    application = make_application(replace(deployment.admin_parts, access=access), options=options)
    async with (
        serve(application, ServerOptions(tls=ReloadableTls(authorities.files))) as address,
        httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{address.port}",
            verify=authorities.make_context(client),
            trust_env=False,
            timeout=60,
        ) as http,
    ):
        yield Api(http, None)


async def make_account(platform: PlatformApi) -> Json:
    """Make a service account that may list keys."""
    account = await platform.admin.create("/v1/service-accounts", {"name": "billing"})
    await platform.grant("list", ["list"], ["kms_key"], serviceAccountIdentity=text_of(account, "identity"))
    return account


async def test_a_certificate_speaks_for_a_service_account_with_its_rights_and_no_more(
    platform: PlatformApi, authorities: Authorities
) -> None:
    account = await make_account(platform)
    certified = [CertifiedIdentity(NAME, service_account="billing", organisation="local-test")]
    async with serve_certified(platform.deployment, authorities, certified) as caller:
        assert await caller.list(ROOT) == []
        await caller.refused(403, "POST", ROOT, {"name": "a key"})
        token = caller.as_token(platform.deployment.token)  # a credential of the request counts
        made = await token.create(ROOT, {"name": "a key"})
        await caller.as_token("sgd_pat_none").refused(401, "GET", ROOT)
    with platform.deployment.engine.connect() as connection:
        found = connection.execute(
            select(audit_entries.c.record).where(
                audit_entries.c.actor == f"serviceAccount:{account['identity']}"
            )
        )
        records = [bytes(record) for record in found.scalars()]
    assert len(records) == 2  # the list, and what was refused
    assert all(b'"x509-' in record for record in records)
    assert made["name"] == "a key"


async def test_a_certificate_speaks_for_a_user_by_its_fingerprint(
    platform: PlatformApi, authorities: Authorities
) -> None:
    member = platform.add_member("ada")
    made = authorities.clients.issue_cert("whatever.example")
    der = ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())
    fingerprint = ClientCertificate.read(der).fingerprint
    certified = [CertifiedIdentity(fingerprint=fingerprint, user=member.subject)]
    async with serve_certified(platform.deployment, authorities, certified) as caller:
        await caller.refused(
            401, "GET", "/v1/me/organisation-memberships"
        )  # of the same authority, but another
    access = PlatformParts(
        platform.deployment.store, platform.deployment.kms, platform.deployment.pepper, certified
    )
    context = ssl.create_default_context()
    authorities.server.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
    made.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    application = make_application(replace(platform.deployment.admin_parts, access=access))
    async with (
        serve(application, ServerOptions(tls=ReloadableTls(authorities.files))) as address,
        httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{address.port}", verify=context, trust_env=False, timeout=60
        ) as http,
    ):
        memberships = await Api(http, None, None).list("/v1/me/organisation-memberships")
    assert len(memberships) == 1


async def test_certificates_that_nobody_mapped_are_nobody(
    platform: PlatformApi, authorities: Authorities
) -> None:
    await make_account(platform)
    certified = [CertifiedIdentity(NAME, service_account="billing", organisation="local-test")]
    async with serve_certified(platform.deployment, authorities, certified, client="other.example") as caller:
        await caller.refused(401, "GET", ROOT)
        for header in ("X-Client-Cert", "X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert"):
            response = await caller.client.get(
                ROOT, headers={header: NAME, "X-Organisation-Identity": "local-test"}
            )
            assert response.status_code == 401


async def test_an_account_that_is_gone_and_one_of_nobody_are_refused(
    platform: PlatformApi, authorities: Authorities
) -> None:
    account = await make_account(platform)
    certified = [
        CertifiedIdentity(NAME, service_account="billing", organisation="local-test"),
        CertifiedIdentity("dns:user.example", user=new_identity("u")),
    ]
    async with serve_certified(platform.deployment, authorities, certified) as caller:
        assert await caller.list(ROOT) == []
        await caller.within("foreign").refused(403, "GET", ROOT)
        await platform.admin.delete(f"/v1/service-accounts/{account['identity']}")
        await caller.refused(401, "GET", ROOT)  # on the same connection
    async with serve_certified(platform.deployment, authorities, certified, client="user.example") as caller:
        await caller.refused(401, "GET", ROOT)


async def test_the_certificate_of_a_proxy_stands_for_none_of_its_clients(
    platform: PlatformApi, authorities: Authorities
) -> None:
    await make_account(platform)
    certified = [CertifiedIdentity(NAME, service_account="billing", organisation="local-test")]
    async with serve_certified(
        platform.deployment, authorities, certified, proxies=["127.0.0.1/32"]
    ) as caller:
        await caller.refused(401, "GET", ROOT)
        assert await caller.as_token(platform.deployment.token).list(ROOT) == []


async def test_while_sealed_a_certificate_is_neither_good_nor_bad(
    platform: PlatformApi, authorities: Authorities
) -> None:
    async with serve_certified(platform.deployment, authorities, []) as caller:
        platform.deployment.kms.seal()
        await caller.refused(503, "GET", ROOT)


def test_a_certificate_that_expired_while_its_connection_lived_is_nobody() -> None:
    identities = [CertifiedIdentity(NAME, user="u-one")]
    certificate = ClientCertificate("0" * 64, frozenset({NAME}), 1000)
    assert find_identity(identities, certificate, 1000) == identities[0]
    assert find_identity(identities, certificate, 1001) is None
