"""The credential in a request's headers, or that of its connection."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from signerd.api.access import CertificatePresented, PairPresented, Presented, TokenPresented
from signerd.api.errors import NotAuthenticated
from signerd.platform.client_certificate import ClientCertificate

TOKEN_SCHEMES: Final = frozenset({"token", "bearer"})  # compared in lower case (RFC 9110, section 11.1)
MAX_CREDENTIAL_CHARACTERS: Final = 4096


def read_credential(values: Sequence[str], certificate: ClientCertificate | None = None) -> Presented:
    """Read the header Authorization.

    Args:
        values: Of each header of that name.
        certificate: Of the client's end of the connection; it counts where there is no such header.

    Raises:
        NotAuthenticated: There is none, there are several, or it cannot be understood.
    """
    if not values:
        if certificate is not None:
            return CertificatePresented(certificate)
        raise NotAuthenticated("the header Authorization is missing")
    scheme, _, text = values[0].partition(" ")
    text = text.strip(" ")
    if len(values) > 1 or not text or len(text) > MAX_CREDENTIAL_CHARACTERS or " " in text:
        raise NotAuthenticated("the header Authorization is malformed")
    if scheme.lower() in TOKEN_SCHEMES:
        return TokenPresented(text)
    if scheme.lower() == "basic":
        return _read_pair(text)
    raise NotAuthenticated("the scheme of the header Authorization must be Bearer, Token or Basic")


def _read_pair(text: str) -> PairPresented:
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise NotAuthenticated("the header Authorization is malformed") from error
    if not colon:
        raise NotAuthenticated("the header Authorization is malformed")
    return PairPresented(user, password)
