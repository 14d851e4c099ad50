"""A YAML file as plain values, with the line of each value."""

import math
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarbool import ScalarBoolean

from ondevice_bench.errors import BadInput, first_line

MAX_BYTES = 1 << 20
MAX_VALUES = 200_000
MAX_DEPTH = 40
MAX_MARKS = 50_000  # the reader takes a tenth of a millisecond for each
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")  # no file and no store can hold such a text

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | None"
KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class SourceLocation:
    """The file and the line of a value; its text is `path:line`."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Document:
    """The values of a declaration, and their places in the file."""

    path: Path
    text: str
    values: dict[str, Plain]
    places: dict[KeyPath, SourceLocation]

    def place(self, location: KeyPath) -> SourceLocation:
        """The place of the value at `location`, or of the nearest key above it."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.places:
                return self.places[location[:end]]
        return SourceLocation(self.path, 1)

    def at(self, location: KeyPath) -> Plain:
        """The value at `location`; KeyError if the file has none."""
        value: Plain = self.values
        for step in location:
            match value:
                case dict() if isinstance(step, str) and step in value:
                    value = value[step]
                case list() if isinstance(step, int) and step < len(value):
                    value = value[step]
                case _:
                    raise KeyError(location)
        return value


def read(path: Path) -> Document:
    """Read one declaration. A file that is not a declaration is a BadInput."""
    return parse(path, _text(path))


@lru_cache(maxsize=64)
def parse(path: Path, text: str) -> Document:
    """Read a declaration from its text. Messages name `path` as its file.

    A file that others extend is parsed once. So nobody may change the values of a document.
    """
    if sum(map(text.count, (":", ",", "- "))) > MAX_MARKS:
        raise BadInput(f"{path}: more than {MAX_MARKS:,} keys and values, not a declaration")
    loader = YAML(typ="rt", pure=True)
    loader.Constructor = _Constructor
    try:
        with warnings.catch_warnings(action="ignore"):  # of an anchor that appears twice
            tree = loader.load(text)
    except (DuplicateKeyError, _KeyWithoutText) as error:
        problem = str(error.problem).partition(" with value")[0]
        raise BadInput(f"{path}:{_line(error)}: {problem}") from None
    except MarkedYAMLError as error:
        if "'\\t' that cannot start any token" in str(error.problem):
            raise BadInput(
                f"{path}:{_line(error)}: not YAML: a tab; YAML is indented with spaces only"
            ) from None
        raise BadInput(f"{path}:{_line(error)}: not YAML: {error.problem}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadInput(f"{path}:{line}: not YAML: {first_line(error)}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        where = _place_of(path, loader)
        raise BadInput(f"{where}: not YAML: {first_line(error)}") from None
    except (AttributeError, LookupError, TypeError):  # from tags and aliases that make no sense
        raise BadInput(
            f"{_place_of(path, loader)}: a value, a tag or an alias that cannot be read; quote it "
            "if it is text"
        ) from None
    if tree is None:
        raise BadInput(f"{path}: the file is empty")
    if not isinstance(tree, CommentedMap):
        raise BadInput(f"{path}:1: must be a mapping of keys to values")
    lines: dict[KeyPath, int] = {}
    values = _Reader(path, lines).mapping(tree, ())
    places = {location: SourceLocation(path, line) for location, line in lines.items()}
    return Document(path, text, values, places)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise BadInput(f"{path}: is a folder, not a file") from None
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise BadInput(f"{path}: larger than {MAX_BYTES >> 20} MiB, not a declaration")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}:{line}: not UTF-8 text (byte {error.start})") from None


def _line(error: MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark is not None else 1


def _place_of(path: Path, loader: YAML) -> str:
    """The place of the value that could not be made; without a line if none was begun."""
    line = loader.constructor.line
    return f"{path}:{line}" if line else str(path)


def _is_huge(value: object) -> bool:
    """Whether this is an integer that has no short text."""
    return isinstance(value, int) and value.bit_length() > 63


class _KeyWithoutText(MarkedYAMLError):
    """A key is a list or a mapping."""


class _Constructor(RoundTripConstructor):
    """Knows the line of the value that it makes, and makes no keys but scalars.

    ruamel makes each key of a mapping three times. So keys in keys would take for ever.
    """

    line = 0

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """The value of a node."""
        self.line = node.start_mark.line + 1
        if isinstance(node, MappingNode):
            for key, _ in node.value:
                if not isinstance(key, ScalarNode):
                    problem = "a key is a list or a mapping, not a text"
                    raise _KeyWithoutText(problem=problem, problem_mark=key.start_mark)
        return super().construct_object(node, deep=deep)


class _Reader:
    """Turns ruamel's tree into plain values and notes the line of each."""

    def __init__(self, path: Path, lines: dict[KeyPath, int]) -> None:
        self.path = path
        self.lines = lines
        self.count = 0

    def mapping(self, node: CommentedMap, at: KeyPath) -> dict[str, Plain]:
        plain: dict[str, Plain] = {}
        for key, value in node.items():
            line = node.lc.data[key][0] + 1 if key in (node.lc.data or {}) else self._line_above(at)
            if not isinstance(key, str):
                shown = repr(key)[:60] if not _is_huge(key) else "with thousands of digits"
                raise BadInput(f"{self.path}:{line}: key {shown} must be text")
            self._require_whole(key, line)
            self.lines[*at, key] = line
            plain[str(key)] = self._value(value, (*at, str(key)), line)
        return plain

    def _sequence(self, node: CommentedSeq, at: KeyPath) -> list[Plain]:
        plain: list[Plain] = []
        for index, value in enumerate(node):
            position = (node.lc.data or {}).get(index)
            line = position[0] + 1 if position else self._line_above(at)
            self.lines[*at, index] = line
            plain.append(self._value(value, (*at, index), line))
        return plain

    def _value(self, value: object, at: KeyPath, line: int) -> Plain:
        self.count += 1
        if self.count > MAX_VALUES or len(at) > MAX_DEPTH:
            raise BadInput(f"{self.path}:{line}: too many values or aliases, or too deep nesting")
        match value:
            case CommentedMap():
                return self.mapping(value, at)
            case CommentedSeq():
                return self._sequence(value, at)
            case ScalarBoolean() | bool():
                return bool(value)
            case None:
                return None
            case int() | float() if 2**63 <= abs(value) != math.inf:  # no bundle can have it
                raise BadInput(f"{self.path}:{line}: a number must be below 2^63")
            case int():
                return int(value)
            case float():
                return float(value)
            case str():
                self._require_whole(value, line)
                return str(value)
        kind = f"a {type(value).__name__} or tag"
        raise BadInput(f"{self.path}:{line}: {kind} has no meaning here; quote it if it is text")

    def _require_whole(self, text: str, line: int) -> None:
        if half := _HALF_A_PAIR.search(text):
            shown = f"\\u{ord(half[0]):04x}"
            raise BadInput(f"{self.path}:{line}: {shown} is half of a character: give all of it")

    def _line_above(self, at: KeyPath) -> int:
        return next((self.lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self.lines), 1)
