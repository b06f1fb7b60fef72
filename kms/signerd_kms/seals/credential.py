"""A seal whose key systemd hands over: `LoadCredential=` or, bound to a TPM, `LoadCredentialEncrypted=`."""

from collections.abc import Mapping
from pathlib import Path

from signerd_kms.errors import RootKeyMissing
from signerd_kms.seals.private_file import FileRule, read_private_file
from signerd_kms.seals.software_key import MAX_SEAL_KEY_TEXT, read_seal_key, unwrap_under, wrap_under
from signerd_kms.wrapping import LiveKey, WrappedKey

DIRECTORY_VARIABLE = "CREDENTIALS_DIRECTORY"

# systemd leaves the files with root and lets the service's user read them by an ACL, whose mask shows as the
# permissions of the group
_RULE = FileRule("credential", owners=frozenset({0}), refused_mode=0o007, wanted_mode="closed to others")


class CredentialSeal:
    """A seal whose key is a credential of the service: 32 octets, raw or in base64."""

    kind = "credential"

    def __init__(self, name: str, environment: Mapping[str, str], *, seal_id: str = "credential") -> None:
        """Take note; nothing is read yet.

        Args:
            name: Of the credential.
            environment: Says where the credentials are.
            seal_id: The seal's name.
        """
        self._name = name
        self._directory = environment.get(DIRECTORY_VARIABLE)
        self._seal_id = seal_id

    @property
    def seal_id(self) -> str:
        """A stable name, stored beside what the seal wrapped and bound to it."""
        return self._seal_id

    def prepare(self) -> None:
        """Make sure that the credential is there; only the operator can make one."""
        self._read().close()

    def wrap(self, secret: bytes, associated_data: bytes) -> WrappedKey:
        """Wrap the root key."""
        with self._read() as key:
            return wrap_under(key, secret, associated_data)

    def unwrap(self, wrapped: WrappedKey, associated_data: bytes) -> LiveKey:
        """Unwrap the root key."""
        return unwrap_under([self._read], wrapped, associated_data)

    def forget(self) -> None:
        """Do nothing: the credential is read anew each time."""

    def _read(self) -> LiveKey:
        if self._directory is None:
            raise RootKeyMissing(
                f"credential {self._name!r}: ${DIRECTORY_VARIABLE} is not set; start the server by a systemd "
                f"unit with LoadCredentialEncrypted={self._name} or LoadCredential={self._name}:..."
            )
        path = Path(self._directory) / self._name
        return read_seal_key(read_private_file(path, _RULE, MAX_SEAL_KEY_TEXT), f"{path}: the credential")
