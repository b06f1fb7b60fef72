"""What CDS and CDNSKEY of a zone say to its parent (RFC 7344, RFC 8078)."""

from enum import StrEnum


class Announcement(StrEnum):
    """Which DS records the parent is asked for."""

    CURRENT = "current"  # those of the key chosen last
    AS_BEFORE = "as-before"  # what is said already; some cache could not follow a DS of the key chosen last
    REMOVAL = "removal"  # none at all any more: the delete form (RFC 8078, section 4)
