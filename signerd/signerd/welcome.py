"""What the server prints once it answers: where, the DS records, and a command to try."""

from collections.abc import Sequence
from typing import TextIO

from signerd.config.state_directory import StateDirectory
from signerd.control.listen_address import ListenAddress
from signerd.delegation.ds_export import DsFormat, export_ds
from signerd.delegation.wanted_keys import goes_insecure, list_wanted_keys
from signerd.dns import rdatatype as rt
from signerd.dns.zone import Zone
from signerd.zones.zone_list import format_zone_name

MAX_SHOWN_ZONES = 20  # an operator with more looks at `signerd status`


def print_welcome(
    output: TextIO,
    addresses: Sequence[ListenAddress],
    admin: str | None,
    state: StateDirectory,
    zones: Sequence[Zone | None],
    unpublished: Sequence[str],
) -> None:
    """Print it.

    Args:
        output: Standard output.
        addresses: Where queries are answered.
        admin: URL of the admin API; None if it does not.
        state: Where the token for it is.
        zones: The published ones.
        unpublished: Names of zones that are not.
    """
    served = [zone for zone in zones if zone is not None]
    lines = ["", f"signerd answers on {', '.join(map(str, addresses))} (UDP and TCP)"]
    if admin is not None:
        lines.append(f"admin API: {admin} (token in {state.admin_token})")
    for zone in served[:MAX_SHOWN_ZONES]:
        ds = format_ds(zone).splitlines()
        what = "DS for the parent:" if ds else "goes insecure" if goes_insecure(zone) else "not signed"
        lines += ["", f"zone {format_zone_name(zone.origin)}, serial {zone.serial}; {what}"]
        lines += [f"  {line}" for line in ds]
    if len(served) > MAX_SHOWN_ZONES:
        lines.append(f"and {len(served) - MAX_SHOWN_ZONES} more zones: see 'signerd status'")
    lines += [f"zone {name} could not be published: see above" for name in unpublished]
    if served and addresses:
        first = addresses[0]
        name = format_zone_name(served[0].origin)
        lines += ["", f"try: dig @{first.host} -p {first.port} +dnssec {name} SOA"]
    output.write("\n".join(lines) + "\n")
    output.flush()


def format_url(address: ListenAddress, *, is_tls: bool) -> str:
    """Give the URL of an HTTP server."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{'https' if is_tls else 'http'}://{host}:{address.port}/"


def format_ds(zone: Zone) -> str:
    """Give the DS set that the parent is to have in zone-file form; empty if it is to have none."""
    dnskeys = zone.names[zone.origin].get(rt.DNSKEY)
    keys = list_wanted_keys(zone)
    return "" if dnskeys is None or not keys else export_ds(zone.origin, keys, DsFormat.ZONE, dnskeys.ttl)
