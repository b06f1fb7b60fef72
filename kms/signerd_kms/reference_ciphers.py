"""Ciphers and MACs put together anew from their definitions: a second opinion for the self-test.

Slow and not constant-time: only for keys that are dropped at once. Of the library only the AES block is used.
"""

import hashlib
import struct
from collections.abc import Iterator

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from signerd_kms.reference_signatures import mask_mgf1

_TAG_OCTETS = 16


def open_aes_gcm(key: bytes, nonce: bytes, body: bytes, associated_data: bytes) -> bytes | None:
    """Open AES-GCM with a nonce of 96 bits (SP 800-38D, algorithm 5); None if the tag is wrong."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # single blocks
    ciphertext, tag = body[:-_TAG_OCTETS], body[-_TAG_OCTETS:]
    hash_key = int.from_bytes(encryptor.update(bytes(16)), "big")
    total = 0
    lengths = struct.pack(">QQ", 8 * len(associated_data), 8 * len(ciphertext))
    for block in (*_split(associated_data), *_split(ciphertext), lengths):
        total = _multiply_gf128(total ^ int.from_bytes(block.ljust(16, b"\0"), "big"), hash_key)
    expected = total ^ int.from_bytes(encryptor.update(nonce + bytes((0, 0, 0, 1))), "big")
    if expected.to_bytes(16, "big") != tag:
        return None
    stream = b"".join(
        encryptor.update(nonce + counter.to_bytes(4, "big"))
        for counter in range(2, 3 + len(ciphertext) // 16)
    )
    return _xor(ciphertext, stream)


def _multiply_gf128(one: int, other: int) -> int:
    """Multiply in the field of GCM, whose bits run the other way (SP 800-38D, algorithm 1)."""
    product = 0
    for bit in range(127, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (0xE1 << 120 if other & 1 else 0)
    return product


def open_chacha20_poly1305(key: bytes, nonce: bytes, body: bytes, associated_data: bytes) -> bytes | None:
    """Open ChaCha20-Poly1305 (RFC 8439, section 2.8); None if the tag is wrong."""
    ciphertext, tag = body[:-_TAG_OCTETS], body[-_TAG_OCTETS:]
    one_time = _make_chacha20_block(key, 0, nonce)
    message = b"".join(
        (
            _pad(associated_data),
            _pad(ciphertext),
            struct.pack("<QQ", len(associated_data), len(ciphertext)),
        )
    )
    if _compute_poly1305(one_time[:32], message) != tag:
        return None
    stream = b"".join(_make_chacha20_block(key, 1 + n, nonce) for n in range(len(ciphertext) // 64 + 1))
    return _xor(ciphertext, stream)


def _make_chacha20_block(key: bytes, counter: int, nonce: bytes) -> bytes:
    """Make 64 octets of the key stream (RFC 8439, section 2.3)."""
    start = list(struct.unpack("<16I", b"expand 32-byte k" + key + counter.to_bytes(4, "little") + nonce))
    state = start.copy()
    for _ in range(10):
        for quarter in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            _turn_quarter(state, *quarter)
        for quarter in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            _turn_quarter(state, *quarter)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(start, state, strict=True)))


def _turn_quarter(state: list[int], a: int, b: int, c: int, d: int) -> None:
    for target, source, turned, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[target] = (state[target] + state[source]) & 0xFFFFFFFF
        word = state[turned] ^ state[target]
        state[turned] = (word << bits | word >> (32 - bits)) & 0xFFFFFFFF


def _compute_poly1305(key: bytes, message: bytes) -> bytes:
    """Compute a one-time MAC (RFC 8439, section 2.5)."""
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for block in _split(message):
        total = (total + int.from_bytes(block + b"\x01", "little")) * r % (2**130 - 5)
    return (total + int.from_bytes(key[16:], "little")).to_bytes(17, "little")[:16]


def compute_hmac(key: bytes, data: bytes, hash_name: str) -> bytes:
    """Compute an HMAC from two hashes (RFC 2104), for keys not longer than a block."""
    block = hashlib.new(hash_name).block_size
    padded = key.ljust(block, b"\0")
    inner = hashlib.new(hash_name, bytes(octet ^ 0x36 for octet in padded) + data).digest()
    return hashlib.new(hash_name, bytes(octet ^ 0x5C for octet in padded) + inner).digest()


def open_rsa_oaep(p: int, q: int, exponent: int, ciphertext: bytes) -> bytes | None:
    """Open RSAES-OAEP with SHA-256 and an empty label (RFC 8017, section 7.1.2); None if it is malformed.

    Args:
        p: A prime.
        q: The other.
        exponent: The private one.
        ciphertext: As long as the modulus.
    """
    octets = ((p * q).bit_length() + 7) // 8
    number = int.from_bytes(ciphertext, "big")
    by_p, by_q = (pow(number, exponent % (prime - 1), prime) for prime in (p, q))
    encoded = (by_q + q * ((by_p - by_q) * pow(q, -1, p) % p)).to_bytes(octets, "big")
    masked_seed, masked_block = encoded[1:33], encoded[33:]
    seed = _xor(masked_seed, mask_mgf1(masked_block, 32))
    block = _xor(masked_block, mask_mgf1(seed, len(masked_block)))
    rest = block[32:].lstrip(b"\0")
    if encoded[0] or block[:32] != hashlib.sha256(b"").digest() or rest[:1] != b"\x01":
        return None
    return rest[1:]


def _split(octets: bytes) -> Iterator[bytes]:
    return (octets[at : at + 16] for at in range(0, len(octets), 16))


def _pad(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 16)


def _xor(octets: bytes, mask: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(octets, mask, strict=False))
