"""Access policies: who may reveal or add values, from where and when, on top of the rights that IAM gives.

Both shapes are evaluated: conditions first, then statements. What cannot be enforced is refused when it is
set, since ignoring it would drop a restriction.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeVar, cast
from zoneinfo import ZoneInfo, available_timezones

from signerd_secrets.errors import AccessDenied, InvalidPolicy

JsonValue = Mapping[str, "JsonValue"] | Sequence["JsonValue"] | str | int | float | bool | None
JsonObject = Mapping[str, object]
Network = IPv4Network | IPv6Network
T = TypeVar("T")

MAX_ENTRIES: Final = 100  # conditions and statements each, and members of their lists; bounds the evaluation
MAX_POLICY: Final = 65_536  # octets of JSON
DENIED: Final = "access policy denied"


class Action(StrEnum):
    """What a policy can gate; everything else stays under IAM alone."""

    REVEAL = "reveal"
    ADD_VERSION = "add version"


_BOTH: Final = frozenset({"*", "secrets:*"})
_NAMES: Final[Mapping[Action, frozenset[str]]] = {  # in lower case: actions compare without case
    Action.REVEAL: _BOTH | {"getsecretvalue", "secrets:get-value", "secrets:getsecretvalue", "read"},
    Action.ADD_VERSION: _BOTH | {"putsecretvalue", "secrets:put-value", "secrets:putsecretvalue", "write"},
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, from where and when.

    Attributes:
        principals: All spellings that name the caller: `user:...`, `team:...`, `serviceAccount:...`.
        address: Of the client; None if it came over no network: no address matches then.
        now: Seconds since 1970, UTC.
    """

    principals: frozenset[str]
    address: str | None
    now: int


@dataclass(frozen=True, slots=True)
class _IpCondition:
    allows: bool
    networks: tuple[Network, ...]

    def matches(self, visitor: Visitor) -> bool:
        if visitor.address is None:
            return False
        address = _parse_address(visitor.address)
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class _TimeCondition:
    allows: bool
    start_hour: int
    end_hour: int
    zone: ZoneInfo

    def matches(self, visitor: Visitor) -> bool:
        hour = datetime.fromtimestamp(visitor.now, UTC).astimezone(self.zone).hour
        if self.start_hour < self.end_hour:
            return self.start_hour <= hour < self.end_hour
        return hour >= self.start_hour or hour < self.end_hour  # over midnight


@dataclass(frozen=True, slots=True)
class _Statement:
    allows: bool
    actions: frozenset[str]
    principals: frozenset[str]

    def covers(self, action: Action) -> bool:
        return not self.actions or not self.actions.isdisjoint(_NAMES[action])

    def matches(self, visitor: Visitor) -> bool:
        return (
            not self.principals
            or "*" in self.principals
            or not self.principals.isdisjoint(visitor.principals)
        )


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """A policy that was checked.

    Attributes:
        document: As received: order, case and all.
    """

    document: JsonObject
    conditions: tuple[_IpCondition | _TimeCondition, ...]
    statements: tuple[_Statement, ...]

    def require(self, action: Action, visitor: Visitor) -> None:
        """Do nothing if the policy lets the visitor do it.

        Raises:
            AccessDenied: It does not.
        """
        matching = [condition.allows for condition in self.conditions if condition.matches(visitor)]
        if False in matching:
            raise AccessDenied(DENIED)
        if any(condition.allows for condition in self.conditions) and True not in matching:
            raise AccessDenied(DENIED)
        covering = [statement for statement in self.statements if statement.covers(action)]
        matching = [statement.allows for statement in covering if statement.matches(visitor)]
        if False in matching:
            raise AccessDenied(DENIED)
        if any(statement.allows for statement in covering) and True not in matching:
            raise AccessDenied(DENIED)

    def as_json(self) -> Mapping[str, JsonValue]:
        """Give the document."""
        return cast("Mapping[str, JsonValue]", self.document)

    def render(self) -> str:
        """Give the text to store."""
        return json.dumps(self.document, ensure_ascii=False, separators=(",", ":"))


def parse_policy(document: JsonObject | None) -> AccessPolicy | None:
    """Check a policy as a client hands it in.

    Args:
        document: A JSON object; None, an empty one, or one with empty lists alone clears the policy.

    Returns:
        The policy; None for no policy.

    Raises:
        InvalidPolicy: Anything in it is unknown or of a wrong form.
    """
    if document is None:
        return None
    _refuse_unknown(document, {"conditions", "statements"}, "accessPolicy")
    conditions = tuple(_read_list(document, "conditions", _read_condition))
    statements = tuple(_read_list(document, "statements", _read_statement))
    if not conditions and not statements:
        return None
    policy = AccessPolicy(document, conditions, statements)
    try:
        octets = len(policy.render().encode())
    except UnicodeEncodeError as error:
        raise InvalidPolicy("accessPolicy holds text that is not Unicode") from error
    if octets > MAX_POLICY:
        raise InvalidPolicy(f"accessPolicy is larger than {MAX_POLICY} octets")
    return policy


def _read_list(document: JsonObject, name: str, read: Callable[[JsonObject, str], T]) -> list[T]:
    items = document.get(name)
    if items is None:
        return []
    if not isinstance(items, list):
        raise InvalidPolicy(f"accessPolicy.{name} is not a list")
    entries = cast("list[object]", items)
    if len(entries) > MAX_ENTRIES:
        raise InvalidPolicy(f"accessPolicy.{name} has more than {MAX_ENTRIES} entries")
    return [read(_as_object(entry, f"{name}[{i}]"), f"{name}[{i}]") for i, entry in enumerate(entries)]


def _read_condition(entry: JsonObject, where: str) -> _IpCondition | _TimeCondition:
    kind = entry.get("type")
    if kind == "ip":
        _refuse_unknown(entry, {"type", "effect", "cidrs"}, where)
        cidrs = _read_texts(entry, "cidrs", where)
        if not cidrs:
            raise InvalidPolicy(f"{where}.cidrs is empty")
        return _IpCondition(_read_effect(entry, where), tuple(_parse_network(text, where) for text in cidrs))
    if kind == "time":
        _refuse_unknown(entry, {"type", "effect", "startHour", "endHour", "timezone"}, where)
        start, end = _read_hour(entry, "startHour", 23, where), _read_hour(entry, "endHour", 24, where)
        if start == end:
            raise InvalidPolicy(f"{where}: startHour and endHour are equal")
        zone = entry.get("timezone")
        if zone in (None, ""):
            zone = "UTC"
        if not isinstance(zone, str) or zone not in _list_zones():
            raise InvalidPolicy(f"{where}.timezone is no time zone of the IANA database")
        return _TimeCondition(_read_effect(entry, where), start, end, ZoneInfo(zone))
    raise InvalidPolicy(f"{where}.type must be ip or time")


def _read_statement(entry: JsonObject, where: str) -> _Statement:
    _refuse_unknown(entry, {"effect", "actions", "principals"}, where)
    actions = frozenset(action.lower() for action in _read_texts(entry, "actions", where))
    return _Statement(_read_effect(entry, where), actions, frozenset(_read_texts(entry, "principals", where)))


def _read_effect(entry: JsonObject, where: str) -> bool:
    effect = entry.get("effect")
    lowered = effect.lower() if isinstance(effect, str) else None
    if lowered not in ("allow", "deny"):
        raise InvalidPolicy(f"{where}.effect must be allow or deny")
    return lowered == "allow"


def _read_hour(entry: JsonObject, name: str, highest: int, where: str) -> int:
    hour = entry.get(name)
    if not isinstance(hour, int) or isinstance(hour, bool) or not 0 <= hour <= highest:
        raise InvalidPolicy(f"{where}.{name} must be a whole number from 0 to {highest}")
    return hour


def _read_texts(entry: JsonObject, name: str, where: str) -> list[str]:
    items = entry.get(name)
    if items is None:
        return []
    if not isinstance(items, list):
        raise InvalidPolicy(f"{where}.{name} is not a list")
    texts: list[str] = []
    for item in cast("list[object]", items):
        if not isinstance(item, str):
            raise InvalidPolicy(f"{where}.{name} is not a list of strings")
        texts.append(item)
    if len(texts) > MAX_ENTRIES:
        raise InvalidPolicy(f"{where}.{name} has more than {MAX_ENTRIES} entries")
    return texts


def _as_object(entry: object, where: str) -> JsonObject:
    if not isinstance(entry, dict):
        raise InvalidPolicy(f"accessPolicy.{where} is not an object")
    return cast("dict[str, object]", entry)


def _refuse_unknown(entry: JsonObject, known: set[str], where: str) -> None:
    if unknown := sorted(set(entry) - known):
        raise InvalidPolicy(f"{where} has unknown members: {', '.join(name[:64] for name in unknown[:5])}")


def _parse_network(text: str, where: str) -> Network:
    try:
        if "%" in text:  # a zone of link-local addresses means nothing here
            raise ValueError(text)
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidPolicy(f"{where}.cidrs: {text[:64]!r} is no address or CIDR") from error
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:  # clients are compared as IPv4
        return IPv4Network((mapped, network.prefixlen - 96))
    return network


def _parse_address(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=1)  # the database of zones does not change while the server runs
def _list_zones() -> frozenset[str]:
    return frozenset(available_timezones())
