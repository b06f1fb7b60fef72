"""Public keys of issuers in the form of RFC 7517 and RFC 8037, and signatures by them (RFC 7518)."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192  # bounds the work of one check
MAX_KEYS: Final = 64
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_P256_OCTETS: Final = 32


class BadKeySet(Exception):
    """A document is no key set."""


class BadSignature(Exception):
    """A signature is not by this key."""


@dataclass(frozen=True, slots=True)
class JsonWebKey:
    """A public key that can check signatures of one algorithm.

    Attributes:
        key_id: Empty if the issuer gave none.
        algorithm: `RS256`, `ES256` or `EdDSA`.
        members: As published.
    """

    key_id: str
    algorithm: str
    members: Mapping[str, object]

    def verify(self, signature: bytes, data: bytes) -> None:
        """Check a signature.

        Raises:
            BadSignature: It is not by this key, or the key is none.
        """
        try:
            if self.algorithm == "RS256":
                self._verify_rsa(signature, data)
            elif self.algorithm == "ES256":
                self._verify_ecdsa(signature, data)
            else:
                Ed25519PublicKey.from_public_bytes(self._read("x")).verify(signature, data)
        except (InvalidSignature, ValueError) as error:
            raise BadSignature("the signature is not by this key") from error

    def _verify_rsa(self, signature: bytes, data: bytes) -> None:
        modulus = int.from_bytes(self._read("n"))
        exponent = int.from_bytes(self._read("e"))
        if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS or not 3 <= exponent < 1 << 32:
            raise BadSignature("the size of the key is not accepted")
        RSAPublicNumbers(exponent, modulus).public_key().verify(signature, data, PKCS1v15(), SHA256())

    def _verify_ecdsa(self, signature: bytes, data: bytes) -> None:
        x, y = self._read("x"), self._read("y")
        if len(x) != _P256_OCTETS or len(y) != _P256_OCTETS or len(signature) != 2 * _P256_OCTETS:
            raise BadSignature("the signature is not by this key")  # RFC 7518, section 3.4
        key = EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), SECP256R1()).public_key()
        r, s = int.from_bytes(signature[:_P256_OCTETS]), int.from_bytes(signature[_P256_OCTETS:])
        key.verify(encode_dss_signature(r, s), data, ECDSA(SHA256()))

    def _read(self, name: str) -> bytes:
        value = self.members.get(name)
        if not isinstance(value, str):
            raise BadSignature(f"the key has no member {name}")
        return decode_base64url(value)


def parse_key_set(text: str | bytes) -> Sequence[JsonWebKey]:
    """Read a key set; keys of other kinds and uses are left out.

    Raises:
        BadKeySet: The document is none.
    """
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadKeySet("the key set is no JSON") from error
    listed = cast("dict[str, object]", content).get("keys") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise BadKeySet("the key set has no list of keys")
    keys: list[JsonWebKey] = []
    for item in cast("list[object]", listed)[:MAX_KEYS]:
        if isinstance(item, dict):
            members = cast("dict[str, object]", item)
            algorithm = _find_algorithm(members)
            if algorithm is not None:
                key_id = members.get("kid")
                keys.append(JsonWebKey(key_id if isinstance(key_id, str) else "", algorithm, members))
    return keys


def decode_base64url(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515, appendix C), in its canonical form only.

    Raises:
        ValueError: It has another form.
    """
    if not _BASE64URL.fullmatch(text):
        raise ValueError("no base64url")
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(octets).rstrip(b"=").decode() != text:
        raise ValueError("no canonical base64url")
    return octets


def _find_algorithm(members: Mapping[str, object]) -> str | None:
    """Say what a key is for: its type decides, so that a token cannot choose (RFC 8725, section 3.1)."""
    kind, curve = members.get("kty"), members.get("crv")
    algorithm = None
    if kind == "RSA":
        algorithm = "RS256"
    elif kind == "EC" and curve == "P-256":
        algorithm = "ES256"
    elif kind == "OKP" and curve == "Ed25519":
        algorithm = "EdDSA"
    if members.get("alg") not in (None, algorithm) or members.get("use") not in (None, "sig"):
        return None
    return algorithm
