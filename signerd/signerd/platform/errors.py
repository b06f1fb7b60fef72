"""Every error of the platform that a caller may handle. Messages never hold tokens or secrets."""

from typing import ClassVar


class PlatformError(Exception):
    """Base of every error of the platform."""

    code: ClassVar[str] = "platform.error"  # stable: logged, counted, sent to clients; never reused


class Forbidden(PlatformError):
    """The principal has no right to do this."""

    code = "platform.forbidden"

    def __init__(self, resource_type: str, verb: str) -> None:
        super().__init__(f"you may not {verb} on {resource_type}")


class GrantTooWide(PlatformError):
    """Somebody would grant more than what they may do themselves."""

    code = "platform.grant_too_wide"

    def __init__(self) -> None:
        super().__init__("you may not grant more than what you may do yourself")


class CredentialRefused(PlatformError):
    """The credential is missing, malformed, unknown, wrong, expired or revoked; which is not said."""

    code = "platform.credential_refused"

    def __init__(self) -> None:
        super().__init__("the credential is not valid")


class OrganisationRefused(PlatformError):
    """There is no such organisation, or the caller is no member; the two look the same from outside."""

    code = "platform.organisation_refused"

    def __init__(self) -> None:
        super().__init__("unknown organisation, or you are not a member of it")


class ProjectUnknown(PlatformError):
    """There is no such project in the organisation, or the caller may not see it."""

    code = "platform.project_unknown"

    def __init__(self) -> None:
        super().__init__("project not found")


class ProjectMismatch(PlatformError):
    """The credential is for one project and the request names another."""

    code = "platform.project_mismatch"

    def __init__(self) -> None:
        super().__init__("the credential is for another project than the request")


class ObjectUnknown(PlatformError):
    """There is no such object in the organisation, or it is none of the caller's."""

    code = "platform.object_unknown"

    def __init__(self, noun: str) -> None:
        super().__init__(f"{noun} not found")


class RegionUnknown(PlatformError):
    """There is no such region."""

    code = "platform.region_unknown"

    def __init__(self) -> None:
        super().__init__("region not found")


class TokenRequestRefused(PlatformError):
    """The token endpoint issues no token.

    Attributes:
        error: Code of RFC 6749, section 5.2, such as `invalid_client`.
    """

    code = "platform.token_request_refused"

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


class InvalidValue(PlatformError):
    """A field of the request breaks a rule; the message names the field."""

    code = "platform.invalid_value"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class NameTaken(PlatformError):
    """Another object in the scope has a name that gives the same slug."""

    code = "platform.name_taken"

    def __init__(self, noun: str, slug: str) -> None:
        super().__init__(f"there is already a {noun} with the slug {slug}")


class AlreadyThere(PlatformError):
    """What is to be added is there: a member of a team, say."""

    code = "platform.already_there"


class StillInUse(PlatformError):
    """What is to be deleted still holds or serves something."""

    code = "platform.still_in_use"


class ReadOnlyObject(PlatformError):
    """A built-in role or policy cannot be changed."""

    code = "platform.read_only"


class WouldLockOut(PlatformError):
    """The change would leave the organisation without an administrator."""

    code = "platform.would_lock_out"

    def __init__(self) -> None:
        super().__init__("the organisation would be left without an administrator")


class AuditRefused(PlatformError):
    """The audit log is not what it should be, so that nothing may be appended to it."""

    code = "platform.audit_refused"
