"""The credential in a request's headers."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from signerd.api.access import PairPresented, Presented, TokenPresented
from signerd.api.errors import NotAuthenticated

TOKEN_SCHEMES: Final = frozenset({"token", "bearer"})  # compared in lower case (RFC 9110, section 11.1)
MAX_CREDENTIAL_CHARACTERS: Final = 4096


def read_credential(values: Sequence[str]) -> Presented:
    """Read the header Authorization.

    Args:
        values: Of each header of that name.

    Raises:
        NotAuthenticated: There is none, there are several, or it cannot be understood.
    """
    if not values:
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
