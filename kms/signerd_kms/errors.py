"""Every error a caller of the KMS may handle. Messages name things and values, never key material."""

from typing import ClassVar


class KmsError(Exception):
    """Base of every error a caller of the KMS may handle."""

    code: ClassVar[str] = "kms.error"  # stable: logged, counted, sent to clients; never reused


class InvalidRequest(KmsError):
    """An argument breaks a rule of form or size."""

    code = "kms.invalid_request"


class KeyTypeUnsupported(KmsError):
    """The key type is known, but this version cannot make or use keys of it."""

    code = "kms.key_type_unsupported"


class SchemeUnsupported(KmsError):
    """The signature scheme does not fit the type of the key."""

    code = "kms.scheme_unsupported"


class KeyUnknown(KmsError):
    """No key of that identity or name in the scope."""

    code = "kms.key_unknown"


class KeyVersionUnknown(KmsError):
    """The key has no such version, or it was destroyed."""

    code = "kms.key_version_unknown"


class KeyNameTaken(KmsError):
    """Another key in the scope has that name, or one that gives the same slug."""

    code = "kms.key_name_taken"


class KeyNotUsable(KmsError):
    """The status of the key forbids the operation."""

    code = "kms.key_not_usable"


class UnwrapFailed(KmsError):
    """A wrapped key does not open: it or its policy was changed, or the wrapping key is another."""

    code = "kms.unwrap_failed"


class Sealed(KmsError):
    """The operation needs the root key, which is not in memory."""

    code = "kms.sealed"


class NotInitialised(KmsError):
    """The database holds no KMS yet."""

    code = "kms.not_initialised"


class AlreadyInitialised(KmsError):
    """The database holds a KMS already."""

    code = "kms.already_initialised"


class SealUnknown(KmsError):
    """The root key was never wrapped under this seal."""

    code = "kms.seal_unknown"


class RootKeyMissing(KmsError):
    """The database holds wrapped keys, and the seal that opens them is gone."""

    code = "kms.root_key_missing"


class RootKeyRefused(KmsError):
    """The root key file is not what it must be: mode, owner, kind or size."""

    code = "kms.root_key_refused"


class RootKeyWrong(KmsError):
    """The seal does not open the root key of this database."""

    code = "kms.root_key_wrong"


class SealNotReady(KmsError):
    """The seal cannot work before something is given to it, such as a passphrase."""

    code = "kms.seal_not_ready"


class SealFailed(KmsError):
    """The device of the seal does not work now."""

    code = "kms.seal_failed"


class NoSealOpens(KmsError):
    """None of several seals opens the root key."""

    code = "kms.no_seal_opens"


class LastSeal(KmsError):
    """The seal is the last one that works, so it stays."""

    code = "kms.last_seal"


class AuditNotWritten(KmsError):
    """The audit sink failed; the operation was dropped with its result."""

    code = "kms.audit_not_written"


class StoreUnavailable(KmsError):
    """The database could not commit; the operation was dropped with its result."""

    code = "kms.store_unavailable"
