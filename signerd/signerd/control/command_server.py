"""The operator's commands, as they arrive on the control socket."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import trio

from signerd.control.line_server import LineStream, read_object
from signerd.control.rollover_commands import Rollovers, carry_out_rollover_command
from signerd.dns.name import BadName, Name
from signerd.key_desk import KeyWorkRefused
from signerd.timetable.commands import RolloverRefused
from signerd.zones.fleet import ZoneUnknown
from signerd.zones.keeper import Outcome
from signerd.zones.pipeline import SigningImpossible
from signerd.zones.zone_list import parse_zone_name

logger = logging.getLogger(__name__)

_ROLLOVER_COMMANDS = frozenset({"rollover_status", "rollover_start", "rollover_approve", "rollover_abort"})
_KEY_COMMANDS = frozenset(
    {
        "seal",
        "unseal",
        "kms_status",
        "kms_rotate_root",
        "kms_rotate_kek",
        "kms_rewrap",
        "kms_reseal",
        "kms_shred",
    }
)


class Zones(Protocol):
    """What commands do to zones."""

    async def reload(self, name: Name | None, *, allow_mass_deletion: bool = False) -> Mapping[str, Outcome]:
        """Read the files of one zone or of all."""
        ...

    async def forget(self, name: Name) -> None:
        """End the service of a zone."""
        ...


class Keys(Protocol):
    """What commands do to the KMS, each in a worker thread."""

    def seal(self) -> str:
        """Wipe all keys in memory."""
        ...

    def unseal(self, passphrases: Mapping[str, str]) -> str:
        """Open the KMS."""
        ...

    def describe(self) -> dict[str, object]:
        """Describe state, seals and work under way."""
        ...

    def rotate_root(self, passphrases: Mapping[str, str]) -> str:
        """Make a new root key."""
        ...

    def rotate_kek(self, organisation: str | None) -> str:
        """Make new key-encryption keys and wrap everything under them."""
        ...

    def find_shred(self, organisation: str, region: str | None) -> dict[str, object]:
        """Say what a shredding would destroy."""
        ...

    def shred(self, organisation: str, region: str | None, token: str) -> str:
        """Destroy all keys of an organisation or region."""
        ...

    def rewrap(self) -> str:
        """Wrap everything under the newest key-encryption keys."""
        ...

    def reseal(self, passphrases: Mapping[str, str], remove: str | None) -> str:
        """Wrap the root key anew under the configured seals, or take one away."""
        ...


Further = Callable[[Mapping[str, object]], Awaitable[dict[str, object]]]
"""Carries out a command: the request in, the reply out; raises CommandRefused."""
_NOTHING_FURTHER: Mapping[str, Further] = MappingProxyType({})


class CommandRefused(Exception):
    """A command cannot be carried out; the message is for the operator."""

    code = "control.command_refused"


class CommandServer:
    """Carries out commands: one JSON object a line, one reply a line."""

    def __init__(
        self,
        zones: Zones,
        report: Callable[[], dict[str, object]],
        accept_clock: Callable[[], Awaitable[dict[str, object]]],
        keys: Keys,
        on_unsealed: Callable[[], None],
        rollovers: Rollovers | None = None,
        further: Mapping[str, Further] = _NOTHING_FURTHER,
    ) -> None:
        """Prepare.

        Args:
            zones: All zones.
            report: Makes the reply to `status`, in a worker thread.
            accept_clock: Takes the clock as it is now for right.
            keys: The KMS.
            on_unsealed: Called when keys can be had again.
            rollovers: The key timetables of zones; None if none are carried out.
            further: Commands of other parts, by name.
        """
        self._zones = zones
        self._report = report
        self._accept_clock = accept_clock
        self._keys = keys
        self._on_unsealed = on_unsealed
        self._rollovers = rollovers
        self._further = further

    async def serve(self, lines: LineStream) -> None:
        """Answer one client until it goes."""
        while (request := await lines.receive()) is not None:
            try:
                reply = {"ok": True} | await self._carry_out(request)
            except (
                CommandRefused,
                KeyWorkRefused,
                RolloverRefused,
                ZoneUnknown,
                BadName,
                SigningImpossible,
                OSError,
            ) as error:
                reply = {"ok": False, "error": str(error)}
            await lines.send(reply)

    async def _carry_out(self, request: Mapping[str, object]) -> dict[str, object]:
        match request:
            case {"command": "status"}:
                return await trio.to_thread.run_sync(self._report)
            case {"command": "reload"}:
                zone = request.get("zone")
                name = parse_zone_name(zone) if isinstance(zone, str) else None
                is_allowed = request.get("allow_mass_deletion") is True
                return _describe_outcomes(await self._zones.reload(name, allow_mass_deletion=is_allowed))
            case {"command": "forget", "zone": str() as zone}:
                await self._zones.forget(parse_zone_name(zone))
                logger.info("zone %s is forgotten by command", zone)
                return {"message": f"zone {zone} is no longer served; its keys are kept"}
            case {"command": "clock_accept"}:
                return await self._accept_clock()
            case {"command": str() as command} if command in _KEY_COMMANDS:
                return await self._carry_out_on_keys(command, request)
            case {"command": str() as command} if command in _ROLLOVER_COMMANDS:
                return await carry_out_rollover_command(self._rollovers, request)
            case {"command": str() as command} if command in self._further:
                return await self._further[command](request)
            case _:
                raise CommandRefused(f"unknown command {request.get('command')!r}")

    async def _carry_out_on_keys(self, command: str, request: Mapping[str, object]) -> dict[str, object]:
        keys, passphrases = self._keys, _read_passphrases(request)
        organisation, remove = _read_text(request, "organisation"), _read_text(request, "remove")
        if command == "kms_status":
            return {"kms": await trio.to_thread.run_sync(keys.describe)}
        if command == "kms_shred":
            region, token = _read_text(request, "region"), _read_text(request, "token")
            return await trio.to_thread.run_sync(self._shred, organisation or "", region, token)
        work: dict[str, Callable[[], str]] = {
            "seal": keys.seal,
            "unseal": lambda: keys.unseal(passphrases),
            "kms_rotate_root": lambda: keys.rotate_root(passphrases),
            "kms_rotate_kek": lambda: keys.rotate_kek(organisation),
            "kms_rewrap": keys.rewrap,
            "kms_reseal": lambda: keys.reseal(passphrases, remove),
        }
        message = await trio.to_thread.run_sync(work[command])
        if command == "unseal":
            self._on_unsealed()
        return {"message": message}

    def _shred(self, organisation: str, region: str | None, token: str | None) -> dict[str, object]:
        if token is None:
            return {"shred": self._keys.find_shred(organisation, region)}
        return {"message": self._keys.shred(organisation, region, token)}


def _read_passphrases(request: Mapping[str, object]) -> dict[str, str]:
    given = request.get("passphrases", {})
    stated = read_object(given)
    if stated is None or not all(isinstance(passphrase, str) for passphrase in stated.values()):
        raise CommandRefused("passphrases is no map of texts")
    return {seal_id: str(passphrase) for seal_id, passphrase in stated.items()}


def _read_text(request: Mapping[str, object], name: str) -> str | None:
    value = request.get(name)
    if value is not None and not isinstance(value, str):
        raise CommandRefused(f"{name} is no text")
    return value


def _describe_outcomes(outcomes: Mapping[str, Outcome]) -> dict[str, object]:
    failed = {zone: outcome.error for zone, outcome in outcomes.items() if outcome.error is not None}
    published = sorted(zone for zone, outcome in outcomes.items() if outcome.is_published)
    unchanged = len(outcomes) - len(set(published) | failed.keys())
    words = [f"published a new version of {', '.join(published)}"] if published else []
    words += [f"{unchanged} unchanged"] if unchanged or not (words or failed) else []
    message = "; ".join(words)
    if failed:
        reasons = [f"zone {zone}: {reason}" for zone, reason in sorted(failed.items())]
        raise CommandRefused("\n".join([*reasons, *filter(None, [message])]))
    return {"message": message, "published": published}
