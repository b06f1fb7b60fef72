"""The address of a client, also behind proxies that are trusted."""

import ipaddress
from collections.abc import Sequence
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_HOPS: Final = 20  # bounds the work on one header


class ClientAddresses:
    """Knows which peers are proxies of the operator."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def is_trusted(self, address: str) -> bool:
        """Say if an address is one of a trusted proxy."""
        if not self._trusted:
            return False
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._trusted)

    def resolve(self, peer: str, forwarded: Sequence[str], real: Sequence[str] = ()) -> str:
        """Give the client's address.

        Args:
            peer: Other end of the connection.
            forwarded: All values of X-Forwarded-For; without a trusted peer they are anybody's words.
            real: All values of X-Real-IP, which counts where there is no X-Forwarded-For.

        Returns:
            The last address before the trusted proxies, which is the one they saw themselves.
        """
        if not (forwarded or real) or not self.is_trusted(peer):
            return peer
        if not forwarded:
            named = _parse(real[0].strip()) if len(real) == 1 else None
            return peer if named is None else str(named)
        address = peer
        hops = [hop.strip() for value in forwarded for hop in value.split(",")]
        for hop in reversed(hops[-MAX_HOPS:]):
            parsed = _parse(hop)
            if parsed is None:
                return address
            address = str(parsed)
            if not self.is_trusted(address):
                return address
        return address


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed
