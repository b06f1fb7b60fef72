"""Errors of DNSSEC management that a caller may handle."""

from typing import ClassVar


class DnssecError(Exception):
    """Base of them."""

    code: ClassVar[str] = "dns.dnssec_error"  # stable: logged, counted, sent to clients; never reused


class DnssecKeyRefused(DnssecError):
    """A key of the KMS cannot be the KSK of the zone; the message says why."""

    code = "dns.dnssec_key_refused"


class DnssecZoneUnknown(DnssecError):
    """There is no such zone in the scope."""

    code = "dns.dnssec_zone_unknown"

    def __init__(self) -> None:
        super().__init__("zone not found")
