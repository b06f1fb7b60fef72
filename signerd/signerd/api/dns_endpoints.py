"""`/v1/dns`: all calls about zones."""

from signerd.api.dns_backend import OpenDns
from signerd.api.dns_records import list_record_endpoints
from signerd.api.dns_zone_check import list_check_endpoints
from signerd.api.dns_zone_text import list_text_endpoints
from signerd.api.dns_zones import list_zone_endpoints
from signerd.api.route import Endpoint


def list_dns_endpoints(open_dns: OpenDns) -> list[Endpoint]:
    """Give the calls."""
    return [
        *list_zone_endpoints(open_dns),
        *list_record_endpoints(open_dns),
        *list_text_endpoints(open_dns),
        *list_check_endpoints(open_dns),
    ]
