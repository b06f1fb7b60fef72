"""Bodies as JSON, read strictly: what two readers could take differently is refused."""

import json
import math
from collections.abc import Sequence
from typing import Final, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from signerd.api.errors import InvalidBody, MediaTypeUnsupported

M = TypeVar("M", bound=BaseModel)
MAX_DEPTH: Final = 32  # protects every recursive walk over a body, pydantic's among them
MAX_DIGITS: Final = 40  # protects from the quadratic reading of long numbers


def require_json(content_type: Sequence[str]) -> None:
    """Check the header of a request that has a body.

    Args:
        content_type: All values of Content-Type.

    Raises:
        MediaTypeUnsupported: It says something else than JSON in UTF-8, or nothing.
    """
    if len(content_type) == 1:
        media_type, _, parameters = content_type[0].partition(";")
        charset = parameters.replace(" ", "").replace('"', "").lower()
        if media_type.strip().lower() == "application/json" and charset in ("", "charset=utf-8"):
            return
    raise MediaTypeUnsupported("a request with a body needs the header Content-Type: application/json")


def parse_object(octets: bytes) -> dict[str, object]:
    """Parse a JSON object.

    Raises:
        InvalidBody: It is no JSON object in UTF-8, an object in it names a member twice, it is nested deeper
            than MAX_DEPTH, or a number is none that JSON can hold.
    """
    try:
        text = octets.decode("utf-8")
        value: object = json.loads(
            text,
            object_pairs_hook=_refuse_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
        )
    except UnicodeDecodeError as error:
        raise InvalidBody("the body is not UTF-8") from error
    except RecursionError as error:
        raise InvalidBody(f"the body is nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:
        raise InvalidBody("the body is no valid JSON") from error
    if not isinstance(value, dict):
        raise InvalidBody("the body must be a JSON object")
    if octets.count(b"{") + octets.count(b"[") > MAX_DEPTH:  # else it cannot be too deep
        _check_depth(value)  # pyright: ignore[reportUnknownArgumentType]  # any JSON
    return value  # pyright: ignore[reportUnknownVariableType]  # the hook makes dict[str, object]


def read_model(octets: bytes, model: type[M]) -> M:
    """Parse a body and check it against a model; members that the model does not know are ignored.

    Raises:
        InvalidBody: It does not fit; the message names the member and never its value.
    """
    parse_object(octets)
    try:
        # in JSON mode `strict` still turns strings into enums and times, and takes neither "1" nor 1.0 as 1
        return model.model_validate_json(octets, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidBody(_explain(error)) from None  # the cause holds the values


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the body"
    if first["type"] == "missing":
        return f"{place} is required"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message[:1].lower()}{message[1:]}"


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidBody("an object in the body names a member twice")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidBody(f"{name} is no JSON number")


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # 1e400
        raise InvalidBody("a number in the body is too large")
    return value


def _parse_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise InvalidBody("a number in the body is too long")
    return int(text)


def _check_depth(value: object) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[object] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            elif isinstance(item, list):
                deeper.extend(item)  # pyright: ignore[reportUnknownArgumentType]
        if not deeper:
            return
        level = deeper
    if any(isinstance(item, dict | list) for item in level):
        raise InvalidBody(f"the body is nested deeper than {MAX_DEPTH} levels")
