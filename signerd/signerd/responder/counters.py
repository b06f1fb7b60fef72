"""What a responder counts."""

from signerd.dns.rcode import NAMES


class Counters:
    """Plain numbers since the start of the process; written by one thread."""

    __slots__ = (
        "cache_hits",
        "dropped",
        "exceptions",
        "malformed",
        "queries_tcp",
        "queries_udp",
        "rcodes",
        "tcp_connections",
        "tcp_refused",
        "truncated",
    )

    def __init__(self) -> None:
        """Begin at zero."""
        self.queries_udp = 0
        self.queries_tcp = 0
        self.cache_hits = 0  # answers found by the whole packet
        self.truncated = 0
        self.dropped = 0  # no answer: not a query, or the socket did not take it
        self.malformed = 0  # FORMERR
        self.exceptions = 0  # see the guard in responder.py
        self.tcp_connections = 0
        self.tcp_refused = 0  # connections above a limit
        self.rcodes = [0] * 16  # by the header's four bits

    def as_object(self) -> dict[str, object]:
        """Give the counters as a JSON object."""
        numbers: dict[str, object] = {
            name: getattr(self, name) for name in self.__slots__ if name != "rcodes"
        }
        numbers["rcodes"] = {
            NAMES.get(number, f"RCODE{number}"): count for number, count in enumerate(self.rcodes) if count
        }
        return numbers
