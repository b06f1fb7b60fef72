"""Name servers of parents that somebody declared dead: their silence holds up no key change."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from signerd.delegation.parent_view import ServerAnswer, mark_ignored
from signerd.store.zone_tables import ignored_parent_servers
from signerd.zone_dnssec.errors import ParentServerRefused

DEFAULT_SECONDS: Final = 14 * 86400  # the longest that a key change usually takes
MOST_SECONDS: Final = 90 * 86400  # a server that comes back must not be overlooked for good
MOST_SERVERS: Final = 64  # of one zone; no more are asked
_DNS_PORT: Final = 53


@dataclass(frozen=True, slots=True)
class IgnoredServer:
    """One of them.

    Attributes:
        server: `<address>#<port>`, as in the answers of probes.
        since: Epoch seconds.
        until: Likewise; from then on its silence counts again.
        actor: Who declared it dead; None for a background job.
    """

    server: str
    since: int
    until: int
    actor: str | None


def read_server(text: str) -> str:
    """Bring an address, with `#` or `@` and a port or without, to the form of the answers.

    Raises:
        ParentServerRefused: It is none.
    """
    host, separator, port = text.replace("@", "#").partition("#")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ParentServerRefused(f"server: {text!r} is no address") from None
    if separator and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ParentServerRefused(f"server: {text!r} has no port after its address")
    return f"{address}#{int(port) if separator else _DNS_PORT}"


def list_ignored(connection: Connection, zone: str, now: int) -> list[IgnoredServer]:
    """List the servers that are ignored for a zone.

    Args:
        connection: Reads.
        zone: Its name without trailing dot.
        now: Epoch seconds; what has run out is left out.
    """
    table = ignored_parent_servers
    query = select(table).where(table.c.zone == f"{zone}.", table.c.until > now).order_by(table.c.server)
    return [IgnoredServer(row.server, row.since, row.until, row.actor) for row in connection.execute(query)]


def store_ignored(connection: Connection, zone: str, server: IgnoredServer) -> None:
    """Have a server ignored; one that is so already gets the new end.

    Raises:
        ParentServerRefused: Too many are.
    """
    others = [
        known for known in list_ignored(connection, zone, server.since) if known.server != server.server
    ]
    if len(others) >= MOST_SERVERS:
        raise ParentServerRefused(f"server: {MOST_SERVERS} servers are ignored already")
    drop_ignored(connection, zone, server.server)
    connection.execute(
        insert(ignored_parent_servers).values(
            zone=f"{zone}.",
            server=server.server,
            since=server.since,
            until=server.until,
            actor=server.actor,
        )
    )


def drop_ignored(connection: Connection, zone: str, server: str) -> bool:
    """Have a server count again; say if it was ignored."""
    table = ignored_parent_servers
    found = connection.execute(delete(table).where(table.c.zone == f"{zone}.", table.c.server == server))
    return found.rowcount > 0


def mark_answers(
    connection: Connection, zone: str, answers: Sequence[ServerAnswer], now: int
) -> tuple[ServerAnswer, ...]:
    """Note in the answers of a probe whose silence is ignored; call it before a view takes them in.

    Args:
        connection: Reads.
        zone: Its name without trailing dot.
        answers: One for each server.
        now: Epoch seconds.
    """
    return mark_ignored(answers, {known.server for known in list_ignored(connection, zone, now)})
