"""Extended DNS errors (RFC 8914): the reasons this server gives beside a response code."""

from enum import IntEnum


class ExtendedError(IntEnum):
    """The INFO-CODE of an extended error; the registry is "Extended DNS Error Codes"."""

    NOT_READY = 14  # RFC 8914, section 4.15: the zone is configured but there is no data yet
    NOT_AUTHORITATIVE = 20  # RFC 8914, section 4.21
    NOT_SUPPORTED = 21  # RFC 8914, section 4.22
    INVALID_QUERY_TYPE = 30  # RFC 9824, section 3.5: NXNAME must not be asked for
