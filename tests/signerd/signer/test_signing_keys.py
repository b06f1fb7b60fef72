import copy
import pickle
from collections.abc import Callable

import dns.dnssec
import dns.name
import dns.node
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signerd.dns import rdatatype as rt
from signerd.dns.name import parse_name
from signerd.dns.rrset import RRset
from signerd.dnssec.algorithm import ECDSAP256SHA256, ECDSAP384SHA384, RSASHA256
from signerd.dnssec.key import SigningKey
from signerd.dnssec.rrsig import make_signer
from signerd.signer.signing_keys import (
    LocalSigningKey,
    WrongPrivateKey,
    encode_private_key,
    generate_private_key,
    read_private_key,
    read_public_half,
)

ALGORITHMS = [RSASHA256, ECDSAP256SHA256, ECDSAP384SHA384]
ORIGIN = parse_name("keys.test.")
NOW = 1_800_000_000
DATA = RRset(parse_name("www.keys.test."), rt.A, 3600, (bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))))


def check_with_dnspython(key: SigningKey) -> None:
    """Make an RRSIG with a key and have another program's library verify it."""
    rrsig = make_signer(key, ORIGIN, NOW - 3600)(DATA, NOW + 3600)
    origin = dns.name.from_wire(ORIGIN, 0)[0]

    def to_set(owner: bytes, rdatatype: int, *rdatas: bytes) -> dns.rrset.RRset:
        made = [
            dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType(rdatatype), rdata, 0, len(rdata))
            for rdata in rdatas
        ]
        return dns.rrset.from_rdata_list(dns.name.from_wire(owner, 0)[0], 3600, made)

    keyring: dict[dns.name.Name, dns.rdataset.Rdataset | dns.node.Node] = {
        origin: to_set(ORIGIN, rt.DNSKEY, key.dnskey.rdata)
    }
    signed, rrsigs = to_set(DATA.owner, rt.A, *DATA.rdatas), to_set(DATA.owner, rt.RRSIG, rrsig)
    dns.dnssec.validate(signed, rrsigs, keyring, None, NOW)  # pyright: ignore[reportUnknownMemberType]


def make_local_key(algorithm: int) -> tuple[LocalSigningKey, bytes]:
    private_key = generate_private_key(algorithm)
    return LocalSigningKey(private_key, read_public_half(private_key, 256)), encode_private_key(private_key)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_library_verifies_a_local_key(algorithm: int) -> None:
    key, _ = make_local_key(algorithm)
    assert key.dnskey.algorithm == algorithm
    for _ in range(8):  # r and s are of differing length
        check_with_dnspython(key)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_stored_key_comes_back_as_it_was(algorithm: int) -> None:
    key, octets = make_local_key(algorithm)
    again = read_private_key(octets, key.dnskey)
    assert again.dnskey == key.dnskey
    check_with_dnspython(again)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_private_key_of_another_dnskey_is_refused(algorithm: int) -> None:
    _, octets = make_local_key(algorithm)
    for other in ALGORITHMS:
        stranger, _ = make_local_key(other)
        with pytest.raises(WrongPrivateKey, match=f"key {stranger.dnskey.key_tag}$"):
            read_private_key(octets, stranger.dnskey)


def test_a_private_key_of_a_kind_that_signs_no_zone_is_refused() -> None:
    octets = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    key, _ = make_local_key(ECDSAP256SHA256)
    with pytest.raises(WrongPrivateKey, match="another kind"):
        read_private_key(octets, key.dnskey)


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_local_key_cannot_be_copied(duplicate: Callable[[object], object]) -> None:
    key, _ = make_local_key(ECDSAP256SHA256)
    with pytest.raises(TypeError, match="cannot be pickled"):
        duplicate(key)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_printed_key_shows_nothing_secret(algorithm: int) -> None:
    private_key = generate_private_key(algorithm)
    key = LocalSigningKey(private_key, read_public_half(private_key, 256))
    if isinstance(private_key, rsa.RSAPrivateKey):
        numbers = private_key.private_numbers()
        secrets = [numbers.d, numbers.p, numbers.q]
    else:
        assert isinstance(private_key, ec.EllipticCurvePrivateKey)
        secrets = [private_key.private_numbers().private_value]
    shown = f"{key!r} {key} {key.dnskey!r} {key.sign!r}".lower()
    for secret in secrets:
        assert str(secret) not in shown
        assert f"{secret:x}" not in shown
