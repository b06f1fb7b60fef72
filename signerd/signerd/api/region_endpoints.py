"""`/v1/regions`: where keys and secrets can be."""

from types import GenericAlias
from typing import Final

from signerd.api.call import Call
from signerd.api.filters import select_matching
from signerd.api.platform_backend import DescribedBody, DescriptionBody, OpenPlatform, render_described
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import ORGANISATION, Endpoint
from signerd.platform.contents import count_region_contents
from signerd.platform.operator_right import require_operator
from signerd.platform.region import NOUN, Region, create_region, get_region, list_regions, update_region
from signerd.platform.removal import delete_region

ROOT: Final = "/v1/regions"


class RegionZoneBody(DescribedBody):
    """A zone of a region."""

    cloud_region_identity: str


class RegionBody(DescribedBody):
    """A region."""

    zones: list[RegionZoneBody]


class NewRegionRequest(DescriptionBody):
    """A region to make."""

    slug: str
    kms_available: bool = True
    zones: list[str] | None = None


class RegionRequest(DescriptionBody):
    """What is to change of a region."""

    kms_available: bool | None = None


class _RegionCalls:
    def __init__(self, open_platform: OpenPlatform) -> None:
        self._open = open_platform

    def list(self, call: Call) -> Reply:
        with self._open().store.read() as connection:
            regions = list_regions(connection)
        found = select_matching(call.query, regions, lambda region: region.record)
        return Reply(body=[render_region(region) for region in found])

    def get(self, call: Call) -> Reply:
        with self._open().store.read() as connection:
            return Reply(body=render_region(get_region(connection, call.path["region"])))

    def create(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        request = call.read(NewRegionRequest)
        description = request.describe()
        region = self._open().change(
            call,
            lambda change: create_region(
                change,
                request.slug,
                description,
                is_kms_available=request.kms_available,
                zones=request.zones or (),
            ),
        )
        return Reply(201, render_region(region))

    def update(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        with self._open().store.read() as connection:
            current = get_region(connection, call.path["region"])
        request = call.read(RegionRequest)
        is_available = current.is_kms_available if request.kms_available is None else request.kms_available
        region = self._open().change(
            call,
            lambda change: update_region(
                change,
                current.record.identity,
                request.revise(current.record.stated),
                is_kms_available=is_available,
            ),
        )
        return Reply(body=render_region(region))

    def delete(self, call: Call) -> Reply:
        require_operator(call.principal, call.credential)
        backend = self._open()
        identity, home = call.path["region"], backend.home[1]
        backend.change(call, lambda change: delete_region(change, identity, home, count_region_contents))
        return Reply(204)


def render_region(region: Region) -> dict[str, JsonValue]:
    """Give a region with its zones."""
    identity = region.record.identity
    zones: list[JsonValue] = [
        {**render_described(zone), "cloudRegionIdentity": identity} for zone in region.zones
    ]
    return {**render_described(region.record), "zones": zones}


def list_region_endpoints(open_platform: OpenPlatform) -> list[Endpoint]:
    """Give the calls; making and changing regions is for the operator of the deployment."""
    calls = _RegionCalls(open_platform)
    one = f"{ROOT}/{{region}}"
    return [
        Endpoint(
            "GET",
            ROOT,
            calls.list,
            action="region:List",
            summary="The regions of the deployment",
            scope=ORGANISATION,
            response=GenericAlias(list, (RegionBody,)),
            statuses=(200,),
        ),
        Endpoint(
            "GET",
            one,
            calls.get,
            action="region:Read",
            summary="One region",
            scope=ORGANISATION,
            resource_type=NOUN,
            response=RegionBody,
            statuses=(200, 404),
        ),
        Endpoint(
            "POST",
            ROOT,
            calls.create,
            action="region:Create",
            summary="Make a region; for the operator",
            scope=ORGANISATION,
            request=NewRegionRequest,
            response=RegionBody,
            statuses=(201, 400, 403, 409),
        ),
        Endpoint(
            "PUT",
            one,
            calls.update,
            action="region:Update",
            summary="Change a region; for the operator",
            scope=ORGANISATION,
            resource_type=NOUN,
            request=RegionRequest,
            response=RegionBody,
            statuses=(200, 400, 403, 404),
        ),
        Endpoint(
            "DELETE",
            one,
            calls.delete,
            action="region:Delete",
            summary="Delete a region in which there are no keys and secrets; for the operator",
            scope=ORGANISATION,
            resource_type=NOUN,
            statuses=(204, 400, 403, 404),
        ),
    ]
