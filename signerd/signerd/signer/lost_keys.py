"""Whether the keys at hand are those that the published version of a zone rests on."""

from collections.abc import Collection

from signerd.delegation.delegation_key import read_key
from signerd.dns import rdatatype as rt
from signerd.dns.zone import Zone
from signerd.dnssec.key import DnsKey


def explain_lost_keys(published: Zone | None, keys: Collection[DnsKey]) -> str | None:
    """Say that no KSK of the published version is known any more; None if one is, or there was none.

    The parent's DS is for one of those: signed with new ones only, the zone would be bogus to every resolver
    that validates.
    """
    dnskeys = None if published is None else published.names[published.origin].get(rt.DNSKEY)
    if published is None or dnskeys is None:
        return None
    points = [key for key in map(read_key, dnskeys.rdatas) if key.is_secure_entry_point]
    known = {(ksk.algorithm, ksk.public_key) for ksk in keys}
    if not points or any((key.algorithm, key.public_key) in known for key in points):
        return None
    tags = ", ".join(str(key.key_tag) for key in points)
    return (
        f"the published version has KSK {tags}, which is not in the database: put back the database that it "
        "was made with. To begin with a new KSK, and so a new DS, take the zone's file away, use "
        "'signerd forget', and put the file back"
    )
