"""What can go wrong with a request, and the one table that says which HTTP status it becomes."""

from collections.abc import Mapping
from typing import ClassVar, Final

from signerd.dns_zones import errors as dns
from signerd.platform import errors as platform
from signerd.zone_dnssec import errors as dnssec
from signerd_kms import errors as kms
from signerd_secrets import errors as secrets


class ApiError(Exception):
    """Base of every error that the API itself finds in a request. Its text goes to the client."""

    code: ClassVar[str] = "api.error"
    headers: Mapping[str, str] = {}


class NotAuthenticated(ApiError):
    """No credential, or one that is malformed, unknown, expired or revoked."""

    code = "api.not_authenticated"


class OrganisationMissing(ApiError):
    """The request names no organisation."""

    code = "api.organisation_missing"


class TokenScopeMissing(ApiError):
    """The scopes of the credential do not allow the method."""

    code = "api.token_scope_missing"


class FeatureNotEnabled(ApiError):
    """A feature that the call needs is off for the organisation."""

    code = "api.feature_not_enabled"


class MalformedRequest(ApiError):
    """A header or the path cannot be understood."""

    code = "api.malformed_request"


class TooManyRequests(ApiError):
    """A caller asks faster than is allowed."""

    code = "api.too_many_requests"

    def __init__(self, wait_seconds: int) -> None:
        super().__init__("too many requests; try again later")
        self.headers = {"Retry-After": str(wait_seconds)}


class InvalidBody(ApiError):
    """The body is no JSON object, or a member of it is not what it must be. The text holds no values."""

    code = "api.invalid_body"


class MediaTypeUnsupported(ApiError):
    """The body is not said to be JSON."""

    code = "api.media_type_unsupported"


class BodyTooLarge(ApiError):
    """The request's body is longer than is read."""

    code = "api.body_too_large"


class BodyTooSlow(ApiError):
    """The request's body did not arrive in time."""

    code = "api.body_too_slow"


class PartNotAvailable(ApiError):
    """A part of the server that the call needs cannot be asked now."""

    code = "api.part_not_available"


STATUS_OF_ERROR: Final[Mapping[type[Exception], int]] = {
    ApiError: 500,
    NotAuthenticated: 401,
    OrganisationMissing: 400,
    TokenScopeMissing: 403,
    FeatureNotEnabled: 403,
    MalformedRequest: 400,
    InvalidBody: 400,
    MediaTypeUnsupported: 415,
    TooManyRequests: 429,
    BodyTooLarge: 413,
    BodyTooSlow: 408,
    PartNotAvailable: 503,
    platform.PlatformError: 500,
    platform.Forbidden: 403,
    platform.GrantTooWide: 403,
    platform.CredentialRefused: 401,
    platform.OrganisationRefused: 403,
    platform.ProjectUnknown: 404,
    platform.ProjectMismatch: 403,
    platform.ObjectUnknown: 404,
    platform.RegionUnknown: 404,
    platform.TokenRequestRefused: 400,
    platform.InvalidValue: 400,
    platform.NameTaken: 409,
    platform.AlreadyThere: 409,
    platform.StillInUse: 400,
    platform.ReadOnlyObject: 403,
    platform.WouldLockOut: 409,
    platform.AuditRefused: 503,
    dns.DnsError: 500,
    dns.InvalidDnsValue: 400,
    dns.ImportRefused: 400,
    dns.DnsZoneUnknown: 404,
    dns.RecordUnknown: 404,
    dns.ZoneNameTaken: 409,
    dns.RecordTaken: 409,
    dns.CnameConflict: 409,
    dns.ZoneReadOnly: 409,
    dns.MassDeletion: 409,
    dns.ZoneTooLarge: 400,
    kms.KmsError: 500,
    kms.InvalidRequest: 400,
    kms.OperationUnsupported: 400,
    kms.SchemeUnsupported: 400,
    kms.KeyUnknown: 404,
    kms.KeyVersionUnknown: 404,
    kms.KeyVersionNotUsable: 400,
    kms.KeyVersionExhausted: 409,
    kms.DecryptFailed: 400,
    kms.ImportFailed: 400,
    kms.KeyMaterialKnown: 409,
    kms.ExportNotAllowed: 400,
    kms.ExportNotApproved: 403,
    kms.ShredChanged: 409,
    kms.RotationNotAllowed: 400,
    kms.KeyChanged: 412,
    kms.RepeatedDifferently: 409,
    kms.StatementRefused: 400,
    kms.KeyNameTaken: 409,
    kms.KeyNotUsable: 400,
    kms.UnwrapFailed: 500,
    kms.Sealed: 503,
    kms.NotInitialised: 503,
    kms.AlreadyInitialised: 409,
    kms.SealUnknown: 503,
    kms.RootKeyMissing: 503,
    kms.RootKeyRefused: 503,
    kms.RootKeyWrong: 503,
    kms.SealNotReady: 503,
    kms.SealFailed: 503,
    kms.NoSealOpens: 503,
    kms.SelfTestFailed: 503,
    kms.LastSeal: 409,
    kms.AuditNotWritten: 500,
    kms.StoreUnavailable: 503,
    dnssec.DnssecError: 500,
    dnssec.DnssecKeyRefused: 400,
    dnssec.ParentServerRefused: 400,
    dnssec.DnssecOff: 409,
    secrets.SecretsError: 500,
    secrets.InvalidPath: 400,
    secrets.InvalidValue: 400,
    secrets.InvalidPolicy: 400,
    secrets.InvalidMetadata: 400,
    secrets.AccessDenied: 403,
    secrets.SecretUnknown: 404,
    secrets.SecretExists: 409,
    secrets.VersionUnknown: 404,
    secrets.ValueDamaged: 500,
}
"""Every error class that may reach a client, each on its own: no class inherits a status."""

COMPONENT_ERRORS: Final = (
    ApiError,
    dns.DnsError,
    platform.PlatformError,
    kms.KmsError,
    dnssec.DnssecError,
    secrets.SecretsError,
)
"""Root errors; all classes below them stand in the table."""
