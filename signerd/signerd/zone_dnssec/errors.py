"""Errors of DNSSEC management that a caller may handle."""

from typing import ClassVar


class DnssecError(Exception):
    """Base of them."""

    code: ClassVar[str] = "dns.dnssec_error"  # stable: logged, counted, sent to clients; never reused


class DnssecKeyRefused(DnssecError):
    """A key of the KMS cannot be the KSK of the zone; the message says why."""

    code = "dns.dnssec_key_refused"


class ParentServerRefused(DnssecError):
    """What is said of a parent's name server cannot be taken; the message says why."""

    code = "dns.parent_server_refused"


class DnssecOff(DnssecError):
    """The zone is not signed, and what is asked for needs that."""

    code = "dns.dnssec_off"
