"""Every error of zones and records that a caller may handle."""

from typing import ClassVar


class DnsError(Exception):
    """Base of them."""

    code: ClassVar[str] = "dns.error"  # stable: logged, counted, sent to clients; never reused


class InvalidDnsValue(DnsError):
    """A field breaks a rule; the message names the field."""

    code = "dns.invalid_value"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class ImportRefused(DnsError):
    """The text of an import cannot be taken; the message names the line."""

    code = "dns.import_refused"


class DnsZoneUnknown(DnsError):
    """There is no such zone in the scope."""

    code = "dns.zone_unknown"

    def __init__(self) -> None:
        super().__init__("zone not found")


class RecordUnknown(DnsError):
    """The zone has no such record."""

    code = "dns.record_unknown"

    def __init__(self) -> None:
        super().__init__("record not found")


class ZoneNameTaken(DnsError):
    """A zone of this name is served here; it may belong to somebody else."""

    code = "dns.zone_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is already a zone {name}")


class RecordTaken(DnsError):
    """The zone has a record of this name and type."""

    code = "dns.record_taken"

    def __init__(self, name: str, type_text: str) -> None:
        super().__init__(f"there is already a record {name} {type_text}; change that one")


class CnameConflict(DnsError):
    """A CNAME and other data would stand at one name (RFC 1034, section 3.6.2)."""

    code = "dns.cname_conflict"

    def __init__(self, name: str, others: str) -> None:
        super().__init__(f"{name}: a CNAME cannot stand beside other records ({others})")


class ZoneReadOnly(DnsError):
    """The zone is not changed over the API."""

    code = "dns.zone_read_only"


class MassDeletion(DnsError):
    """The change would take away an unusually large part of a zone."""

    code = "dns.mass_deletion"


class ZoneTooLarge(DnsError):
    """The zone would have more records than one may have."""

    code = "dns.zone_too_large"
