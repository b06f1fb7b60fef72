"""Which keys of a served zone its parent is to point to."""

from typing import Final

from signerd.delegation.delegation_key import DelegationKey, read_key
from signerd.dns import rdatatype as rt
from signerd.dns.zone import Zone

_DELETE_CDNSKEY: Final = bytes.fromhex("0000030000")  # RFC 8078, section 4


def goes_insecure(zone: Zone) -> bool:
    """Whether the zone asks its parent to remove all DS records (RFC 8078, section 4)."""
    cdnskeys = zone.names[zone.origin].get(rt.CDNSKEY)
    return cdnskeys is not None and _DELETE_CDNSKEY in cdnskeys.rdatas


def list_wanted_keys(zone: Zone) -> list[DelegationKey]:
    """Give the keys that the parent is to have DS records of, in the order of their tags.

    They are taken from the published zone: a DS must never name a key that is not served. While keys are
    replaced, CDNSKEY records say which of them it is to name (RFC 7344, section 4).

    Args:
        zone: As it is served.

    Returns:
        None at all if the zone has no keys or goes insecure.
    """
    dnskeys, cdnskeys = (zone.names[zone.origin].get(rdatatype) for rdatatype in (rt.DNSKEY, rt.CDNSKEY))
    keys = [read_key(rdata) for rdata in dnskeys.rdatas] if dnskeys else []
    keys = [key for key in keys if key.is_secure_entry_point and not key.is_revoked]
    if cdnskeys is not None:
        keys = [key for key in keys if key.rdata in cdnskeys.rdatas]
    return sorted(keys, key=lambda key: key.key_tag)
