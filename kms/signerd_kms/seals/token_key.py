"""The seal's key inside a PKCS#11 token. Imported by the child process only: it loads the maker's library."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pkcs11
from pkcs11 import (
    Attribute,
    DecryptMixin,
    EncryptMixin,
    KeyType,
    Mechanism,
    MechanismFlag,
    ObjectClass,
    SecretKey,
    Session,
)

from signerd_kms.seals.token_channel import Refusal

_KEY_BITS = 256
_TAG_BITS = 128
_WRONG_PIN = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked, pkcs11.PinExpired)
_UNOPENED = (
    pkcs11.EncryptedDataInvalid,
    pkcs11.EncryptedDataLenRange,
    pkcs11.GeneralError,  # what SoftHSM says of a tag that does not match
)
_PURPOSES = {  # all that a key may do; the seal's key encrypts and decrypts, so that it can wrap nothing out
    Attribute.ENCRYPT: True,
    Attribute.DECRYPT: True,
    Attribute.WRAP: False,
    Attribute.UNWRAP: False,
    Attribute.SIGN: False,
    Attribute.VERIFY: False,
    Attribute.DERIVE: False,
}


@dataclass(frozen=True, slots=True, repr=False)
class KeyPlace:
    """Where the key is, and the PIN of the token's user."""

    module: str
    token: str
    key: str
    pin: str


def carry_out(operation: str, place: KeyPlace, arguments: Sequence[bytes]) -> bytes:
    """Do one operation in the token.

    Args:
        operation: `find`, `make`, `encrypt` or `decrypt`.
        place: Of the key.
        arguments: For the last two: nonce, associated data, data.

    Raises:
        Refusal: It did not work; the text never holds the PIN or data.
    """
    try:
        with _open_session(place, is_writable=operation == "make") as session:
            key = _find_key(session, place.key)
            if key is None and operation == "make":
                key = _make_key(session, place.key)
            if key is None:
                raise Refusal("missing", f"there is no AES key with the label {place.key!r}")
            _check_key(key, place.key)
            if operation in ("make", "find"):
                return b""
            return _encrypt(key, arguments) if operation == "encrypt" else _decrypt(key, arguments)
    except _WRONG_PIN as error:
        raise Refusal("pin", f"the PIN is not accepted: {_name(error)}") from error
    except pkcs11.NoSuchToken as error:
        raise Refusal("failed", "the token is not there") from error
    except pkcs11.MultipleTokensReturned as error:
        raise Refusal("refused", "several tokens have this label") from error
    except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
        raise Refusal("failed", f"the library reports {_name(error)}") from error


def _name(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def _open_session(place: KeyPlace, *, is_writable: bool) -> Generator[Session]:
    token = pkcs11.lib(place.module).get_token(token_label=place.token)
    with token.open(rw=is_writable, user_pin=place.pin) as session:
        yield session


def _find_key(session: Session, label: str) -> SecretKey | None:
    found = list(
        session.get_objects(
            {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES, Attribute.LABEL: label}
        )
    )
    if len(found) > 1:
        raise Refusal("refused", f"{len(found)} AES keys have the label {label!r}")
    for item in found:
        if isinstance(item, SecretKey):
            return item
    return None


def _make_key(session: Session, label: str) -> SecretKey:
    return session.generate_key(
        KeyType.AES,
        _KEY_BITS,
        label=label,
        store=True,
        capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        template={
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.MODIFIABLE: False,
            **_PURPOSES,
        },
    )


def _check_key(key: SecretKey, label: str) -> None:
    if key.key_length != _KEY_BITS:
        raise Refusal("refused", f"the key {label!r} has {key.key_length} bits; it must have {_KEY_BITS}")
    if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
        raise Refusal("refused", f"the key {label!r} can be extracted from the token")
    if not isinstance(key, EncryptMixin) or not isinstance(key, DecryptMixin):
        raise Refusal("refused", f"the key {label!r} may not encrypt and decrypt")


def _encrypt(key: SecretKey, arguments: Sequence[bytes]) -> bytes:
    nonce, associated_data, data = arguments
    parameter = pkcs11.GCMParams(nonce, associated_data, _TAG_BITS)
    assert isinstance(key, EncryptMixin)  # noqa: S101  # `_check_key` has seen to it
    return _take_octets(key.encrypt(data, mechanism=Mechanism.AES_GCM, mechanism_param=parameter))


def _decrypt(key: SecretKey, arguments: Sequence[bytes]) -> bytes:
    nonce, associated_data, data = arguments
    parameter = pkcs11.GCMParams(nonce, associated_data, _TAG_BITS)
    assert isinstance(key, DecryptMixin)  # noqa: S101  # `_check_key` has seen to it
    try:
        return _take_octets(key.decrypt(data, mechanism=Mechanism.AES_GCM, mechanism_param=parameter))
    except _UNOPENED as error:
        raise Refusal("unopened", "it does not open what is stored") from error


def _take_octets(result: bytes | Iterator[bytes]) -> bytes:
    return result if isinstance(result, bytes) else b"".join(result)
