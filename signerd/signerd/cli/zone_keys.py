"""The key-signing keys of a zone, as it is served."""

from signerd.cli.command_errors import CommandFailed
from signerd.cli.control_client import send_command
from signerd.cli.published_zones import load_published
from signerd.cli.rollover_report import read_report
from signerd.config.state_directory import StateDirectory
from signerd.delegation.delegation_key import DelegationKey
from signerd.delegation.wanted_keys import goes_insecure, list_wanted_keys
from signerd.dns.name import Name
from signerd.zones.zone_list import format_zone_name


def find_delegation_keys(state: StateDirectory, zone: Name) -> list[DelegationKey]:
    """Give the keys that the parent is to point to, in the order of their tags.

    Raises:
        CommandFailed: The zone is unknown, not published yet, has no such key, or goes insecure.
    """
    published = load_published(state, zone)
    if goes_insecure(published):
        raise CommandFailed(
            f"zone '{format_zone_name(zone)}' goes insecure: the parent is to have no DS record of it"
        )
    keys = list_wanted_keys(published)
    if not keys:
        raise CommandFailed(f"zone '{format_zone_name(zone)}' has no keys yet")
    return keys


def find_wanted_tags(state: StateDirectory, zone: Name) -> frozenset[int]:
    """Ask the server which keys the parent is to have while keys are replaced that it points to.

    Returns:
        Their key tags; none if no such keys are replaced, or no server can be asked.
    """
    try:
        reply = send_command(state.control_socket, "rollover_status", {"zone": format_zone_name(zone)})
        plans = read_report(reply).zones
    except CommandFailed:  # what is published says as much as can be known
        return frozenset()
    return frozenset(
        key.tag
        for plan in plans
        if any(rollover.kind != "zsk" for rollover in plan.rollovers)
        for key in plan.keys
        if key.tag is not None and key.ds.presence in ("rumoured", "omnipresent")
    )
