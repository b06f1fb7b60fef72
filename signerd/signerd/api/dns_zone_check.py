"""`/v1/dns/zones/{zone}/check`: likely mistakes in a zone, and whether it is in service (extension)."""

from signerd.api.call import Call
from signerd.api.dns_backend import DnsBackend, FoundZone, OpenDns, find_for
from signerd.api.dns_views import ZoneBody, list_warnings, render_zone
from signerd.api.dns_zones import GATES, ONE
from signerd.api.reply import Reply
from signerd.api.route import Endpoint
from signerd.api.wire import WireModel
from signerd.dns.zone import Zone
from signerd.dns_zones.zone_source import load_api_zone
from signerd.platform.rights import DNS_ZONE
from signerd.zones.checks import check_zone
from signerd.zones.notice import Severity


class NoticeBody(WireModel):
    """A remark about a zone."""

    severity: str
    text: str


class CheckBody(WireModel):
    """What was found."""

    zone: ZoneBody
    notices: list[NoticeBody]


class _CheckCalls:
    def __init__(self, open_dns: OpenDns) -> None:
        self._open = open_dns

    def check(self, call: Call) -> Reply:
        """Look at all records of a zone as they are stored, in service or not."""
        backend = self._open()
        found = find_for(backend, call, "read")
        zone = _load(backend, found)
        notices = [NoticeBody(severity=Severity.WARNING, text=text) for text in list_warnings(backend, found)]
        if zone is None:
            notices.append(NoticeBody(severity=Severity.ERROR, text="the zone file was never read"))
        else:
            notices += [
                NoticeBody(severity=notice.severity, text=notice.reason) for notice in check_zone(zone)
            ]
        return Reply(
            body={"zone": render_zone(backend, found), "notices": [notice.render() for notice in notices]}
        )


def _load(backend: DnsBackend, found: FoundZone) -> Zone | None:
    if found.file is not None:
        return found.file.zone
    with backend.store.read() as connection:
        return load_api_zone(connection, found.zone, backend.apex)


def list_check_endpoints(open_dns: OpenDns) -> list[Endpoint]:
    """Give the call."""
    return [
        Endpoint(
            "GET",
            f"{ONE}/check",
            _CheckCalls(open_dns).check,
            action="dns:CheckZone",
            summary="What is likely a mistake in a zone",
            gates=GATES,
            resource_type=DNS_ZONE,
            response=CheckBody,
            statuses=(200, 403, 404),
            is_expensive=True,
        )
    ]
