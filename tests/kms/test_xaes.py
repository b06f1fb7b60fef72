import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd_kms import xaes
from signerd_kms.errors import UnwrapFailed

NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"


@pytest.mark.parametrize(
    ("key", "associated_data", "expected"),
    [
        (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (
            b"\x03" * 32,
            b"c2sp.org/XAES-256-GCM",
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
        ),
    ],
)
def test_matches_the_published_vectors(key: bytes, associated_data: bytes, expected: str) -> None:
    sealed = xaes.encrypt(key, NONCE, b"XAES-256-GCM", associated_data)
    assert sealed.hex() == expected
    assert xaes.decrypt(key, NONCE, sealed, associated_data) == b"XAES-256-GCM"


def test_matches_the_published_accumulated_test() -> None:
    """C2SP XAES-256-GCM: 10,000 messages drawn from SHAKE-128, hashed together."""
    rounds = 10_000
    stream = hashlib.shake_128(b"").digest(rounds * (32 + 24 + 2 * 256))
    position = 0

    def draw(octets: int) -> bytes:
        nonlocal position
        position += octets
        return stream[position - octets : position]

    total = hashlib.shake_128()
    for _ in range(rounds):
        key, nonce = draw(32), draw(24)
        plaintext = draw(draw(1)[0])
        associated_data = draw(draw(1)[0])
        total.update(xaes.encrypt(key, nonce, plaintext, associated_data))
    assert total.hexdigest(32) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"


@given(st.binary(min_size=32, max_size=32), st.binary(), st.binary())
def test_open_undoes_seal(key: bytes, plaintext: bytes, associated_data: bytes) -> None:
    key = bytes(bytearray(key))
    assert xaes.open_sealed(key, xaes.seal(key, plaintext, associated_data), associated_data) == plaintext


@given(st.data())
def test_a_changed_bit_or_a_cut_does_not_open(data: st.DataObject) -> None:
    sealed = xaes.seal(b"k" * 32, b"secret octets", b"policy")
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << (bit % 8)
    cut = data.draw(st.integers(0, len(sealed) - 1))
    for wrong in (bytes(changed), sealed[:cut]):
        with pytest.raises(UnwrapFailed):
            xaes.open_sealed(b"k" * 32, wrong, b"policy")
