"""DNSSEC of zones over the API of a deployment, whose zones are a table in memory."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx

from api_server import serve
from deployment import Deployment
from platform_api import Api, PlatformApi
from signerd.api.application import make_application
from signerd.api.call import Call
from signerd.api.dnssec_endpoints import DnssecBackend
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns.name import Name
from signerd.platform.rights import DNS_ZONE
from signerd.zone_dnssec.errors import DnssecZoneUnknown
from signerd.zone_dnssec.management import DnssecManagement, Order
from signerd.zone_dnssec.settings import ZonePlace


@dataclass
class ZoneTable:
    """The zones that there are."""

    zones: list[ZonePlace] = field(default_factory=list[ZonePlace])

    def add(self, text: str, organisation: str, project: str | None = None) -> ZonePlace:
        zone = ZonePlace(f"dnsz-{len(self.zones)}", text, organisation, project)
        self.zones.append(zone)
        return zone

    def find(self, call: Call, verb: str) -> ZonePlace:
        project = None if call.project is None else call.project.identity
        for zone in self.zones:
            if (zone.organisation, zone.project) == (call.organisation.identity, project) and call.path[
                "zone"
            ] in (zone.identity, zone.text):
                call.rights.require(DNS_ZONE, verb, zone.identity)
                return zone
        raise DnssecZoneUnknown


@dataclass
class DnssecApi:
    """A deployment that is served, and what can be done to its zones.

    Attributes:
        changed: Zones that the pipeline was told to sign otherwise.
    """

    platform: PlatformApi
    management: DnssecManagement
    table: ZoneTable
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


@asynccontextmanager
async def serve_dnssec(deployment: Deployment, order: Order = Order.SIGN_FIRST) -> AsyncGenerator[DnssecApi]:
    """Serve a deployment until the block ends."""
    changed: list[Name] = []
    management = DnssecManagement(deployment.store, deployment.kms, order, on_change=changed.append)
    table = ZoneTable()
    parts = replace(deployment.admin_parts, dnssec=lambda: DnssecBackend(management, table.find))
    async with (
        serve(make_application(parts)) as address,
        httpx.AsyncClient(
            base_url=f"http://{address.host}:{address.port}",
            trust_env=False,
            follow_redirects=False,
            timeout=30,
        ) as client,
    ):
        platform = PlatformApi(deployment, Api(client, f"Token {deployment.token}"))
        yield DnssecApi(platform, management, table, changed)
