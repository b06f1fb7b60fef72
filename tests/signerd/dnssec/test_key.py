import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from hypothesis import given
from hypothesis import strategies as st

from answering import to_name
from rfc_vectors import (
    RFC_4034_SECTION_5_4,
    RFC_5702_SECTION_6_1,
    RFC_6605_SECTION_6_1,
    RFC_6605_SECTION_6_2,
    SignedVector,
)
from signerd.dns.name import parse_name
from signerd.dnssec.ds import SHA256, SHA384, make_ds, make_ds_set
from signerd.dnssec.key import DnsKey, clashes, compute_key_tag

keys = st.builds(
    DnsKey, st.sampled_from([256, 257, 384, 385]), st.sampled_from([8, 13, 14, 15]), st.binary(max_size=300)
)


def read_with_dnspython(key: DnsKey) -> DNSKEY:
    rdata = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, key.rdata, 0, len(key.rdata))
    assert isinstance(rdata, DNSKEY)
    return rdata


@pytest.mark.parametrize("vector", [RFC_6605_SECTION_6_1, RFC_6605_SECTION_6_2, RFC_5702_SECTION_6_1])
def test_key_tags_of_rfc_6605_and_rfc_5702(vector: SignedVector) -> None:
    assert vector.key.key_tag == vector.key_tag


def test_key_tag_of_rfc_4034_section_5_4() -> None:
    assert RFC_4034_SECTION_5_4.key_tag == 60485


@pytest.mark.parametrize("vector", [RFC_6605_SECTION_6_1, RFC_6605_SECTION_6_2])
def test_ds_digests_of_rfc_6605(vector: SignedVector) -> None:
    assert vector.ds is not None
    digest_type, digest = vector.ds
    head = vector.key_tag.to_bytes(2) + bytes((vector.key.algorithm, digest_type))
    assert make_ds(vector.zone, vector.key, digest_type) == head + digest


def test_ds_digest_of_rfc_4509_section_2_3() -> None:
    digest = bytes.fromhex("D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A")
    ds = make_ds(to_name("dskey.example.com"), RFC_4034_SECTION_5_4, SHA256)
    assert ds == (60485).to_bytes(2) + b"\x05\x02" + digest


@pytest.mark.parametrize("digest_type", [0, 1, 3, 5])
def test_other_digest_types_are_not_made(digest_type: int) -> None:
    with pytest.raises(KeyError):
        make_ds(to_name("example"), RFC_4034_SECTION_5_4, digest_type)


@given(keys)
def test_key_tags_are_those_of_dnspython(key: DnsKey) -> None:
    assert key.key_tag == dns.dnssec.key_id(read_with_dnspython(key))


@given(keys.filter(lambda key: key.flags & 0x80 == 0))
def test_ds_digests_are_those_of_dnspython(key: DnsKey) -> None:
    zone = parse_name("signed.example.")
    for digest_type, name in ((SHA256, "SHA256"), (SHA384, "SHA384")):
        made = dns.dnssec.make_ds(dns.name.from_wire(zone, 0)[0], read_with_dnspython(key), name)
        assert make_ds(zone, key, digest_type) == made.to_wire()
    assert [ds[3] for ds in make_ds_set(zone, key)] == [SHA256, SHA384]


@given(keys)
def test_rdata_is_read_back(key: DnsKey) -> None:
    assert DnsKey.from_rdata(key.rdata) == key
    assert key.is_ksk == bool(key.flags & 1)


@given(keys)
def test_the_tag_after_revocation_is_that_of_the_revoked_key(key: DnsKey) -> None:
    revoked = DnsKey(key.flags | 0x80, key.algorithm, key.public_key)
    assert key.revoked_key_tag == revoked.key_tag


def test_keys_clash_when_a_tag_of_the_one_is_any_tag_of_the_other() -> None:
    # A tag is a sum of 16-bit words (RFC 4034, appendix B), so one can be made by choosing a word.
    key = DnsKey(257, 13, b"\x10\x00")
    same = DnsKey(257, 13, b"\x00\x00\x10\x00")
    revoked_alike = DnsKey(257, 13, b"\x10\x80")
    other = DnsKey(257, 13, b"\x12\x34")
    assert key.key_tag == same.key_tag
    assert clashes(key, same)
    assert key.revoked_key_tag == revoked_alike.key_tag
    assert clashes(key, revoked_alike)
    assert clashes(revoked_alike, key)
    assert not clashes(key, other)


@given(st.binary(max_size=8000))
def test_key_tags_of_any_length_follow_the_reference_code(rdata: bytes) -> None:
    total = sum(octet if number & 1 else octet << 8 for number, octet in enumerate(rdata))
    total += total >> 16 & 0xFFFF
    assert compute_key_tag(rdata) == total & 0xFFFF
