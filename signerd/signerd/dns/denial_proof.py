"""Which NSEC or NSEC3 RRsets a response needs (RFC 4035, section 3.1.3; RFC 5155, section 7.2)."""

from signerd.dns.denial_chain import Nsec3Chain, NsecChain
from signerd.dns.name import Name
from signerd.dns.rdatatype import NSEC
from signerd.dns.rrset import RRset
from signerd.dns.zone_index import ZoneIndex


class Proof:
    """Collects the RRsets of one zone's proofs, each once."""

    __slots__ = ("_chain", "_index", "rrsets")

    def __init__(self, index: ZoneIndex, *, is_wanted: bool = True) -> None:
        """Begin with nothing; a zone without a chain proves nothing, nor is anything proved if not wanted."""
        self._index = index
        self._chain = index.denial if is_wanted else None
        self.rrsets: list[RRset] = []

    def _add(self, rrset: RRset | None) -> None:
        if rrset is None:
            return
        for other in self.rrsets:
            if other is rrset:
                return
        self.rrsets.append(rrset)

    def prove_no_data(self, name: Name) -> None:
        """Prove that an existing name lacks a type (RFC 4035, 3.1.3.1; RFC 5155, 7.2.3 and 7.2.4).

        The same shows that a delegation has no DS (RFC 4035, 3.1.4; RFC 5155, 7.2.7).
        """
        match self._chain:
            case NsecChain() as chain:
                # At an empty non-terminal the covering NSEC proves it: its next name is below.
                self._add(self._index.find_types(name).get(NSEC) or chain.find(name))
            case Nsec3Chain() as chain:
                match = chain.find_match(name)
                if match is None:  # left out of the chain by opt-out
                    self._prove_closest_encloser(chain, name)
                else:
                    self._add(match)
            case None:
                pass

    def prove_no_name(self, name: Name, encloser: Name, next_closer: Name) -> None:
        """Prove that neither a name nor its wildcard exists (RFC 4035, 3.1.3.2; RFC 5155, 7.2.2)."""
        match self._chain:
            case Nsec3Chain() as chain:
                proven = self._prove_closest_encloser(chain, next_closer)
                self._add(chain.find_cover(Name(b"\x01*" + proven)))
            case NsecChain() as chain:
                self._add(chain.find(name))
                self._add(chain.find(Name(b"\x01*" + encloser)))
            case None:
                pass

    def prove_wildcard_answer(self, name: Name, next_closer: Name) -> None:
        """Prove that a synthesised answer has no closer match (RFC 4035, 3.1.3.3; RFC 5155, 7.2.6)."""
        match self._chain:
            case NsecChain() as chain:
                self._add(chain.find(name))
            case Nsec3Chain() as chain:
                self._add(chain.find_cover(next_closer))
            case None:
                pass

    def prove_wildcard_no_data(self, name: Name, wildcard: Name, next_closer: Name) -> None:
        """Prove that a name's wildcard lacks a type (RFC 4035, 3.1.3.4; RFC 5155, 7.2.5)."""
        match self._chain:
            case NsecChain() as chain:
                self._add(self._index.find_types(wildcard).get(NSEC) or chain.find(wildcard))
                self._add(chain.find(name))
            case Nsec3Chain() as chain:
                self._prove_closest_encloser(chain, next_closer)
                # With opt-out an empty non-terminal of that name may be missing; then its cover must do.
                self._add(chain.find_match(wildcard) or chain.find_cover(wildcard))
            case None:
                pass

    def _prove_closest_encloser(self, chain: Nsec3Chain, name: Name) -> Name:
        """Add the closest (provable) encloser proof for a name without NSEC3 RR (RFC 5155, 7.2.1).

        Returns:
            The closest encloser that has an NSEC3 RR.
        """
        next_closer = name
        while len(next_closer) > len(self._index.apex):
            encloser = Name(next_closer[1 + next_closer[0] :])
            match = chain.find_match(encloser)
            if match is not None:
                self._add(match)
                self._add(chain.find_cover(next_closer))
                return encloser
            next_closer = encloser
        return self._index.apex  # not reached in a whole chain: the apex has an NSEC3 RR
