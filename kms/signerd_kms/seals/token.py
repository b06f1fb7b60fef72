"""A seal in a PKCS#11 token, reached through a child process for each operation.

Libraries of tokens crash and hang; here that is an error of one operation. A token that was away works again
at the next one, as nothing of it is kept.
"""

import hashlib
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from signerd_kms.errors import (
    InvalidRequest,
    RootKeyMissing,
    RootKeyRefused,
    SealFailed,
    SealNotReady,
    UnwrapFailed,
)
from signerd_kms.memory import wipe
from signerd_kms.seals.private_file import FileRule, read_private_file
from signerd_kms.seals.token_channel import BadFrame, receive_frame, send_frame
from signerd_kms.wrapping import LiveKey, WrappedKey, compute_key_check, matches_key_check

SUITE_TOKEN_AES_GCM = 4  # then nonce (12 octets), ciphertext, tag (16)
NONCE_OCTETS = 12
TIMEOUT_SECONDS = 30.0  # a smart card takes seconds; longer is a hang
_TAG_OCTETS = 16
_MAX_PIN_OCTETS = 256
_PIN_RULE = FileRule("PIN file")
CHILD: Final = ("-P", "-m", "signerd_kms.seals.token_child")


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """Where the seal's key is.

    Attributes:
        module: The PKCS#11 library of the token's maker.
        token: Label of the token.
        key: Label of an AES key of 256 bits in it.
        pin_file: File of mode 0600 with the PIN of the token's user; None has people asked for it.
        may_make_key: Whether `prepare` makes the key if there is none.
    """

    module: Path
    token: str
    key: str
    pin_file: Path | None
    may_make_key: bool = False


class TokenSeal:
    """A seal whose key never leaves a token. Without a PIN file it works between `give` and `forget` only."""

    kind = "pkcs11"

    def __init__(
        self,
        place: TokenPlace,
        *,
        seal_id: str = "pkcs11",
        timeout: float = TIMEOUT_SECONDS,
        child: tuple[str, ...] = CHILD,
    ) -> None:
        """Take note; nothing is opened yet.

        Args:
            place: Where the key is.
            seal_id: The seal's name.
            timeout: Seconds an operation may take.
            child: Arguments of the Python that runs the token's library.
        """
        self._place = place
        self._seal_id = seal_id
        self._timeout = timeout
        self._child = child
        self._given: LiveKey | None = None
        self._refused_pin: bytes | None = None  # digest; asking again would lock the token

    @property
    def seal_id(self) -> str:
        """A stable name, stored beside what the seal wrapped and bound to it."""
        return self._seal_id

    def prepare(self) -> None:
        """Look for the key in the token, and make it there if that is allowed; it can never be extracted."""
        self._ask("make" if self._place.may_make_key else "find")

    def wrap(self, secret: bytes, associated_data: bytes) -> WrappedKey:
        """Wrap the root key inside the token."""
        nonce = os.urandom(NONCE_OCTETS)
        sealed = self._ask("encrypt", nonce, associated_data, secret)
        if len(sealed) != len(secret) + _TAG_OCTETS:
            raise SealFailed(f"{self._describe()} gave a ciphertext of {len(sealed)} octets")
        octets = bytes((SUITE_TOKEN_AES_GCM,)) + nonce + sealed
        return WrappedKey(octets, compute_key_check(secret, associated_data))

    def unwrap(self, wrapped: WrappedKey, associated_data: bytes) -> LiveKey:
        """Unwrap the root key inside the token."""
        octets = wrapped.octets
        if len(octets) <= 1 + NONCE_OCTETS + _TAG_OCTETS or octets[0] != SUITE_TOKEN_AES_GCM:
            raise UnwrapFailed("the root key was not wrapped by a seal of this kind")
        nonce, sealed = octets[1 : 1 + NONCE_OCTETS], octets[1 + NONCE_OCTETS :]
        live = LiveKey(self._ask("decrypt", nonce, associated_data, sealed), locked=True)
        if not matches_key_check(live, wrapped, associated_data):
            live.close()
            raise UnwrapFailed("the key check value of a wrapped key does not match")
        return live

    @property
    def is_asked(self) -> bool:
        """Say if people are asked for the PIN."""
        return self._place.pin_file is None

    def give(self, pin: str) -> None:
        """Take the PIN for the operations that follow; the caller calls `forget` after them.

        Raises:
            InvalidRequest: It is empty or too long.
        """
        self.forget()
        octets = pin.encode()
        if not 0 < len(octets) <= _MAX_PIN_OCTETS:
            raise InvalidRequest(f"a PIN has 1 to {_MAX_PIN_OCTETS} octets")
        self._given = LiveKey(octets)

    def forget(self) -> None:
        """Wipe the PIN that was given; one in a file is read anew each time."""
        given, self._given = self._given, None
        if given is not None:
            given.close()

    def _read_pin(self) -> LiveKey:
        file = self._place.pin_file
        if file is not None:
            with read_private_file(file, _PIN_RULE, _MAX_PIN_OCTETS) as read:
                return LiveKey(bytes(memoryview(read.octets)[: len(read.octets.rstrip(b"\r\n"))]))
        if self._given is None:
            raise SealNotReady(f"seal {self._seal_id!r} waits for the PIN of its token: run `signerd unseal`")
        return LiveKey(bytes(memoryview(self._given.octets)))

    def _describe(self) -> str:
        return f"the token {self._place.token!r} of {self._place.module}"

    def _ask(self, operation: str, *arguments: bytes) -> bytes:
        with self._read_pin() as pin:
            digest = hashlib.sha256(pin.octets).digest()
            if digest == self._refused_pin:
                source = f"{self._place.pin_file}: " if self._place.pin_file else ""
                raise RootKeyRefused(
                    f"{source}the token {self._place.token!r} refused this PIN; it is not "
                    "tried again, as that would lock the token"
                )
            place = self._place
            kind, content = self._run_child(
                [operation, str(place.module), place.token, place.key, pin.octets, *arguments]
            )
        self._refused_pin = digest if kind == "pin" else None
        if kind == "done":
            return content
        reason = f"{self._describe()}: {content.decode(errors='replace')}"
        wipe(content)
        match kind:
            case "missing":
                raise RootKeyMissing(reason)
            case "refused" | "pin":
                raise RootKeyRefused(reason)
            case "unopened":
                raise UnwrapFailed(reason)
            case _:
                raise SealFailed(reason)

    def _run_child(self, request: list[bytes | str]) -> tuple[str, bytes]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(self._timeout)
            process = subprocess.Popen(  # noqa: S603  # this program's own module
                [sys.executable, *self._child, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C at the terminal is for the server
            )
            try:
                theirs.close()
                send_frame(ours, request)
                reply = receive_frame(ours)
            except TimeoutError as error:
                raise SealFailed(f"{self._describe()} did not answer within {self._timeout:.0f} s") from error
            except (BadFrame, OSError) as error:
                process.kill()
                status = process.wait()
                raise SealFailed(f"{self._describe()}: its process ended with status {status}") from error
            finally:
                process.kill()
                process.wait()
        if len(reply) != 2:
            raise SealFailed(f"{self._describe()}: its process sent {len(reply)} fields")
        return reply[0].decode("ascii", errors="replace"), reply[1]
