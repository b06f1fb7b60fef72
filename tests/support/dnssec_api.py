"""DNSSEC of zones over the API of a deployment that serves none."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx

from api_server import serve
from deployment import Deployment
from key_world import StandingClock
from platform_api import Api, PlatformApi
from signerd.api.application import make_application
from signerd.api.dnssec_endpoints import DnssecBackend, find_place
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns.name import Name
from signerd.dns_zones.zone_rows import ZoneScope, create_zone
from signerd.platform.described import Description
from signerd.rollover.file_zones import FileZoneKeys, NoQuestions, ParentQuestions
from signerd.signer.zone_key_store import ZoneKeyStore
from signerd.zone_dnssec.management import DnssecManagement, Order
from signerd.zone_dnssec.settings import INCOMING, DnssecSetting, ZoneKsk, ZonePlace, list_ksks
from signerd_kms.attribution import NOBODY
from signerd_kms.key import Key, KeyType, Scope


def bring_key(deployment: Deployment, zone: ZonePlace, name: str) -> ZoneKsk:
    """Bring a zone another KSK as the timetable of its keys does; its DS is not handed out yet."""
    scope = Scope(zone.organisation, deployment.platform.region, zone.project)
    key = deployment.kms.create_key(scope, name, KeyType.ECDSA_P256, by=NOBODY)
    return bring_version(deployment, zone, key)


def bring_version(deployment: Deployment, zone: ZonePlace, key: Key) -> ZoneKsk:
    """Bring a zone the newest version of a key of the KMS as another KSK, as the timetable does."""
    store = ZoneKeyStore(deployment.engine, deployment.kms, key.scope, StandingClock())
    store.store_kms_key(zone.apex, "ksk", key, state=INCOMING)
    with deployment.engine.connect() as connection:
        return next(
            known
            for known in list_ksks(connection, zone.text)
            if (known.kms_key, known.kms_version) == (key.identity, key.latest_version)
        )


@dataclass
class DnssecApi:
    """A deployment that is served, and what can be done to its zones.

    Attributes:
        changed: Zones that the pipeline was told to sign otherwise.
    """

    platform: PlatformApi
    management: DnssecManagement
    changed: list[Name]

    @property
    def deployment(self) -> Deployment:
        return self.platform.deployment

    @property
    def admin(self) -> Api:
        return self.platform.admin

    @property
    def organisation(self) -> str:
        return self.deployment.platform.organisation

    def add(self, text: str, organisation: str, project: str | None = None) -> ZonePlace:
        """Make a zone as the API does."""
        scope = ZoneScope(organisation, project)
        made = self.deployment.store.change(
            NOBODY,
            lambda change: create_zone(change, scope, text, Description(text), is_served=lambda _: False),
        )
        return ZonePlace(made.identity, text, organisation, project)

    def answer(self, zone: ZonePlace, *sets: Sequence[bytes] | None, ttl: int = 300) -> None:
        """Have the servers of the parent say something, each its DS set; None for one that is down."""
        now = self.deployment.clock.now()
        answers = [
            ServerAnswer(f"192.0.2.{number}#53", now, None, error="timed out")
            if ds is None
            else ServerAnswer(f"192.0.2.{number}#53", now, frozenset(ds), ttl if ds else 0)
            for number, ds in enumerate(sets)
        ]
        self.management.take_in(zone, answers)

    def setting_of(self, zone: ZonePlace) -> DnssecSetting:
        """Give what was decided about a zone, as the timetable of its keys gets it."""
        setting = self.management.find_setting(zone.text)
        assert setting is not None
        return setting


@asynccontextmanager
async def serve_dnssec(
    deployment: Deployment, order: Order = Order.SIGN_FIRST, questions: ParentQuestions | None = None
) -> AsyncGenerator[DnssecApi]:
    """Serve a deployment until the block ends."""
    changed: list[Name] = []
    management = DnssecManagement(deployment.store, deployment.kms, order, on_change=changed.append)
    dns = deployment.open_dns()
    file_zones = FileZoneKeys(
        deployment.engine, deployment.store.now, deployment.platform.region, questions or NoQuestions()
    )
    backend = DnssecBackend(
        management, lambda call, verb, of_files: find_place(dns, call, verb, of_files), file_zones
    )
    parts = replace(deployment.admin_parts, dnssec=lambda: backend)
    async with (
        serve(make_application(parts)) as address,
        httpx.AsyncClient(
            base_url=f"http://{address.host}:{address.port}",
            trust_env=False,
            follow_redirects=False,
            timeout=60,
        ) as client,
    ):
        platform = PlatformApi(deployment, Api(client, f"Token {deployment.token}"))
        yield DnssecApi(platform, management, changed)
