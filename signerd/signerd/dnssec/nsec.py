"""NSEC chains (RFC 4034, section 4; RFC 4035, section 2.3)."""

from collections.abc import Mapping

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dnssec.canonical import sort_names
from signerd.dnssec.cut import Cuts
from signerd.dnssec.type_bitmap import BitmapCache


def build_nsec_chain(
    origin: Name, names: Mapping[Name, Mapping[int, RRset]], cuts: Cuts, ttl: int
) -> list[RRset]:
    """Make the NSEC RRset of each authoritative name and delegation point, in canonical order.

    Args:
        origin: The apex; the last record points back to it.
        names: All data of the zone but the chain.
        cuts: Of the same names. Hidden names get no record, empty non-terminals neither.
        ttl: Seconds (RFC 9077, section 3).
    """
    owners = sort_names(names.keys() - cuts.hidden if cuts.hidden else names)
    following = [*owners[1:], origin]
    bitmaps = BitmapCache(rt.RRSIG, rt.NSEC)
    delegations = cuts.delegations
    chain: list[RRset] = []
    for owner, next_owner in zip(owners, following, strict=True):
        types = names[owner]
        if owner in delegations:  # RFC 4035 section 2.3: of the data at a cut only NS and DS show
            bitmap = bitmaps.encode((rt.NS, rt.DS) if rt.DS in types else (rt.NS,))
        else:
            bitmap = bitmaps.encode(types)
        chain.append(RRset(owner, rt.NSEC, ttl, (next_owner + bitmap,)))
    return chain
