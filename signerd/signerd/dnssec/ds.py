"""Delegation signer records, and CDS and CDNSKEY, which ask the parent for them."""

import hashlib
from typing import Final

from signerd.dns.name import Name
from signerd.dnssec.key import DnsKey

SHA256: Final = 2  # RFC 4509
SHA384: Final = 4  # RFC 6605, section 2
DIGEST_TYPES: Final = (SHA256, SHA384)
"""The digest types in use here; types 1 and 3 are never made (RFC 8624, section 3.3)."""

DIGEST_NAMES: Final = {SHA256: "SHA-256", SHA384: "SHA-384"}
DELETE_CDS: Final = bytes.fromhex("0000000000")  # RFC 8078, section 4: 0 0 0 00
DELETE_CDNSKEY: Final = bytes.fromhex("0000030000")  # RFC 8078, section 4: 0 3 0 AA==
"""What CDS and CDNSKEY are, alone, in a zone whose parent is to remove all DS records."""

_HASHES: Final = {SHA256: hashlib.sha256, SHA384: hashlib.sha384}


def make_ds(zone: Name, key: DnsKey, digest_type: int) -> bytes:
    """Make the RDATA of a DS record, which is a CDS record's too (RFC 4034, section 5.1; RFC 7344).

    Args:
        zone: Apex of the zone that the key signs, lower-cased.
        key: A KSK or CSK.
        digest_type: SHA256 or SHA384.

    Raises:
        KeyError: Another digest type.
    """
    rdata = key.rdata
    digest = _HASHES[digest_type](zone + rdata).digest()
    return key.key_tag.to_bytes(2) + bytes((key.algorithm, digest_type)) + digest


def make_ds_set(zone: Name, key: DnsKey) -> tuple[bytes, ...]:
    """Make the DS RDATA of all digest types in use."""
    return tuple(make_ds(zone, key, digest_type) for digest_type in DIGEST_TYPES)
