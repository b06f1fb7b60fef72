"""The table of calls: which path and method is which action."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import GenericAlias
from typing import Final

from pydantic import BaseModel

from signerd.api.call import Call, OpenCall
from signerd.api.reply import Reply
from signerd.platform.gate import Gate

DEFAULT_BODY_OCTETS: Final = 1 << 20  # protects memory: bodies are read whole before anything is done
BATCH_BODY_OCTETS: Final = 4 << 20  # of calls that take many items at once; one alone stays within the above


class ScopeRule(Enum):
    """What a call is about, and so which headers it needs."""

    RESOURCE = "resource"  # organisation, and the project if one is named
    ORGANISATION = "organisation"  # organisation; a project is not looked at
    PERSONAL = "personal"  # neither: /v1/me/...


RESOURCE: Final = ScopeRule.RESOURCE
ORGANISATION: Final = ScopeRule.ORGANISATION
PERSONAL: Final = ScopeRule.PERSONAL


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of the API.

    Attributes:
        method: In capitals; GET serves HEAD too.
        pattern: The path as sent, `/v1/kms/{region}/keys/{key}`; a name stands for one segment, not empty.
            `{path...}` stands for all that is left, slashes included, and may have one literal after it.
        handle: Does the work in a worker thread, so it may block on SQL and cryptography.
        action: What is permitted or not, such as `kms:Encrypt`.
        summary: One line for the OpenAPI document.
        gates: Features that must be on, checked in this order.
        scope: What the call is about.
        resource_type: For the audit, if the path names one resource in its last parameter.
        request: Body, if the call takes one.
        response: Body of success; `list[Model]` for a bare array.
        statuses: That the handler itself can cause, success first.
        query: Names of the query's parameters, for the OpenAPI document.
        body_octets: Longest body.
        is_expensive: Whether the call counts against the smaller budget of expensive operations.
    """

    method: str
    pattern: str
    handle: Callable[[Call], Reply]
    action: str
    summary: str
    gates: tuple[Gate, ...] = ()
    scope: ScopeRule = RESOURCE
    resource_type: str | None = None
    request: type[BaseModel] | None = None
    response: type[BaseModel] | GenericAlias | None = None
    statuses: tuple[int, ...] = (200,)
    query: tuple[str, ...] = ()
    body_octets: int = DEFAULT_BODY_OCTETS
    is_expensive: bool = False


@dataclass(frozen=True, slots=True)
class OpenEndpoint:
    """A call that needs no credential; attributes as those of Endpoint, and two more.

    Attributes:
        form: Fields of the body, which is a form and no JSON.
        error: Body of its errors, where it is not the usual one.
    """

    method: str
    pattern: str
    handle: Callable[[OpenCall], Reply]
    action: str
    summary: str
    response: type[BaseModel] | GenericAlias | None = None
    statuses: tuple[int, ...] = (200,)
    body_octets: int = DEFAULT_BODY_OCTETS
    form: tuple[str, ...] = ()
    error: type[BaseModel] | None = None


AnyEndpoint = Endpoint | OpenEndpoint
_REST: Final = "...}"


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict[str, "_Node"])
    parameter: "_Node | None" = None
    methods: dict[str, AnyEndpoint] = field(default_factory=dict[str, AnyEndpoint])
    rest: "dict[str, _Node]" = field(default_factory=dict[str, "_Node"])  # by the literal after it, or ""


@dataclass(frozen=True, slots=True)
class Match:
    """A path that the table knows.

    Attributes:
        endpoint: None if the path exists but not with this method.
        allowed: Methods that the path has.
        path: Parameters.
    """

    endpoint: AnyEndpoint | None
    allowed: Sequence[str]
    path: Mapping[str, str]


class RouteTable:
    """Finds the endpoint of a request. A literal segment wins over a parameter."""

    def __init__(self, endpoints: Sequence[AnyEndpoint]) -> None:
        """Build the table.

        Raises:
            ValueError: An endpoint has no action, or two have the same method and path.
        """
        self.endpoints = tuple(endpoints)
        self._root = _Node()
        for endpoint in endpoints:
            if not endpoint.action:
                raise ValueError(f"{endpoint.method} {endpoint.pattern} has no action")
            node = self._root
            segments = endpoint.pattern.removeprefix("/").split("/")
            for index, segment in enumerate(segments):
                if segment.endswith(_REST):
                    node = node.rest.setdefault("/".join(segments[index + 1 :]), _Node())
                    break
                if _is_parameter(segment):
                    node.parameter = node = node.parameter or _Node()
                else:
                    node = node.literals.setdefault(segment, _Node())
            if endpoint.method in node.methods:
                raise ValueError(f"{endpoint.method} {endpoint.pattern} stands in the table twice")
            node.methods[endpoint.method] = endpoint

    def find(self, method: str, path: str) -> Match | None:
        """Find what a request asks for; None if there is no such path.

        Args:
            method: As sent.
            path: As sent, percent signs included, so that no two spellings reach the same call.
        """
        if not path.startswith("/"):
            return None
        values: list[str] = []
        looked_for = "GET" if method == "HEAD" else method
        node = _walk(self._root, path[1:].split("/"), 0, values, looked_for)
        if node is None:
            return None
        endpoint = node.methods.get(looked_for)
        allowed = sorted([*node.methods, "HEAD"] if "GET" in node.methods else node.methods)
        if endpoint is None:
            return Match(None, allowed, {})
        names = [_name_parameter(part) for part in endpoint.pattern.split("/") if _is_parameter(part)]
        return Match(endpoint, allowed, dict(zip(names, values, strict=True)))


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _name_parameter(segment: str) -> str:
    return segment[1:-1].removesuffix("...")


def _walk(node: _Node, segments: Sequence[str], index: int, values: list[str], method: str) -> _Node | None:
    """Go down the tree, and back where a literal led nowhere; the depth is that of the longest pattern."""
    if index == len(segments):
        return node if node.methods else None
    segment = segments[index]
    literal = node.literals.get(segment)
    if literal is not None and (found := _walk(literal, segments, index + 1, values, method)) is not None:
        return found
    if node.parameter is not None and segment:
        values.append(segment)
        if (found := _walk(node.parameter, segments, index + 1, values, method)) is not None:
            return found
        values.pop()
    return _take_rest(node, segments[index:], values, method)


def _take_rest(node: _Node, segments: Sequence[str], values: list[str], method: str) -> _Node | None:
    """Match what is left. A literal at its end counts only for the methods that patterns with it have."""
    if not node.rest:
        return None
    last, plain = segments[-1], node.rest.get("")
    ended = node.rest.get(last) if last else None
    if ended is not None and (plain is None or method in ended.methods):
        values.append("/".join(segments[:-1]))
        return ended
    if plain is not None:
        values.append("/".join(segments))
        if ended is not None and method not in plain.methods:  # so that 405 names all methods
            return _Node(methods={**plain.methods, **ended.methods})
    return plain
