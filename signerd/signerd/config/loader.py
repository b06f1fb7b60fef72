"""Configuration files to options, with every problem found at once."""

from pathlib import Path
from typing import Final, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from signerd.config.options import Config, explain_unknown_policy
from signerd.config.problem import BadConfig, OptionPath, Problem
from signerd.config.quantity import format_duration
from signerd.config.seal_options import VARIABLE_PATTERN
from signerd.config.section import IMPOSSIBLE, Section, is_duration
from signerd.config.spelling import suggest
from signerd.config.yaml_tree import MAX_SHOWN, Tree, Value, read_tree

MAX_FILE_OCTETS: Final = 16 << 20  # some 100,000 listed zones; protects against a path like /dev/zero

_ALWAYS_SO: Final = {
    "nsec3_iterations": "is no option: it is always 0 (RFC 9276, section 3.1)",
    "nsec3_salt": "is no option: it is always empty (RFC 9276, section 3.1)",
    "nsec3_opt_out": "is no option: opt-out is never used",
    "opt_out": "is no option: opt-out is never used",
    "seal": "is no option any more: list it under seals, as `- type: file` with `file:`",
}
"""Keys that people look for, and why they are not there."""


def load_config(file: Path | None) -> Config:
    """Read a configuration file.

    Args:
        file: None for the embedded defaults.

    Raises:
        BadConfig: With every problem of the file; also if it cannot be read.
    """
    if file is None:
        return Config()
    try:
        with file.open("rb") as stream:
            octets = stream.read(MAX_FILE_OCTETS + 1)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise BadConfig([Problem(str(file), 0, (), reason)]) from error
    return parse_config(octets, str(file))


def parse_config(octets: bytes, file: str) -> Config:
    """Read a configuration from octets of UTF-8.

    Args:
        octets: A YAML document; an empty one means all defaults.
        file: Name for the messages.

    Raises:
        BadConfig: With every problem.
    """
    if len(octets) > MAX_FILE_OCTETS:
        raise BadConfig([Problem(file, 0, (), f"larger than {MAX_FILE_OCTETS} octets")])
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise BadConfig([Problem(file, line, (), "not UTF-8")]) from error
    tree = read_tree(text)
    problems = [Problem(file, line, path, reason) for path, line, reason in tree.problems]
    if any(not problem.path for problem in problems):
        raise BadConfig(problems)
    try:
        config = Config.model_validate(tree.value)
    except ValidationError as error:
        unread = {problem.path for problem in problems}  # what could not be read is not also of a wrong type
        errors = error.errors(include_url=False)
        found = [problem for details in errors for problem in _explain(details, tree)]
        known = {path for path, _ in found} | unread
        found += [problem for problem in _find_unknown_policies(tree.value) if problem[0] not in known]
        problems += [
            Problem(file, tree.find_line(path), path, reason) for path, reason in found if path not in unread
        ]
    else:
        if not problems:
            return config
    raise BadConfig(problems)


def _explain(details: ErrorDetails, tree: Tree) -> list[tuple[OptionPath, str]]:
    """Give path and reason of each problem in one error of pydantic."""
    path: OptionPath = tuple(details["loc"])
    while path and path not in tree.lines and details["type"] not in ("missing", "extra_forbidden"):
        path = path[:-1]  # pydantic adds steps for the members of a union
    context = details.get("ctx", {})
    value: object = details["input"]
    shown = repr(value) if len(repr(value)) <= MAX_SHOWN else repr(value)[:MAX_SHOWN] + "..."
    match details["type"]:
        case kind if kind == IMPOSSIBLE:
            problems: list[tuple[OptionPath, str]] = context["problems"]
            return [((*path, *option), reason) for option, reason in problems]
        case "extra_forbidden":
            key = str(path[-1])
            fallback = f"unknown option{suggest(key, _list_options(path[:-1]))}"
            return [(path, _ALWAYS_SO.get(key, fallback))]
        case "missing":
            return [(path, "is missing")]
        case "value_error":
            reason = str(context["error"])
        case "model_type" | "dict_type" | "mapping_type":
            reason = f"must be a map of options, not {_name_kind(value)}"
        case "too_short" if value:  # its items are wrong, and reported
            return []
        case "tuple_type" | "list_type":
            reason = f"must be a list, not {_name_kind(value)}"
        case "string_type" | "path_type":
            reason = f"{shown} is not text" + ("; quote it" if isinstance(value, int | float) else "")
        case "int_type" | "int_from_float" | "float_type":
            reason = f"{shown} is not a number"
        case "enum" | "literal_error":
            expected = str(context["expected"])
            words = [word.strip(" '") for word in expected.replace(" or ", ", ").split(",")]
            reason = f"{shown} is not one of {', '.join(words)}"
            reason += suggest(value, words) if isinstance(value, str) else ""
        case "bool_type" | "bool_parsing":
            reason = f"{shown} is neither true nor false"
        case "greater_than_equal":
            reason = f"{shown} is too small; at least {_print_limit(context['ge'], path)} is needed"
        case "less_than_equal":
            reason = f"{shown} is too large; at most {_print_limit(context['le'], path)} is allowed"
        case "string_pattern_mismatch":
            reason = f"{shown} is no slug: lower-case letters, digits and single hyphens between them"
            if context.get("pattern") == VARIABLE_PATTERN:
                reason = f"{shown} is no name of an environment variable"
        case _:
            reason = details["msg"]
    return [(path, reason)]


def _find_unknown_policies(value: Value) -> list[tuple[OptionPath, str]]:
    """Find zones whose policy does not exist, which pydantic says only when the zones have no other fault."""
    if not isinstance(value, dict):
        return []
    policies, zones = value.get("policies"), value.get("zones")
    known = policies if isinstance(policies, dict) else {}
    found: list[tuple[OptionPath, str]] = []
    for index, zone in enumerate(zones if isinstance(zones, list) else []):
        name = zone.get("policy") if isinstance(zone, dict) else None
        if isinstance(name, str) and (reason := explain_unknown_policy(name, known)) is not None:
            found.append((("zones", index, "policy"), reason))
    return found


def _name_kind(value: object) -> str:
    match value:
        case dict():
            return "a map"
        case list():
            return "a list"
        case None:
            return "nothing"
        case _:
            return f"the single value {value!r}"[:MAX_SHOWN]


def _print_limit(limit: object, path: OptionPath) -> str:
    """Print a limit of an option in the form that its values are written in."""
    section = _walk_to_section(path[:-1])
    field = None if section is None else section.model_fields.get(str(path[-1]))
    if (
        field is not None
        and isinstance(limit, int | float)
        and is_duration([field.annotation, *field.metadata])
    ):
        return format_duration(limit)
    return str(limit)


def _list_options(path: OptionPath) -> list[str]:
    """Give the names of the options of the section at a path."""
    section = _walk_to_section(path)
    return list(section.model_fields) if section else []


def _walk_to_section(path: OptionPath) -> type[Section] | None:
    """Give the section at a path; None if there is none."""
    section: type[Section] | None = Config
    steps = list(path)
    while steps and section is not None:
        field = section.model_fields.get(str(steps.pop(0)))
        annotation = field.annotation if field else None
        if get_args(annotation):  # a map or a list of sections: the next step is a name or an index in it
            del steps[:1]
        section = _find_section(annotation)
    return section


def _find_section(annotation: object) -> type[Section] | None:
    """Give the section that an annotation stands for: itself, or what is in its map or list."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(_find_section, get_args(annotation))), None)
