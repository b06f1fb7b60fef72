"""Checks of signatures with whole numbers alone: a second opinion for the self-test, for public data only."""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

# Points of a short Weierstrass curve are (x, y, z) with x / z**2 and y / z**3; z = 0 at infinity
_Point = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve y**2 = x**3 - 3 x + b of NIST (SP 800-186, section 3.2.1); b is not needed to add points.

    Attributes:
        prime: Of the field.
        order: Of the base point.
        base: The base point.
    """

    prime: int
    order: int
    base: tuple[int, int]


P256 = Curve(
    2**256 - 2**224 + 2**192 + 2**96 - 1,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
)
P384 = Curve(
    2**384 - 2**128 - 2**96 + 2**32 - 1,
    2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
    (
        int(
            "AA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C"
            "3A545E3872760AB7",
            16,
        ),
        int(
            "3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D"
            "7A431D7C90EA0E5F",
            16,
        ),
    ),
)
P521 = Curve(
    2**521 - 1,
    2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
    (
        int(
            "C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77EFE759"
            "28FE1DC127A2FFA8DE3348B3C1856A429BF97E7E31C2E5BD66",
            16,
        ),
        int(
            "11839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE72995EF42"
            "640C550B9013FAD0761353C7086A272C24088BE94769FD16650",
            16,
        ),
    ),
)


def verify_ecdsa(curve: Curve, public: tuple[int, int], data: bytes, signature: bytes) -> bool:
    """Check an ECDSA signature with SHA-256 in DER (FIPS 186-5, section 6.4.2)."""
    r, s = decode_dss_signature(signature)
    order, prime = curve.order, curve.prime
    if not (0 < r < order and 0 < s < order):
        return False
    digest = hashlib.sha256(data).digest()
    e = int.from_bytes(digest, "big") >> max(0, 8 * len(digest) - order.bit_length())
    inverse = pow(s, -1, order)
    x, _, z = _combine(curve, e * inverse % order, r * inverse % order, public)
    if z == 0:
        return False
    return x * pow(z, -2, prime) % prime % order == r


def _combine(curve: Curve, first: int, second: int, public: tuple[int, int]) -> _Point:
    """Compute first * base + second * public, both at once."""
    base, other = (*curve.base, 1), (*public, 1)
    added = {(1, 0): base, (0, 1): other, (1, 1): _add(base, other, curve.prime)}
    point: _Point = (0, 1, 0)
    for bit in range(curve.order.bit_length() - 1, -1, -1):
        point = _double(point, curve.prime)
        choice = (first >> bit & 1, second >> bit & 1)
        if choice in added:
            point = _add(point, added[choice], curve.prime)
    return point


def _double(point: _Point, p: int) -> _Point:
    x, y, z = point
    delta, gamma = z * z % p, y * y % p
    beta = x * gamma % p
    alpha = 3 * (x - delta) * (x + delta) % p
    doubled_x = (alpha * alpha - 8 * beta) % p
    return doubled_x, (alpha * (4 * beta - doubled_x) - 8 * gamma * gamma) % p, 2 * y * z % p


def _add(one: _Point, other: _Point, p: int) -> _Point:
    (x1, y1, z1), (x2, y2, z2) = one, other
    if z1 == 0:
        return other
    if z2 == 0:
        return one
    zz1, zz2 = z1 * z1 % p, z2 * z2 % p
    u1, u2 = x1 * zz2 % p, x2 * zz1 % p
    s1, s2 = y1 * z2 * zz2 % p, y2 * z1 * zz1 % p
    if u1 == u2:
        return _double(one, p) if s1 == s2 else (0, 1, 0)
    h, r = u2 - u1, s2 - s1
    hh = h * h % p
    hhh, v = h * hh % p, u1 * hh % p
    x3 = (r * r - hhh - 2 * v) % p
    return x3, (r * (v - x3) - s1 * hhh) % p, h * z1 * z2 % p


# Ed25519 (RFC 8032, section 5.1): points are (x, y, z, t) with x / z, y / z and x y = z t

_Q = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _Q) % _Q
_Extended = tuple[int, int, int, int]


def verify_ed25519(public: bytes, data: bytes, signature: bytes) -> bool:
    """Check an Ed25519 signature (RFC 8032, section 5.1.7)."""
    point, nonce = _decode_point(public), _decode_point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    base = _decode_point((4 * pow(5, -1, _Q) % _Q).to_bytes(32, "little"))
    if point is None or nonce is None or base is None or len(signature) != 64 or s >= _L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + data).digest(), "little") % _L
    left, right = _multiply(s, base), _add_extended(nonce, _multiply(k, point))
    return (left[0] * right[2] - right[0] * left[2]) % _Q == 0 and (
        left[1] * right[2] - right[1] * left[2]
    ) % _Q == 0


def _decode_point(octets: bytes) -> _Extended | None:
    number = int.from_bytes(octets, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    xx = (y * y - 1) * pow(_D * y * y + 1, -1, _Q) % _Q
    x = pow(xx, (_Q + 3) // 8, _Q)
    if (x * x - xx) % _Q:
        x = x * pow(2, (_Q - 1) // 4, _Q) % _Q
    if y >= _Q or (x * x - xx) % _Q or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else _Q - x
    return x, y, 1, x * y % _Q


def _add_extended(one: _Extended, other: _Extended) -> _Extended:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _Q
    b = (one[1] + one[0]) * (other[1] + other[0]) % _Q
    c = 2 * one[3] * other[3] * _D % _Q
    d = 2 * one[2] * other[2] % _Q
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _Q, g * h % _Q, f * g % _Q, e * h % _Q


def _multiply(scalar: int, point: _Extended) -> _Extended:
    total: _Extended = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _add_extended(total, point)
        point = _add_extended(point, point)
        scalar >>= 1
    return total


# RSA (RFC 8017)

_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # section 9.2, note 1


def verify_rsa_pkcs1v15(modulus: int, exponent: int, data: bytes, signature: bytes) -> bool:
    """Check an RSASSA-PKCS1-v1_5 signature with SHA-256 (RFC 8017, section 8.2.2)."""
    octets = (modulus.bit_length() + 7) // 8
    encoded = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(octets, "big")
    info = _SHA256_INFO + hashlib.sha256(data).digest()
    return encoded == b"\x00\x01" + b"\xff" * (octets - len(info) - 3) + b"\x00" + info


def verify_rsa_pss(modulus: int, exponent: int, data: bytes, signature: bytes) -> bool:
    """Check an RSASSA-PSS signature with SHA-256 and a salt of 32 octets (RFC 8017, section 9.1.2)."""
    bits = modulus.bit_length() - 1
    octets = (bits + 7) // 8
    encoded = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(octets, "big")
    masked, digest, end = encoded[:-33], encoded[-33:-1], encoded[-1]
    mask = mask_mgf1(digest, len(masked))
    block = bytearray(a ^ b for a, b in zip(masked, mask, strict=True))
    if masked[0] >> (8 - (8 * octets - bits)) or end != 0xBC:
        return False
    block[0] &= 0xFF >> (8 * octets - bits)
    padding, salt = block[: len(block) - 33], block[len(block) - 32 :]
    if any(padding) or block[len(block) - 33] != 1:
        return False
    return hashlib.sha256(bytes(8) + hashlib.sha256(data).digest() + salt).digest() == digest


def mask_mgf1(seed: bytes, octets: int) -> bytes:
    """Make a mask with SHA-256 (RFC 8017, appendix B.2.1)."""
    counters = (counter.to_bytes(4, "big") for counter in range(octets // 32 + 1))
    return b"".join(hashlib.sha256(seed + counter).digest() for counter in counters)[:octets]
