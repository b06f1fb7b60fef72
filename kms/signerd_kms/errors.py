"""Every error a caller of the KMS may handle. Messages name things and values, never key material."""

from typing import ClassVar


class KmsError(Exception):
    """Base of every error a caller of the KMS may handle."""

    code: ClassVar[str] = "kms.error"  # stable: logged, counted, sent to clients; never reused


class InvalidRequest(KmsError):
    """An argument breaks a rule of form or size."""

    code = "kms.invalid_request"


class OperationUnsupported(KmsError):
    """Keys of this type cannot do what was asked."""

    code = "kms.operation_unsupported"


class SchemeUnsupported(KmsError):
    """The signature scheme does not fit the type of the key."""

    code = "kms.scheme_unsupported"


class KeyUnknown(KmsError):
    """No key of that identity or name in the scope."""

    code = "kms.key_unknown"


class KeyVersionUnknown(KmsError):
    """The key has no such version, or it was destroyed."""

    code = "kms.key_version_unknown"


class KeyVersionNotUsable(KmsError):
    """An operation names a version that the key does not have."""

    code = "kms.key_version_not_usable"


class KeyVersionExhausted(KmsError):
    """The key version has encrypted as many messages as random nonces allow; rotate the key."""

    code = "kms.key_version_exhausted"


class DecryptFailed(KmsError):
    """A ciphertext does not open. There is one message for every reason: which it was helps attackers."""

    code = "kms.decrypt_failed"

    def __init__(self) -> None:
        super().__init__("the ciphertext cannot be decrypted with this key")


class ImportFailed(KmsError):
    """Key material cannot be imported. There is one message for every reason, as for decryption."""

    code = "kms.import_failed"

    def __init__(self) -> None:
        super().__init__("the key material cannot be imported as a key of this type")


class KeyMaterialKnown(KmsError):
    """The organisation has a key with this material already."""

    code = "kms.key_material_known"


class ExportNotAllowed(KmsError):
    """The key was not made exportable."""

    code = "kms.export_not_allowed"


class ExportNotApproved(KmsError):
    """Exports need the approval of a second person here, and there is none."""

    code = "kms.export_not_approved"


class ShredChanged(KmsError):
    """What a person confirmed to destroy is not what there is now."""

    code = "kms.shred_changed"


class RotationNotAllowed(KmsError):
    """The key was imported without leave to rotate it."""

    code = "kms.rotation_not_allowed"


class KeyChanged(KmsError):
    """The key has another object version than the caller expects."""

    code = "kms.key_changed"


class RepeatedDifferently(KmsError):
    """The same idempotency key came with another request before."""

    code = "kms.repeated_differently"


class StatementRefused(KmsError):
    """A zone's key set is not one that the policy of the key allows to sign."""

    code = "kms.statement_refused"


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


class SelfTestFailed(KmsError):
    """Something does not compute what it must; no key may be used."""

    code = "kms.self_test_failed"


class LastSeal(KmsError):
    """The seal is the last one that works, so it stays."""

    code = "kms.last_seal"


class AuditNotWritten(KmsError):
    """The audit sink failed; the operation was dropped with its result."""

    code = "kms.audit_not_written"


class StoreUnavailable(KmsError):
    """The database could not commit; the operation was dropped with its result."""

    code = "kms.store_unavailable"
