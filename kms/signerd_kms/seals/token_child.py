"""The child process that talks to a PKCS#11 token: one request over a socket, one reply, then it ends.

The first field of a reply is `done`, or what went wrong: `missing`, `refused`, `pin`, `unopened`, `failed`.
"""

import ctypes
import signal
import socket
import sys

from signerd_kms.memory import harden_process
from signerd_kms.seals.token_channel import Refusal, receive_frame, send_frame

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(descriptor: int) -> None:
    """Carry out the one request that comes over an inherited socket."""
    harden_process()
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:  # a library that hangs must not outlive the server
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with socket.socket(fileno=descriptor) as sock:
        operation, module, token, key, pin, *arguments = receive_frame(sock)
        try:
            result = _carry_out(
                operation.decode(), module.decode(), token.decode(), key.decode(), pin.decode(), arguments
            )
        except Refusal as refusal:
            send_frame(sock, [refusal.kind, str(refusal)])
        else:
            send_frame(sock, ["done", result])


def _carry_out(operation: str, module: str, token: str, key: str, pin: str, arguments: list[bytes]) -> bytes:
    try:  # only here: it is an optional extra
        from signerd_kms.seals import token_key
    except ImportError as error:
        raise Refusal("failed", "PKCS#11 is not installed: pip install 'signerd[pkcs11]'") from error
    return token_key.carry_out(operation, token_key.KeyPlace(module, token, key, pin), arguments)


if __name__ == "__main__":
    main(int(sys.argv[1]))
