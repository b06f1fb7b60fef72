import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from rfc_vectors import RFC_5702_SECTION_6_1, RFC_6605_SECTION_6_1, RFC_6605_SECTION_6_2, SignedVector
from signerd.dnssec.algorithm import (
    BadSignature,
    UnsupportedKey,
    convert_ecdsa_signature,
    encode_public_key,
)
from signerd.dnssec.key import DnsKey

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


def encode(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("vector", "curve"), [(RFC_6605_SECTION_6_1, ec.SECP256R1()), (RFC_6605_SECTION_6_2, ec.SECP384R1())]
)
def test_public_keys_have_the_form_of_rfc_6605(vector: SignedVector, curve: ec.EllipticCurve) -> None:
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + vector.key.public_key)
    assert DnsKey.from_spki(encode(key), 257) == vector.key


def test_rsa_keys_have_the_form_of_rfc_3110() -> None:
    public = rsa.generate_private_key(65537, 2048).public_key()
    modulus = public.public_numbers().n.to_bytes(256)
    assert encode_public_key(encode(public)) == (8, b"\x03\x01\x00\x01" + modulus)
    assert RFC_5702_SECTION_6_1.key.public_key.startswith(b"\x03\x01\x00\x01")


def test_a_long_rsa_exponent_has_a_length_of_two_octets() -> None:
    modulus = rsa.generate_private_key(65537, 2304).public_key().public_numbers().n
    exponent = (1 << 2047) + 1  # 256 octets
    public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    _, field = encode_public_key(encode(public))
    assert field == b"\x00\x01\x00" + exponent.to_bytes(256) + modulus.to_bytes(288)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (ec.generate_private_key(ec.SECP521R1()).public_key(), "curve secp521r1"),
        (ed25519.Ed25519PrivateKey.generate().public_key(), "Ed25519"),
        (rsa.RSAPublicNumbers(65537, (1 << 4103) + 1).public_key(), "4104 bits"),
    ],
    ids=["curve", "kind", "size"],
)
def test_keys_without_an_algorithm_here_are_refused(key: PublicKey, reason: str) -> None:
    with pytest.raises(UnsupportedKey, match=reason):
        encode_public_key(encode(key))


integers = st.sampled_from([32, 48]).flatmap(
    lambda octets: st.tuples(
        st.just(octets),
        *[
            st.one_of(
                st.integers(1, 2 ** (8 * octets) - 1),
                st.integers(0, 8 * octets - 1).map(lambda bit: 1 << bit),
            )
        ]
        * 2,
    )
)


@given(integers)
@example((32, 1, 2**256 - 1))
@example((48, 2**384 - 1, 1))
def test_signatures_are_converted_as_the_general_decoder_would(case: tuple[int, int, int]) -> None:
    octets, r, s = case
    der = encode_dss_signature(r, s)
    assert convert_ecdsa_signature(der, octets) == r.to_bytes(octets) + s.to_bytes(octets)


@given(integers, st.data())
def test_what_is_no_signature_of_that_size_is_refused(
    case: tuple[int, int, int], data: st.DataObject
) -> None:
    octets, r, s = case
    der = bytearray(encode_dss_signature(r, s))
    match data.draw(st.sampled_from(["cut", "tail", "change", "larger"])):
        case "cut":
            del der[data.draw(st.integers(0, len(der) - 1)) :]
        case "tail":
            der += data.draw(st.binary(min_size=1, max_size=4))
        case "change":
            position = data.draw(st.integers(0, len(der) - 1))
            der[position] ^= data.draw(st.integers(1, 255))
        case _:
            der = bytearray(encode_dss_signature(1 << 8 * octets, s))
    try:
        numbers = decode_dss_signature(bytes(der))
    except ValueError:
        numbers = None
    try:
        converted = convert_ecdsa_signature(bytes(der), octets)
    except BadSignature:
        return  # refusing what the decoder takes is no harm: no signer makes it
    if numbers is None:  # nothing but zero octets too many in front of an integer is let pass
        numbers = int.from_bytes(converted[:octets]), int.from_bytes(converted[octets:])
        assert len(encode_dss_signature(*numbers)) < len(der)
    assert converted == numbers[0].to_bytes(octets) + numbers[1].to_bytes(octets)


def test_a_negative_integer_is_refused() -> None:
    for der in ("3006020180020101", "3006020101020180"):
        with pytest.raises(BadSignature):
            convert_ecdsa_signature(bytes.fromhex(der), 32)


def test_an_integer_too_large_for_the_field_is_refused() -> None:
    with pytest.raises(BadSignature):
        convert_ecdsa_signature(encode_dss_signature(1 << 256, 1), 32)
    with pytest.raises(BadSignature):
        convert_ecdsa_signature(b"", 32)
