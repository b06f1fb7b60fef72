"""Names that the public DNS delegates to nobody, so that there is no parent to ask."""

from typing import Final

from signerd.dns.name import Name, is_subdomain, parse_name

_SPECIAL: Final = tuple(
    parse_name(text)
    for text in (
        "test.",  # RFC 6761, as are those up to example.org
        "localhost.",
        "invalid.",
        "example.",
        "example.com.",
        "example.net.",
        "example.org.",
        "local.",  # RFC 6762
        "onion.",  # RFC 7686
        "home.arpa.",  # RFC 8375
        "alt.",  # RFC 9476
        "internal.",  # reserved by ICANN
        "10.in-addr.arpa.",  # RFC 6303, section 4.2
        *(f"{number}.172.in-addr.arpa." for number in range(16, 32)),
        "168.192.in-addr.arpa.",
        "0.in-addr.arpa.",  # RFC 6303, section 4.3
        "127.in-addr.arpa.",
        "254.169.in-addr.arpa.",
        "2.0.192.in-addr.arpa.",  # RFC 5737: addresses for documentation
        "100.51.198.in-addr.arpa.",
        "113.0.203.in-addr.arpa.",
        "8.b.d.0.1.0.0.2.ip6.arpa.",  # RFC 6303, section 4.6
        "d.f.ip6.arpa.",  # RFC 6303, section 4.5
        "127.in-addr.arpa.",  # section 4.2 too, as are the documentation prefixes
        "2.0.192.in-addr.arpa.",
        "100.51.198.in-addr.arpa.",
        "113.0.203.in-addr.arpa.",
        "8.b.d.0.1.0.0.2.ip6.arpa.",  # section 4.4
        "d.f.ip6.arpa.",  # RFC 4193, by RFC 6303, section 4.4
    )
)


def is_special(zone: Name) -> bool:
    """Say if a zone is one of these names, or below one."""
    return any(is_subdomain(zone, name) for name in _SPECIAL)
