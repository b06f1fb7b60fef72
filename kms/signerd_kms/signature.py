"""Signatures: their forms, making and checking them."""

from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from signerd_kms.errors import InvalidRequest, SchemeUnsupported, UnwrapFailed
from signerd_kms.hash_name import HashName
from signerd_kms.key import OPERATIONS, KeyType, Operation
from signerd_kms.key_material import CURVES, RSA_BITS, PrivateKey, load_material

MAX_SIGNATURE = 1024  # octets; more than any key type makes

SIGNING_KEY_TYPES = frozenset(kind for kind, can in OPERATIONS.items() if Operation.SIGN in can)


class RsaPadding(StrEnum):
    """How RSA signs."""

    PSS = "pss"  # MGF1 with the same hash; made with a salt as long as the hash, accepted with any
    PKCS1V15 = "pkcs1v15"


class Marshaling(StrEnum):
    """How the two numbers of an ECDSA signature are put together."""

    ASN1 = "asn1"  # DER SEQUENCE(r, s)
    JWS = "jws"  # r and s in the length of the field, joined (RFC 7518, section 3.4)


@dataclass(frozen=True, slots=True)
class SignatureForm:
    """How a message is signed.

    Attributes:
        hash_name: None is SHA-256, or what Ed25519 does inside.
        padding: RSA only; None is PSS.
        marshaling: ECDSA only; None is ASN.1.
        is_prehashed: The message is given as its digest.
    """

    hash_name: HashName | None = None
    padding: RsaPadding | None = None
    marshaling: Marshaling | None = None
    is_prehashed: bool = False

    @property
    def effective_hash(self) -> HashName:
        """The hash function, with the default filled in."""
        return self.hash_name or HashName.SHA2_256


DEFAULT_FORM = SignatureForm()


def check_form(key_type: KeyType, form: SignatureForm, octets: int) -> None:
    """Check a form before any key is touched.

    Args:
        key_type: Of the key.
        form: What is asked for.
        octets: Length of what is to be signed.

    Raises:
        SchemeUnsupported: Keys of the type cannot sign so.
        InvalidRequest: A digest has not the length of its hash.
    """
    if key_type is KeyType.ED25519:
        if form.is_prehashed:
            raise SchemeUnsupported("an ed25519 key signs the message itself, not a digest")
        if form.hash_name not in {None, HashName.SHA2_256}:  # the default's name is let pass
            raise SchemeUnsupported("an ed25519 key takes no hash algorithm")
    if form.padding is not None and key_type not in RSA_BITS:
        raise SchemeUnsupported(f"a key of type {key_type.value} takes no RSA padding")
    if form.marshaling is not None and key_type not in CURVES:
        raise SchemeUnsupported(f"a key of type {key_type.value} takes no marshaling")
    if form.is_prehashed and octets != form.effective_hash.digest_octets:
        raise InvalidRequest(
            f"a digest of {form.effective_hash} has {form.effective_hash.digest_octets} octets, not {octets}"
        )


def sign(key: PrivateKey, data: bytes, form: SignatureForm) -> bytes:
    """Sign a message, in a form that was checked."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        made = key.sign(data, ec.ECDSA(_choose_hash(form)))
        return _join_numbers(made, key.curve) if form.marshaling is Marshaling.JWS else made
    return key.sign(data, _choose_padding(form, is_any_salt=False), _choose_hash(form))


def is_valid(key: PrivateKey, signature: bytes, data: bytes, form: SignatureForm) -> bool:
    """Check a signature over a message, in a form that was checked."""
    public = key.public_key()
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, data)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            if form.marshaling is Marshaling.JWS:
                signature = _split_numbers(signature, public.curve)
            public.verify(signature, data, ec.ECDSA(_choose_hash(form)))
        else:
            public.verify(signature, data, _choose_padding(form, is_any_salt=True), _choose_hash(form))
    except InvalidSignature:
        return False
    return True


def check_key_pair(octets: bytes, key_type: KeyType) -> None:
    """Read new private keys back with full validation, and sign and verify once.

    Raises:
        UnwrapFailed: The key does not do what it should.
    """
    key = load_material(octets, key_type, validated=False)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        return
    message = b"signerd pairwise consistency test"
    if not is_valid(key, sign(key, message, DEFAULT_FORM), message, DEFAULT_FORM):
        raise UnwrapFailed(f"a new key of type {key_type.value} fails its consistency test")


def _choose_hash(form: SignatureForm) -> hashes.HashAlgorithm | Prehashed:
    algorithm = form.effective_hash.algorithm
    return Prehashed(algorithm) if form.is_prehashed else algorithm


def _choose_padding(form: SignatureForm, *, is_any_salt: bool) -> padding.PKCS1v15 | padding.PSS:
    if form.padding is RsaPadding.PKCS1V15:
        return padding.PKCS1v15()
    salt = padding.PSS.AUTO if is_any_salt else padding.PSS.DIGEST_LENGTH
    return padding.PSS(padding.MGF1(form.effective_hash.algorithm), salt)


def _count_field_octets(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def _join_numbers(signature: bytes, curve: ec.EllipticCurve) -> bytes:
    octets = _count_field_octets(curve)
    r, s = decode_dss_signature(signature)
    return r.to_bytes(octets, "big") + s.to_bytes(octets, "big")


def _split_numbers(signature: bytes, curve: ec.EllipticCurve) -> bytes:
    octets = _count_field_octets(curve)
    if len(signature) != 2 * octets:
        raise InvalidSignature
    return encode_dss_signature(
        int.from_bytes(signature[:octets], "big"), int.from_bytes(signature[octets:], "big")
    )
