"""Signatures over RRsets (RFC 4034, section 3)."""

from collections.abc import Callable
from struct import Struct

from signerd.dns.name import Name, is_wildcard
from signerd.dns.rrset import RRset
from signerd.dnssec.canonical import encode_rrset
from signerd.dnssec.key import SigningKey

_TYPE_TO_KEY_TAG = Struct("!HBBIIIH")  # type covered, algorithm, labels, TTL, expiration, inception, key tag
_MASK = 0xFFFFFFFF  # RRSIG times are epoch seconds mod 2**32 (RFC 4034, section 3.1.5)

SignRRset = Callable[[RRset, int], bytes]
"""Gives the RRSIG RDATA for an RRset with the given expiration (epoch seconds)."""


def make_signer(key: SigningKey, zone: Name, inception: int) -> SignRRset:
    """Prepare the signing of many RRsets of a zone with one key.

    Args:
        key: The signing key; its public half is in the zone's DNSKEY RRset.
        zone: The apex, lower-cased: the signer's name.
        inception: Epoch seconds.
    """
    algorithm, key_tag, sign = key.dnskey.algorithm, key.dnskey.key_tag, key.sign
    pack = _TYPE_TO_KEY_TAG.pack
    inception &= _MASK

    def sign_rrset(rrset: RRset, expiration: int) -> bytes:
        owner, rdatatype, ttl, _, _ = rrset
        labels = count_signed_labels(owner)
        head = pack(rdatatype, algorithm, labels, ttl, expiration & _MASK, inception, key_tag) + zone
        return head + sign(head + encode_rrset(rrset))

    return sign_rrset


def count_signed_labels(owner: bytes) -> int:
    """Count labels as the Labels field does: without the root and a leading `*` (RFC 4034, section 3.1.3)."""
    count = position = 0
    while length := owner[position]:
        count += 1
        position += 1 + length
    return count - is_wildcard(owner)
