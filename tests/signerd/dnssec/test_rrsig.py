import hashlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering import to_name
from rfc_vectors import RFC_5702_SECTION_6_1, RFC_6605_SECTION_6_1, RFC_6605_SECTION_6_2, SignedVector
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name, join_labels
from signerd.dns.rrset import RRset
from signerd.dnssec.key import DnsKey
from signerd.dnssec.rrsig import count_signed_labels, make_signer
from signerd.validator.key import read_zone_key

SHA256_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017, section 9.2


@dataclass
class KnownSignature:
    """Stands in for a private key: gives the signature of an RFC, and keeps what it was to sign."""

    dnskey: DnsKey
    signature: bytes = b"signature"
    signed: list[bytes] = field(default_factory=list[bytes])

    def sign(self, data: bytes, /) -> bytes:
        self.signed.append(data)
        return self.signature


def sign(vector: SignedVector) -> tuple[bytes, bytes]:
    """Give the RRSIG RDATA and the octets that were signed."""
    key = KnownSignature(vector.key, vector.signature)
    rdata = make_signer(key, vector.zone, vector.inception)(vector.rrset, vector.expiration)
    return rdata, key.signed[0]


@pytest.mark.parametrize("vector", [RFC_6605_SECTION_6_1, RFC_6605_SECTION_6_2])
def test_signatures_of_rfc_6605_verify_over_what_is_signed_here(vector: SignedVector) -> None:
    rdata, data = sign(vector)
    verify = read_zone_key(vector.key.rdata).verify
    assert verify(vector.signature, data)
    assert not verify(vector.signature, data + b"\x00")
    tag = vector.key_tag.to_bytes(2)
    expected = b"\x00\x01" + bytes((vector.key.algorithm, 3)) + (3600).to_bytes(4)
    times = vector.expiration.to_bytes(4) + vector.inception.to_bytes(4)
    assert rdata == expected + times + tag + vector.zone + vector.signature


def test_signature_of_rfc_5702_is_over_what_is_signed_here() -> None:
    # By hand: its 512 bits are fewer than today's libraries take.
    vector = RFC_5702_SECTION_6_1
    _, data = sign(vector)
    field_octets = vector.key.public_key
    exponent = int.from_bytes(field_octets[1:4])
    modulus = int.from_bytes(field_octets[4:])
    opened = pow(int.from_bytes(vector.signature), exponent, modulus).to_bytes(64)
    tail = b"\x00" + SHA256_DIGEST_INFO + hashlib.sha256(data).digest()
    assert opened == b"\x00\x01" + b"\xff" * (62 - len(tail)) + tail


def test_what_is_signed_is_canonical_whatever_the_zone_file_said() -> None:
    owner = to_name("mx.example.net")
    upper, lower = b"\x00\x0a\x02NS\x00", b"\x00\x05\x02ns\x00"
    key = KnownSignature(RFC_6605_SECTION_6_1.key)
    rrset = RRset(owner, rt.MX, 60, (lower, upper))
    rdata = make_signer(key, to_name("example.net"), 0)(rrset, 2**32 + 5)
    assert rdata[8:16] == bytes((0, 0, 0, 5)) + bytes(4)  # RRSIG times are mod 2**32
    assert key.signed[0].endswith(
        b"\x00\x05\x02ns\x00" + owner + b"\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x06\x00\x0a\x02ns\x00"
    )


@pytest.mark.parametrize(
    ("owner", "labels"),
    [
        (".", 0),
        ("*.", 0),
        ("example.", 1),
        ("*.example.", 1),
        ("a.*.example.", 3),
        ("*.*.example.", 2),
        ("\\042a.example.", 2),
    ],
)
def test_labels_are_counted_without_root_and_wildcard(owner: str, labels: int) -> None:
    assert count_signed_labels(to_name(owner)) == labels


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=10).map(join_labels))
def test_labels_are_all_labels_but_a_leading_asterisk(name: Name) -> None:
    octets = bytes(name)
    labels: list[bytes] = []
    while octets[0]:
        labels.append(octets[1 : 1 + octets[0]])
        octets = octets[1 + octets[0] :]
    assert count_signed_labels(name) == len(labels) - (labels[:1] == [b"*"])
