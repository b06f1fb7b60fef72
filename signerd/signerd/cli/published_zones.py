"""What the state directory says of the zones, whether or not the server runs."""

from signerd.cli.command_errors import CommandFailed
from signerd.cli.zone_argument import explain_unknown_zone
from signerd.config.state_directory import StateDirectory
from signerd.dns.name import Name
from signerd.dns.zone import Zone
from signerd.zones.manifest import BadManifest, ManifestZone, read_manifest
from signerd.zones.publication import PublicationReader
from signerd.zones.zone_list import format_zone_name


def list_published(state: StateDirectory) -> tuple[ManifestZone, ...]:
    """List the configured zones as the responders know them.

    Raises:
        CommandFailed: The state directory holds no server's state, or cannot be read.
    """
    try:
        return read_manifest(state.published)
    except FileNotFoundError as error:
        reason = (
            f"{state.path} holds no state of a server; name the directory with --state, or start the server"
        )
        raise CommandFailed(reason) from error
    except BadManifest as error:
        raise CommandFailed(str(error)) from error


def load_published(state: StateDirectory, zone: Name) -> Zone:
    """Load the version of a zone that is being served.

    Raises:
        CommandFailed: The zone is unknown, or no version of it was ever published.
    """
    listed = list_published(state)
    for entry in listed:
        if entry.name == zone:
            loaded = PublicationReader(state.published / entry.directory).load()
            if loaded.zone is not None:
                return loaded.zone
            problems = "".join(f"; {problem}" for problem in loaded.problems)
            raise CommandFailed(
                f"no signed version of zone '{format_zone_name(zone)}' was published yet{problems}"
            )
    raise explain_unknown_zone(zone, [entry.name for entry in listed])
