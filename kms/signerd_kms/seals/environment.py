"""A seal whose key comes in an environment variable, for containers."""

import logging
from collections.abc import MutableMapping
from contextlib import nullcontext

from signerd_kms.errors import RootKeyRefused, SealNotReady
from signerd_kms.memory import lock
from signerd_kms.seals.software_key import read_seal_key, unwrap_under, wrap_under
from signerd_kms.wrapping import LiveKey, WrappedKey

logger = logging.getLogger(__name__)


class EnvironmentSeal:
    """A seal whose key is the base64 of 32 octets in a variable, which is read and removed at once.

    The key stays in memory until the KMS is sealed; after that only a restart with the variable brings it
    back.
    """

    kind = "environment"

    def __init__(
        self, variable: str, environment: MutableMapping[str, str], *, seal_id: str = "environment"
    ) -> None:
        """Read and remove the variable.

        Args:
            variable: Its name.
            environment: Of the process; changed here, so that child processes do not inherit the key.
            seal_id: The seal's name.
        """
        self._variable = variable
        self._seal_id = seal_id
        self._key: LiveKey | None = None
        self._is_forgotten = False
        self._refusal: str | None = None
        text = environment.pop(variable, None)
        if text is not None:
            logger.warning(
                "seal %r: its key came in the environment variable %s. Child processes do not see it, but it "
                "stays in /proc/self/environ and the container's definition: prefer a credential or a file",
                seal_id,
                variable,
            )
            try:
                self._key = read_seal_key(LiveKey(text.strip().encode()), f"the variable {variable}")
            except RootKeyRefused as error:
                self._refusal = str(error)
            else:
                lock(self._key.octets)

    @property
    def seal_id(self) -> str:
        """A stable name, stored beside what the seal wrapped and bound to it."""
        return self._seal_id

    def prepare(self) -> None:
        """Make sure that the variable was there."""
        self._give()

    def wrap(self, secret: bytes, associated_data: bytes) -> WrappedKey:
        """Wrap the root key."""
        return wrap_under(self._give(), secret, associated_data)

    def unwrap(self, wrapped: WrappedKey, associated_data: bytes) -> LiveKey:
        """Unwrap the root key."""
        key = self._give()
        return unwrap_under([lambda: nullcontext(key)], wrapped, associated_data)

    def forget(self) -> None:
        """Wipe the key."""
        key, self._key = self._key, None
        if key is not None:
            self._is_forgotten = True
            key.close()

    def _give(self) -> LiveKey:
        if self._key is not None:
            return self._key
        if self._refusal is not None:
            raise RootKeyRefused(self._refusal)
        if self._is_forgotten:
            raise SealNotReady(
                f"the key from the variable {self._variable} was wiped when the KMS was sealed: restart the "
                "server with it, or unseal with another seal"
            )
        raise SealNotReady(f"the environment variable {self._variable} is not set")
