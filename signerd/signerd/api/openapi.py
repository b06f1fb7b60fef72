"""The OpenAPI 3.1 document, made from the table of calls."""

from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from types import GenericAlias
from typing import Final, Literal, cast

from pydantic import BaseModel, TypeAdapter

from signerd.api.call import Call
from signerd.api.reply import JsonValue, Reply
from signerd.api.route import PERSONAL, AnyEndpoint, Endpoint, OpenEndpoint, ScopeRule
from signerd.api.wire import WireModel

PATH: Final = "/v1/openapi.json"
_REFERENCE: Final = "#/components/schemas/{model}"
_REST: Final = "..."
_COMMON: Final = (400, 408, 413, 429, 500, 503)  # what every call can give
_NO_BODY: Final = (204,)

Mode = Literal["validation", "serialization"]
Form = type[BaseModel] | GenericAlias
Schemas = dict[tuple[Form, Mode], dict[str, object]]


class ErrorBody(WireModel):
    """What every error answers."""

    message: str
    code: str
    request_id: str


class DocumentBody(WireModel):
    """An OpenAPI document."""

    openapi: str


def make_document(endpoints: Sequence[AnyEndpoint], version: str) -> dict[str, JsonValue]:
    """Describe the calls.

    Args:
        endpoints: All of them.
        version: Of the program.
    """
    schemas, definitions = _make_schemas(endpoints)
    paths: dict[str, dict[str, object]] = {}
    for endpoint in endpoints:
        path = endpoint.pattern.replace(_REST, "")
        paths.setdefault(path, {})[endpoint.method.lower()] = _describe(endpoint, schemas)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "signerd", "version": version, "description": "Keys, secrets, access, audit."},
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "accessKey": {"type": "http", "scheme": "basic"},
            },
        },
    }
    return cast("dict[str, JsonValue]", document)


def list_document_endpoints(endpoints: Sequence[AnyEndpoint], version: str) -> list[Endpoint]:
    """Give the call that answers the document, in which it stands itself.

    The document is made when it is first asked for: that takes longer than all else of the API's start.
    """

    @cache
    def make() -> dict[str, JsonValue]:
        return make_document([*endpoints, own], version)

    def get_document(call: Call) -> Reply:
        del call
        return Reply(body=make())

    own = Endpoint(
        "GET",
        PATH,
        get_document,
        action="openapi:Read",
        summary="This document",
        scope=PERSONAL,
        response=DocumentBody,
    )
    return [own]


def _make_schemas(endpoints: Sequence[AnyEndpoint]) -> tuple[Schemas, dict[str, object]]:
    """Make the schema of each body, and those they refer to."""
    forms: list[tuple[Form, Mode]] = [(ErrorBody, "serialization")]
    for endpoint in endpoints:
        if isinstance(endpoint, Endpoint) and endpoint.request is not None:
            forms.append((endpoint.request, "validation"))
        if isinstance(endpoint, OpenEndpoint) and endpoint.error is not None:
            forms.append((endpoint.error, "serialization"))
        if endpoint.response is not None:
            forms.append((endpoint.response, "serialization"))
    forms = list(dict.fromkeys(forms))
    adapters: list[tuple[int, Mode, TypeAdapter[object]]] = [
        (number, mode, TypeAdapter(cast("type[object]", form))) for number, (form, mode) in enumerate(forms)
    ]
    made, definitions = TypeAdapter.json_schemas(adapters, ref_template=_REFERENCE)
    schemas: Schemas = {(forms[number][0], mode): schema for (number, mode), schema in made.items()}
    return schemas, definitions.get("$defs", {})


def _describe(endpoint: AnyEndpoint, schemas: Schemas) -> dict[str, object]:
    described: dict[str, object] = {
        "operationId": f"{endpoint.method.lower()}{endpoint.pattern.title()}".translate(_TO_WORD),
        "summary": endpoint.summary,
        "x-action": endpoint.action,
        "parameters": _list_parameters(endpoint),
        "responses": _list_responses(endpoint, schemas),
        "security": [] if isinstance(endpoint, OpenEndpoint) else [{"token": []}, {"accessKey": []}],
    }
    if isinstance(endpoint, Endpoint) and endpoint.request is not None:
        described["requestBody"] = {
            "content": {"application/json": {"schema": schemas[endpoint.request, "validation"]}}
        }
    if isinstance(endpoint, OpenEndpoint) and endpoint.form:
        properties = {name: {"type": "string"} for name in endpoint.form}
        described["requestBody"] = {
            "content": {
                "application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": properties}}
            }
        }
    return described


_TO_WORD: Final = {ord(sign): None for sign in "/{}.-_"}


def _list_parameters(endpoint: AnyEndpoint) -> list[dict[str, object]]:
    parameters: list[dict[str, object]] = [
        {
            "name": segment[1:-1].removesuffix(_REST),
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        for segment in endpoint.pattern.split("/")
        if segment.startswith("{")
    ]
    if isinstance(endpoint, OpenEndpoint):
        return parameters
    if endpoint.scope is not ScopeRule.PERSONAL:
        parameters.append(_make_header("X-Organisation-Identity", is_required=True))
    if endpoint.scope is ScopeRule.RESOURCE:
        parameters.append(_make_header("X-Project-Identity", is_required=False))
    parameters.extend(
        {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
        for name in endpoint.query
    )
    return parameters


def _make_header(name: str, *, is_required: bool) -> dict[str, object]:
    return {"name": name, "in": "header", "required": is_required, "schema": {"type": "string"}}


def _list_responses(endpoint: AnyEndpoint, schemas: Schemas) -> dict[str, object]:
    success, *failures = endpoint.statuses
    statuses = {*failures, *_COMMON}
    if isinstance(endpoint, Endpoint):
        statuses |= {401, 403}
        if endpoint.scope is ScopeRule.RESOURCE or "{" in endpoint.pattern:
            statuses.add(404)
        if endpoint.request is not None:
            statuses.add(415)
    responses: dict[str, object] = {str(success): _describe_success(endpoint, success, schemas)}
    for status in sorted(statuses - {success}):
        if status < 400:  # a second kind of success, such as 200 beside 201
            responses[str(status)] = _describe_success(endpoint, status, schemas)
            continue
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": _describe_error(endpoint, schemas)}},
        }
    return responses


def _describe_error(endpoint: AnyEndpoint, schemas: Schemas) -> dict[str, object]:
    usual = schemas[ErrorBody, "serialization"]
    if isinstance(endpoint, OpenEndpoint) and endpoint.error is not None:
        return {"anyOf": [schemas[endpoint.error, "serialization"], usual]}
    return usual


def _describe_success(endpoint: AnyEndpoint, status: int, schemas: Schemas) -> dict[str, object]:
    described: dict[str, object] = {"description": HTTPStatus(status).phrase}
    if endpoint.response is not None and status not in _NO_BODY:
        schema = schemas[endpoint.response, "serialization"]
        described["content"] = {"application/json": {"schema": schema}}
    return described
