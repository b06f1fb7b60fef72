"""YAML to plain values, with the line of each value and without YAML's surprises.

PyYAML's safe loader splits and resolves the text; the values are made here, so that every problem is found
in one go and keeps its line. Where YAML 1.1 reads something else than the operator most likely meant, the
text is kept or refused: `no` and `on` stay words, `010` and `1:30` are no numbers, a repeated key is an
error.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Final

import yaml

from signerd.config.problem import OptionPath

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

MAX_VALUES: Final = 1_000_000  # protects memory and time against aliases of aliases
MAX_NESTING: Final = 50
MAX_SHOWN: Final = 60  # characters of a wrong value that a message repeats

_PREFIX: Final = "tag:yaml.org,2002:"
_PLAIN_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_PLAIN_FLOAT = re.compile(r"[-+]?[0-9]{1,18}(\.[0-9]{0,18})?([eE][-+]?[0-9]{1,3})?")


@dataclass(slots=True)
class Tree:
    """A document as plain values.

    Attributes:
        value: The document; None for an empty one.
        lines: Line of each value, from 1.
        key_lines: Line of the key of each value that stands in a map.
        problems: Path, line and reason of what could not be read.
    """

    value: Value = None
    lines: dict[OptionPath, int] = field(default_factory=dict[OptionPath, int])
    key_lines: dict[OptionPath, int] = field(default_factory=dict[OptionPath, int])
    problems: list[tuple[OptionPath, int, str]] = field(default_factory=list[tuple[OptionPath, int, str]])

    def find_line(self, path: OptionPath) -> int:
        """Give the line of an option or, if it is not in the file, of the nearest section around it."""
        for length in range(len(path), -1, -1):
            line = self.key_lines.get(path[:length]) or self.lines.get(path[:length])
            if line is not None:
                return line
        return 0


def read_tree(text: str) -> Tree:
    """Read one YAML document; what is wrong with it is in the tree's problems."""
    tree = Tree()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        parts = [part for part in (error.context, error.problem) if part]
        tree.problems.append(((), mark.line + 1 if mark else 0, f"not YAML: {', '.join(parts)}"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        tree.problems.append(
            ((), line, f"not YAML: character U+{_number(error.character):04X} is not allowed")
        )
    except RecursionError:
        tree.problems.append(((), 0, f"nested deeper than {MAX_NESTING} levels"))
    else:
        if node is not None:
            tree.value = _Reader(tree).read(node, ())
    return tree


def _number(character: str | int) -> int:
    return ord(character) if isinstance(character, str) else character  # PyYAML gives either


class _TooMuch(Exception):
    """The document holds more values than a configuration can have."""


class _Reader:
    """Turns the nodes of one document into values."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._count = 0

    def read(self, node: yaml.Node, path: OptionPath) -> Value:
        """Give the value of the document's top node."""
        try:
            return self._read(node, path)
        except _TooMuch:
            self._tree.problems.append(((), 0, f"more than {MAX_VALUES} values; aliases count each time"))
            return None

    def _read(self, node: yaml.Node, path: OptionPath) -> Value:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _TooMuch
        line = node.start_mark.line + 1
        self._tree.lines[path] = line
        if len(path) > MAX_NESTING:  # also ends an alias that stands inside of what it names
            self._blame(path, line, f"nested deeper than {MAX_NESTING} levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            if node.tag != _PREFIX + "seq":
                self._blame(path, line, f"tag {node.tag!r} has no meaning here")
                return None
            return [self._read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._read_scalar(node, path, line)

    def _read_mapping(self, node: yaml.MappingNode, path: OptionPath) -> Value:
        if node.tag != _PREFIX + "map":
            self._blame(path, node.start_mark.line + 1, f"tag {node.tag!r} has no meaning here")
            return None
        mapping: dict[str, Value] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._blame(path, line, "a key must be a word, not a list or a map")
                continue
            if key_node.tag == _PREFIX + "merge":
                self._blame((*path, "<<"), line, "merge keys are not read; write the options out")
                continue
            key: str = key_node.value
            if key in mapping:
                self._blame((*path, key), line, f"stands here twice, first in line {first_lines[key]}")
                continue
            first_lines[key] = line
            self._tree.key_lines[(*path, key)] = line
            mapping[key] = self._read(value_node, (*path, key))
        return mapping

    def _read_scalar(self, node: yaml.Node, path: OptionPath, line: int) -> Value:
        text: str = node.value
        if not node.tag.startswith(_PREFIX):
            self._blame(path, line, f"tag {node.tag!r} has no meaning here")
            return None
        match node.tag.removeprefix(_PREFIX):
            case "str" | "timestamp" | "value":
                return text
            case "null":
                return None
            case "bool":
                return {"true": True, "false": False}.get(text.lower(), text)
            case "int":
                if _PLAIN_INTEGER.fullmatch(text):
                    return int(text)
                shown = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
                plain = text.lstrip("0")
                is_octal = text.startswith("0") and plain.isdecimal()
                hint = f"write {plain}" if is_octal else "write a decimal number"
                reason = f"{shown} is read differently by different programs; {hint}, or quote it"
                self._blame(path, line, reason)
            case "float":
                if _PLAIN_FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
                    return number
                self._blame(path, line, f"{text[:MAX_SHOWN]} is not a decimal number; quote it if it is text")
            case other:
                self._blame(path, line, f"tag '!!{other}' has no meaning here")
        return None

    def _blame(self, path: OptionPath, line: int, reason: str) -> None:
        self._tree.problems.append((path, line, reason))
