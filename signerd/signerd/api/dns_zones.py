"""`/v1/dns/zones`: making, listing, describing and deleting zones."""

from types import GenericAlias
from typing import Final

from signerd.api.call import Call
from signerd.api.dns_backend import FoundZone, OpenDns, find_for, find_scope, list_visible
from signerd.api.dns_views import ZoneBody, render_zone
from signerd.api.filters import select_matching
from signerd.api.reply import Reply
from signerd.api.route import Endpoint
from signerd.api.wire import WireModel
from signerd.dns_zones.zone_rows import create_zone, delete_zone, describe_zone
from signerd.platform.described import Description
from signerd.platform.errors import Forbidden
from signerd.platform.gate import Gate
from signerd.platform.rights import DNS_ZONE

ROOT: Final = "/v1/dns/zones"
ONE: Final = f"{ROOT}/{{zone}}"
GATES: Final = (Gate.DNS,)


class ZoneChangeRequest(WireModel):
    """What people say of a zone; it replaces all that was said before."""

    description: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None

    def describe(self, name: str) -> Description:
        """Give the description; what is absent is empty."""
        return Description(name, self.description or "", self.labels or {}, self.annotations or {})


class NewZoneRequest(ZoneChangeRequest):
    """A zone to make."""

    zone_name: str


class _ZoneCalls:
    def __init__(self, open_dns: OpenDns) -> None:
        self._open = open_dns

    def list(self, call: Call) -> Reply:
        """List the zones that the caller may read."""
        if not call.rights.allows_some(DNS_ZONE, "list"):
            raise Forbidden(DNS_ZONE, "list")
        backend = self._open()
        visible = [
            found
            for found in list_visible(backend, call)
            if call.rights.allows(DNS_ZONE, "list", found.zone.identity)
        ]
        return Reply(
            body=[
                render_zone(backend, found)
                for found in select_matching(call.query, visible, lambda found: found.zone.record)
            ]
        )

    def create(self, call: Call) -> Reply:
        call.rights.require(DNS_ZONE, "create")
        request = call.read(NewZoneRequest)
        backend = self._open()
        scope = find_scope(call)
        zone = backend.change(
            call,
            lambda change: create_zone(
                change,
                scope,
                request.zone_name,
                request.describe(request.zone_name),
                is_served=backend.is_served_elsewhere,
            ),
        )
        backend.publisher.publish(zone.apex, zone.identity, zone.data_version)
        return Reply(201, render_zone(backend, FoundZone(zone)))

    def get(self, call: Call) -> Reply:
        backend = self._open()
        return Reply(body=render_zone(backend, find_for(backend, call, "read")))

    def update(self, call: Call) -> Reply:
        backend = self._open()
        found = find_for(backend, call, "update")
        request = call.read(ZoneChangeRequest)
        found.require_writable()
        zone = backend.change(
            call, lambda change: describe_zone(change, found.zone, request.describe(found.zone.text))
        )
        return Reply(body=render_zone(backend, FoundZone(zone)))

    def delete(self, call: Call) -> Reply:
        backend = self._open()
        found = find_for(backend, call, "delete")
        call.read_empty()
        found.require_writable()
        backend.change(call, lambda change: delete_zone(change, found.zone))
        backend.publisher.withdraw(found.apex)
        return Reply(204)


def list_zone_endpoints(open_dns: OpenDns) -> list[Endpoint]:
    """Give the calls."""
    calls = _ZoneCalls(open_dns)
    return [
        Endpoint(
            "GET",
            ROOT,
            calls.list,
            action="dns:ListZones",
            summary="The zones of the scope",
            gates=GATES,
            resource_type=DNS_ZONE,
            response=GenericAlias(list, (ZoneBody,)),
            statuses=(200, 403),
        ),
        Endpoint(
            "POST",
            ROOT,
            calls.create,
            action="dns:CreateZone",
            summary="Make a zone",
            gates=GATES,
            resource_type=DNS_ZONE,
            request=NewZoneRequest,
            response=ZoneBody,
            statuses=(201, 400, 403, 409),
        ),
        Endpoint(
            "GET",
            ONE,
            calls.get,
            action="dns:ReadZone",
            summary="One zone, by identity or name",
            gates=GATES,
            resource_type=DNS_ZONE,
            response=ZoneBody,
            statuses=(200, 403, 404),
        ),
        Endpoint(
            "PUT",
            ONE,
            calls.update,
            action="dns:UpdateZone",
            summary="Replace what is said of a zone",
            gates=GATES,
            resource_type=DNS_ZONE,
            request=ZoneChangeRequest,
            response=ZoneBody,
            statuses=(200, 400, 403, 404, 409),
        ),
        Endpoint(
            "DELETE",
            ONE,
            calls.delete,
            action="dns:DeleteZone",
            summary="Delete a zone with all its records",
            gates=GATES,
            resource_type=DNS_ZONE,
            statuses=(204, 403, 404, 409),
        ),
    ]
