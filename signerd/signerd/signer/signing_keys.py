"""Keys that sign: one whose private half is in the KMS, and one that is held in this process."""

from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from signerd.dnssec.algorithm import (
    ECDSA_FIELD_OCTETS,
    ECDSAP256SHA256,
    ECDSAP384SHA384,
    RSASHA256,
    convert_ecdsa_signature,
)
from signerd.dnssec.key import DnsKey

ZSK_RSA_BITS = 2048  # RFC 8624 asks for no more, and each answer carries the signatures
_RSA_EXPONENT = 65537
_HASHES: dict[int, hashes.HashAlgorithm] = {
    ECDSAP256SHA256: hashes.SHA256(),
    ECDSAP384SHA384: hashes.SHA384(),
}
_CURVES: dict[int, ec.EllipticCurve] = {ECDSAP256SHA256: ec.SECP256R1(), ECDSAP384SHA384: ec.SECP384R1()}


class WrongPrivateKey(Exception):
    """A stored private key does not belong to the public key stored beside it."""

    code = "signer.wrong_private_key"


class SignInKms(Protocol):
    """Signs RRsets of a zone with a certain key of the KMS, which reads them and may refuse.

    The audit event is stored before a call returns.
    """

    def sign_statement(self, data: bytes, /) -> bytes:
        """Sign a key set, in the form of an RRSIG."""
        ...

    def sign_rrsets(self, messages: Sequence[bytes], /) -> list[bytes]:
        """Sign many RRsets with one audit event, in the form of an RRSIG."""
        ...


class KmsSigningKey:
    """A key in the KMS, pinned to one version.

    It signs DNSKEY, CDS and CDNSKEY RRsets; everything else only if the KMS knows it for a CSK of the zone.
    """

    def __init__(self, dnskey: DnsKey, kms: SignInKms) -> None:
        self._dnskey = dnskey
        self._kms = kms

    @property
    def dnskey(self) -> DnsKey:
        """The public half."""
        return self._dnskey

    @property
    def signer(self) -> SignInKms:
        """What signs."""
        return self._kms

    def sign(self, data: bytes) -> bytes:
        """Sign a key set, in the form of an RRSIG."""
        return self._kms.sign_statement(data)

    def sign_many(self, messages: Sequence[bytes]) -> list[bytes]:
        """Sign RRsets, by one call of the KMS."""
        return self._kms.sign_rrsets(messages)


class LocalSigningKey:
    """A key in this process's memory: fast, for the many RRsets of a zone. No repr, no pickling."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, dnskey: DnsKey) -> None:
        """Take over a key.

        Raises:
            WrongPrivateKey: Its public half is not that of `dnskey`.
        """
        if read_public_half(private_key, dnskey.flags) != dnskey:
            raise WrongPrivateKey(f"the stored private key is not that of key {dnskey.key_tag}")
        self._dnskey = dnskey
        if isinstance(private_key, rsa.RSAPrivateKey):
            sign_rsa, pkcs1, sha256 = private_key.sign, padding.PKCS1v15(), hashes.SHA256()

            def sign(data: bytes) -> bytes:
                return sign_rsa(data, pkcs1, sha256)

        else:
            octets = ECDSA_FIELD_OCTETS[dnskey.algorithm]
            sign_ecdsa, scheme = private_key.sign, ec.ECDSA(_HASHES[dnskey.algorithm])

            def sign(data: bytes) -> bytes:
                return convert_ecdsa_signature(sign_ecdsa(data, scheme), octets)

        self.sign: Callable[[bytes], bytes] = sign

    @property
    def dnskey(self) -> DnsKey:
        """The public half."""
        return self._dnskey

    def __reduce__(self) -> str:
        """Refuse to be copied out of this process."""
        raise TypeError("a signing key cannot be pickled")


def read_public_half(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, flags: int) -> DnsKey:
    """Give the DNSKEY that a private key belongs to."""
    public_key = key.public_key()
    return DnsKey.from_spki(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), flags)


def generate_private_key(algorithm: int) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """Make a new private key for a DNSSEC algorithm."""
    if algorithm == RSASHA256:
        return rsa.generate_private_key(_RSA_EXPONENT, ZSK_RSA_BITS)
    return ec.generate_private_key(_CURVES[algorithm])


def encode_private_key(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """Give PKCS#8 in DER, unencrypted: to be wrapped at once."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def read_private_key(octets: bytes, dnskey: DnsKey) -> LocalSigningKey:
    """Load a private key that `encode_private_key` gave.

    Raises:
        WrongPrivateKey: It is of another kind or belongs to another DNSKEY.
    """
    # authenticated when unwrapped and compared with its public half below: no need to find the primes again
    key = load_der_private_key(octets, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise WrongPrivateKey(f"the stored private key of key {dnskey.key_tag} is of another kind")
    return LocalSigningKey(key, dnskey)
