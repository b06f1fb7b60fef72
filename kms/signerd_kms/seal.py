"""What a seal is: it opens the root key. The kinds are in `seals/`."""

from typing import Protocol

from signerd_kms.wrapping import LiveKey, WrappedKey


class Seal(Protocol):
    """Wraps and unwraps the root key, maybe inside a device that gives no key away.

    Every method may raise `SealNotReady` (something must be given first), `SealFailed` (a device does not
    work), `RootKeyMissing` or `RootKeyRefused` (the seal's own key is gone, or is not safe).
    """

    @property
    def seal_id(self) -> str:
        """A stable name, stored beside what the seal wrapped and bound to it."""
        ...

    @property
    def kind(self) -> str:
        """What kind of seal it is, as in the configuration."""
        ...

    def prepare(self) -> None:
        """Make the seal's own key if there is none. Called only before the seal wraps for the first time."""
        ...

    def wrap(self, secret: bytes, associated_data: bytes) -> WrappedKey:
        """Wrap the root key."""
        ...

    def unwrap(self, wrapped: WrappedKey, associated_data: bytes) -> LiveKey:
        """Unwrap the root key, into memory that is locked if the system allows it.

        Raises:
            UnwrapFailed: It was wrapped under another key, or changed.
        """
        ...

    def forget(self) -> None:
        """Drop what the seal keeps in memory, as sealing asks for."""
        ...
