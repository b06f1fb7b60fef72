"""Every error a caller of the secrets manager may handle. Messages never carry values."""

from typing import ClassVar


class SecretsError(Exception):
    """Base of every error a caller of the secrets manager may handle."""

    code: ClassVar[str] = "secrets.error"  # stable: logged, counted, sent to clients; never reused


class InvalidPath(SecretsError):
    """The path of a secret or directory breaks a rule of form."""

    code = "secrets.invalid_path"


class InvalidValue(SecretsError):
    """The value input is none, several, or breaks a rule of form or size."""

    code = "secrets.invalid_value"


class InvalidPolicy(SecretsError):
    """The access policy has a form that cannot be enforced."""

    code = "secrets.invalid_policy"


class InvalidMetadata(SecretsError):
    """The description is too long."""

    code = "secrets.invalid_metadata"


class AccessDenied(SecretsError):
    """The access policy of the secret forbids it."""

    code = "secrets.access_denied"


class SecretUnknown(SecretsError):
    """No secret at that path in the scope."""

    code = "secrets.secret_unknown"


class SecretExists(SecretsError):
    """A secret at that path exists in the scope."""

    code = "secrets.secret_exists"


class VersionUnknown(SecretsError):
    """The secret has no such version, or its value was destroyed."""

    code = "secrets.version_unknown"


class ValueDamaged(SecretsError):
    """A stored value does not open: its row was changed or moved."""

    code = "secrets.value_damaged"
