"""`/v1/dns/zones/{zone}/dnssec`: turning DNSSEC on and off, and how it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from signerd.api.call import Call
from signerd.api.dns_backend import DnsBackend, decode_segment, find_for
from signerd.api.dnssec_views import DnssecBody, IgnoredServerBody, render_ignored, render_status
from signerd.api.errors import InvalidBody, PartNotAvailable
from signerd.api.file_zone_dnssec import render_file_status
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import Endpoint
from signerd.api.wire import WireModel
from signerd.dns_zones.publisher import FileZone
from signerd.platform.gate import Gate
from signerd.platform.lifetime import parse_lifetime
from signerd.platform.region import get_region
from signerd.platform.rights import DNS_ZONE, KMS_KEY
from signerd.rollover.file_zones import FileZoneKeys
from signerd.timetable.state_record import BadStateRecord
from signerd.zone_dnssec.errors import DnssecOff
from signerd.zone_dnssec.management import DnssecManagement, Wish
from signerd.zone_dnssec.parent_servers import ParentServers
from signerd.zone_dnssec.settings import ZonePlace
from signerd_kms.errors import KeyUnknown
from signerd_kms.key import Key

PATH: Final = "/v1/dns/zones/{zone}/dnssec"
SERVER: Final = f"{PATH}/parent-servers/{{server}}"

FindZone = Callable[[Call, str, bool], tuple[ZonePlace, FileZone | None]]
"""Finds the zone that a path names by identity or name in the scope of the call, and checks a right on it.

The last argument says if it may be one that is kept in a file, which is given beside it.
"""


@dataclass(frozen=True, slots=True)
class DnssecBackend:
    """What the calls work with."""

    management: DnssecManagement
    find_zone: FindZone
    file_zones: FileZoneKeys


OpenDnssec = Callable[[], DnssecBackend]
"""Gives the backend; raises PartNotAvailable while there is none."""


class DnssecRequest(WireModel):
    """Where the KSK is to be, and which key of the KMS it is."""

    region: str
    kms_key_identity: str | None = None


class IgnoreServerRequest(WireModel):
    """For how long the silence of a parent's name server holds up nothing; 14 days if absent."""

    lifetime: str | None = None


class _DnssecCalls:
    def __init__(self, open_dnssec: OpenDnssec) -> None:
        self._open = open_dnssec

    def get(self, call: Call) -> Reply:
        backend, zone, file = self._find(call, "read", of_files=True)
        return Reply(body=_show(backend, zone, file))

    def enable(self, call: Call) -> Reply:
        backend, zone, _ = self._find(call, "update")
        request = call.read(DnssecRequest)
        if not request.region:
            raise InvalidBody("region: is required")
        with backend.management.store.read() as connection:
            region = get_region(connection, request.region)
        if not region.is_kms_available:
            raise PartNotAvailable("the KMS is not available in this region")

        def require_sign(key: Key) -> None:
            # what the caller may not use looks exactly like what is not there
            if not call.rights.allows(KMS_KEY, "sign", key.identity):
                raise KeyUnknown(f"no key {key.identity}")

        wish = Wish(
            request.region,
            region.record.identity,
            request.kms_key_identity or None,
            require_sign,
            lambda: call.rights.require(KMS_KEY, "create"),
        )
        status = backend.management.enable(zone, wish, call.attribution)
        return Reply(body=render_status(zone, status))

    def disable(self, call: Call) -> Reply:
        backend, zone, _ = self._find(call, "update")
        backend.management.disable(zone, call.attribution)
        return Reply(204)

    def probe(self, call: Call) -> Reply:
        """Have the parent asked; the answers show in the status once they are there."""
        backend, zone, file = self._find(call, "update", of_files=True)
        call.read_empty()
        servers = ParentServers(backend.management.store)
        if file is None:
            servers.ask_again(zone, call.attribution)
        elif backend.file_zones.questions.ask_soon(file.apex):
            servers.note_asked(zone, call.attribution)
        else:
            raise DnssecOff(f"{file.text} has no keys yet, or is not served: its parent is not asked")
        return Reply(202, _show(backend, zone, file))

    def ignore_server(self, call: Call) -> Reply:
        """Declare a name server of the parent dead."""
        backend, zone, _ = self._find(call, "update", of_files=True)
        request = call.read(IgnoreServerRequest)
        seconds = None
        if request.lifetime is not None and (seconds := parse_lifetime(request.lifetime)) is None:
            raise InvalidBody("lifetime: must be seconds, or a duration such as 336h")
        ignored = ParentServers(backend.management.store).ignore(
            zone, decode_segment(call.path["server"]), seconds, call.attribution
        )
        return Reply(body=render_ignored(ignored).render())

    def heed_server(self, call: Call) -> Reply:
        """Wait for the answers of a server again."""
        backend, zone, _ = self._find(call, "update", of_files=True)
        ParentServers(backend.management.store).heed(
            zone, decode_segment(call.path["server"]), call.attribution
        )
        return Reply(204)

    def _find(
        self, call: Call, verb: str, *, of_files: bool = False
    ) -> tuple[DnssecBackend, ZonePlace, FileZone | None]:
        backend = self._open()
        return backend, *backend.find_zone(call, verb, of_files)


def _show(backend: DnssecBackend, zone: ZonePlace, file: FileZone | None) -> dict[str, JsonValue]:
    if file is None:
        return render_status(zone, backend.management.show(zone))
    try:
        status = backend.file_zones.show(file.apex, has_ds=file.has_ds)
    except BadStateRecord as error:
        raise PartNotAvailable(f"the key timetable of {file.text} cannot be read") from error
    return render_file_status(file, status)


def find_place(dns: DnsBackend, call: Call, verb: str, of_files: bool) -> tuple[ZonePlace, FileZone | None]:
    """Find the zone of a call.

    Raises:
        DnsZoneUnknown: There is none in the scope.
        Forbidden: The verb is not allowed on it.
        ZoneReadOnly: It is kept in a file, and signed by its policy.
    """
    found = find_for(dns, call, verb)
    if not of_files:
        found.require_writable()
    zone = found.zone
    place = ZonePlace(zone.identity, zone.text, zone.scope.organisation, zone.scope.project)
    return place, found.file


def list_dnssec_endpoints(open_dnssec: OpenDnssec) -> list[Endpoint]:
    """Give the calls. Reading and turning off work with the KMS off: they need no key."""
    calls = _DnssecCalls(open_dnssec)
    shared = (401, 403, 404, 503)
    return [
        Endpoint(
            "GET",
            PATH,
            calls.get,
            "dns:ReadDnssec",
            "How DNSSEC of a zone stands",
            gates=(Gate.DNS,),
            resource_type=DNS_ZONE,
            response=DnssecBody,
            statuses=(200, 400, 409, *shared),
        ),
        Endpoint(
            "PUT",
            PATH,
            calls.enable,
            "dns:EnableDnssec",
            "Turn DNSSEC on, or change the key",
            gates=(Gate.DNS, Gate.KMS),
            resource_type=DNS_ZONE,
            request=DnssecRequest,
            response=DnssecBody,
            statuses=(200, 400, 409, *shared),
            is_expensive=True,
        ),
        Endpoint(
            "DELETE",
            PATH,
            calls.disable,
            "dns:DisableDnssec",
            "Turn DNSSEC off",
            gates=(Gate.DNS,),
            resource_type=DNS_ZONE,
            statuses=(204, 400, 409, *shared),
        ),
        Endpoint(
            "POST",
            f"{PATH}:probe",
            calls.probe,
            "dns:ProbeParent",
            "Ask the parent of a zone now",
            gates=(Gate.DNS,),
            resource_type=DNS_ZONE,
            response=DnssecBody,
            statuses=(202, 400, 409, *shared),
        ),
        Endpoint(
            "PUT",
            SERVER,
            calls.ignore_server,
            "dns:IgnoreParentServer",
            "Wait no more for a name server of the parent that does not answer",
            gates=(Gate.DNS,),
            resource_type=DNS_ZONE,
            request=IgnoreServerRequest,
            response=IgnoredServerBody,
            statuses=(200, 400, 409, *shared),
        ),
        Endpoint(
            "DELETE",
            SERVER,
            calls.heed_server,
            "dns:HeedParentServer",
            "Wait for a name server of the parent again",
            gates=(Gate.DNS,),
            resource_type=DNS_ZONE,
            statuses=(204, 400, 409, *shared),
        ),
    ]
