"""An issuer of tokens: its keys, its key set, and tokens signed by hand."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

Key = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


def encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def encode_number(number: int, octets: int | None = None) -> str:
    return encode(number.to_bytes(octets or (number.bit_length() + 7) // 8))


def make_key(algorithm: str) -> Key:
    if algorithm == "RS256":
        return generate_rsa(65537, 2048)
    return generate_private_key(SECP256R1()) if algorithm == "ES256" else Ed25519PrivateKey.generate()


def describe_key(key: Key, key_id: str) -> dict[str, str]:
    """Give the public part as a JSON web key."""
    if isinstance(key, RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "kid": key_id, "n": encode_number(numbers.n), "e": encode_number(numbers.e)}
    if isinstance(key, EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "kid": key_id,
            "x": encode_number(point.x, 32),
            "y": encode_number(point.y, 32),
        }
    return {"kty": "OKP", "crv": "Ed25519", "kid": key_id, "x": encode(key.public_key().public_bytes_raw())}


def sign(key: Key, data: bytes) -> bytes:
    if isinstance(key, RSAPrivateKey):
        return key.sign(data, PKCS1v15(), SHA256())
    if isinstance(key, EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(data, ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)
    return key.sign(data)


@dataclass
class Issuer:
    """Keys by their id, all of one algorithm to begin with."""

    url: str
    algorithm: str = "ES256"
    keys: dict[str, Key] = field(default_factory=dict[str, Key])

    def __post_init__(self) -> None:
        self.keys["k1"] = make_key(self.algorithm)

    @property
    def key_set(self) -> dict[str, object]:
        return {"keys": [describe_key(key, key_id) for key_id, key in self.keys.items()]}

    def issue(
        self,
        claims: Mapping[str, object],
        *,
        key_id: str = "k1",
        header: Mapping[str, object] | None = None,
        key: Key | None = None,
    ) -> str:
        """Sign claims as they are."""
        full = {"alg": self.algorithm, "typ": "JWT", "kid": key_id, **(header or {})}
        signed = ".".join(encode(json.dumps(part).encode()) for part in (full, dict(claims)))
        return f"{signed}.{encode(sign(key or self.keys[key_id], signed.encode()))}"
