"""The options of a method or model: types, ranges, and messages for refused values."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ondevice_bench.errors import not_allowed, suggestion

Value: TypeAlias = bool | int | float | str
CONTROL = r"\x00-\x1f\x7f"  # line breaks and other characters that no id of a cell has


@dataclass(frozen=True)
class Option:
    """A named setting; `label` is its short form in cell ids."""

    name: str
    help: str
    default: Value | None  # None: no default, the option stays unset
    kind: Literal["int", "float", "bool", "choice", "rank"] = "int"
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()
    steps: tuple[float, ...] = ()
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.name)
        if self.default is not None:
            self.check(self.default)

    @property
    def allowed(self) -> str:
        """The allowed values, as the end of `must be …`."""
        match self.kind:
            case "bool":
                return "true or false"
            case "choice":
                return f"one of {', '.join(self.choices)}"
            case "rank":
                return "an integer of at least 1, or one for each mode such as 8x16x32"
        if self.steps:
            return f"one of {', '.join(f'{step:g}' for step in self.steps)}"
        noun = "an integer" if self.kind == "int" else "a number"
        if self.multiple_of is not None:
            noun = f"a multiple of {self.multiple_of}"
        if self.kind == "float" and self._interval():
            return self._interval()
        return f"{noun} {self._interval()}" if self._interval() else noun + self._bound()

    def check(self, value: object) -> Value:
        """`value` in the option's own type, or a ValueError with the whole message."""
        match self.kind:
            case "bool":
                fits = isinstance(value, bool)
            case "choice":
                fits = isinstance(value, str) and value in self.choices
            case "rank" if isinstance(value, str):
                fits = re.fullmatch(r"[1-9]\d*(x[1-9]\d*)+", value) is not None
            case "int" | "rank":
                fits = isinstance(value, int) and not isinstance(value, bool)
            case "float":
                fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        if fits and isinstance(value, (int, float)) and not isinstance(value, bool):
            fits = self._inside(value)
        if not fits:
            near = suggestion(value, self.choices) if isinstance(value, str) else ""
            raise ValueError(f"must be {self.allowed}, got {value!r}{near}")
        assert isinstance(value, (bool, int, float, str))
        return float(value) if self.kind == "float" else value

    def _inside(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.minimum is None or value >= self.minimum)
            and (self.above is None or value > self.above)
            and (self.maximum is None or value <= self.maximum)
            and (self.multiple_of is None or value % self.multiple_of == 0)
            and (not self.steps or value in self.steps)
        )

    def _interval(self) -> str:
        low = self.minimum if self.minimum is not None else self.above
        if low is None or self.maximum is None:
            return ""
        opening = "[" if self.minimum is not None else "("
        return f"in {opening}{low:g}, {self.maximum:g}]"

    def _bound(self) -> str:
        if self.minimum is not None:
            return f" of at least {self.minimum:g}"
        if self.above is not None:
            return f" above {self.above:g}"
        return f" of at most {self.maximum:g}" if self.maximum is not None else ""


@dataclass(frozen=True)
class OneOf:
    """Options that exclude each other."""

    names: tuple[str, ...]
    required: bool

    def problem(self, names: Collection[str]) -> str | None:
        """The problem with this combination of options, or None."""
        present = [name for name in self.names if name in names]
        listed = ", ".join(self.names)
        if len(present) > 1:
            return f"takes one of {listed}, got {' and '.join(present)}"
        if not present and self.required:
            return f"needs one of {listed}"
        return None


@dataclass(frozen=True)
class Beside:
    """An option that has a meaning only beside one of others."""

    name: str
    others: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The options that exclude each other: none."""
        return ()

    def problem(self, names: Collection[str]) -> str | None:
        """The problem with this combination of options, or None."""
        if self.name in names and not set(self.others) & set(names):
            return f"{self.name} needs {' or '.join(self.others)}"
        return None


Group: TypeAlias = OneOf | Beside


def exact_text(value: float) -> str:
    """A number of a name: in short if this is the same number, as 1 of 1.0, else all its digits."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def require_one_line(name: str, text: str) -> None:
    """ValueError if a text of an id has a line break or another control character."""
    if re.search(f"[{CONTROL}]", text):
        raise ValueError(f"{name} must be one line without control characters, got {text[:60]!r}")


def resolved(options: tuple[Option, ...], values: Mapping[str, Value]) -> dict[str, Value]:
    """Every option with its value or its default. An option with neither is left out."""
    complete = {option.name: values.get(option.name, option.default) for option in options}
    return {name: value for name, value in complete.items() if value is not None}


def validate(
    options: tuple[Option, ...], one_of: Iterable[Group], values: Mapping[str, Any]
) -> dict[str, Value]:
    """Check the values and add the defaults; ValueError in one line.

    The checks and messages are those of a suite.
    """
    by_name = {option.name: option for option in options}
    checked: dict[str, Value] = {}
    for name, value in values.items():
        if name not in by_name:
            raise ValueError(not_allowed("option", name, by_name))
        try:
            checked[name] = by_name[name].check(value)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
    for group in one_of:
        problem = group.problem(checked)
        if problem is not None:
            raise ValueError(problem)
    return resolved(options, checked)
