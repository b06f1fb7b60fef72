"""Signatures over RRsets (RFC 4034, section 3)."""

from collections.abc import Sequence
from operator import add
from struct import Struct

from signerd.dns.name import Name, is_wildcard
from signerd.dns.rrset import RRset
from signerd.dnssec.canonical import encode_rrset
from signerd.dnssec.key import BatchSigningKey, SigningKey

_pack_head = Struct("!HBBIIIH").pack  # type covered, algorithm, labels, TTL, expiration, inception, key tag
_MASK = 0xFFFFFFFF  # RRSIG times are epoch seconds mod 2**32 (RFC 4034, section 3.1.5)


class RRsetSigner:
    """Signs RRsets of a zone with one key, for one inception."""

    __slots__ = ("_algorithm", "_inception", "_key_tag", "_sign", "_sign_many", "_zone")

    def __init__(self, key: SigningKey, zone: Name, inception: int) -> None:
        """Prepare; see `make_signer`."""
        self._algorithm, self._key_tag, self._sign = key.dnskey.algorithm, key.dnskey.key_tag, key.sign
        self._sign_many = key.sign_many if isinstance(key, BatchSigningKey) else None
        self._zone = zone
        self._inception = inception & _MASK

    def __call__(self, rrset: RRset, expiration: int) -> bytes:
        """Give the RRSIG RDATA for an RRset with the given expiration (epoch seconds)."""
        head = self._make_head(rrset, expiration)
        return head + self._sign(head + encode_rrset(rrset))

    def sign_all(self, rrsets: Sequence[RRset], expirations: Sequence[int]) -> list[bytes]:
        """Give the RRSIG RDATA for RRsets with the given expirations (epoch seconds).

        What Python has to do comes before and after the signing proper, which then runs in one go: threads
        that sign at the same time need the interpreter lock for no more than a moment between two signatures.
        """
        heads = list(map(self._make_head, rrsets, expirations))
        signed_data = [head + encode_rrset(rrset) for head, rrset in zip(heads, rrsets, strict=True)]
        if self._sign_many is not None:
            signatures = self._sign_many(signed_data)
        else:
            signatures = list(map(self._sign, signed_data))
        return list(map(add, heads, signatures))

    def _make_head(self, rrset: RRset, expiration: int) -> bytes:
        owner, rdatatype, ttl, _, _ = rrset
        labels = count_signed_labels(owner)
        times = expiration & _MASK, self._inception
        return _pack_head(rdatatype, self._algorithm, labels, ttl, *times, self._key_tag) + self._zone


def make_signer(key: SigningKey, zone: Name, inception: int) -> RRsetSigner:
    """Prepare the signing of many RRsets of a zone with one key.

    Args:
        key: The signing key; its public half is in the zone's DNSKEY RRset.
        zone: The apex, lower-cased: the signer's name.
        inception: Epoch seconds.
    """
    return RRsetSigner(key, zone, inception)


def count_signed_labels(owner: bytes) -> int:
    """Count labels as the Labels field does: without the root and a leading `*` (RFC 4034, section 3.1.3)."""
    count = position = 0
    while length := owner[position]:
        count += 1
        position += 1 + length
    return count - is_wildcard(owner)
