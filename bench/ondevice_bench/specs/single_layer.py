"""Single layers as models: `conv2d(128, 128, 3, padding=1) at 120x160`, `linear(768, 3072) at 197`.

The name of such a model is its description, in one spelling.
"""

import re
from dataclasses import dataclass
from functools import cache

from ondevice_bench.errors import not_allowed
from ondevice_bench.specs.inputs import LayerTensors
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import Option, Value

BATCH = 8  # if the suite gives none
_MOST = 65536
_SHOWN_NUMBER = "0*[1-9][0-9]{0,4}"


def _number(name: str, default: int | None = None, minimum: int = 1) -> Option:
    return Option(name, "", default, minimum=minimum, maximum=_MOST)


_BIAS = Option("bias", "", True, kind="bool")


@dataclass(frozen=True)
class _Kind:
    """A kind of layer: its numbers, its options by name, and how its places are written."""

    name: str
    numbers: tuple[Option, ...]
    options: tuple[Option, ...]
    places: str
    pattern: str
    example: str

    @property
    def form(self) -> str:
        """How such a layer is written, without options."""
        names = ", ".join(number.name for number in self.numbers)
        return f"{self.name}({names}) at {self.places}"

    @property
    def shown(self) -> str:
        """The pattern of such layers, for editors."""
        numbers = r"\s*,\s*".join([_SHOWN_NUMBER] * len(self.numbers))
        values = {
            option: "(?:[Tt]rue|[Ff]alse)" if option.kind == "bool" else "[0-9]{1,5}"
            for option in self.options
        }
        named = "|".join(rf"{each.name}\s*=\s*{value}" for each, value in values.items())
        places = self.pattern.replace(r"\d+", _SHOWN_NUMBER)
        return rf"\s*{self.name}\s*\(\s*{numbers}\s*(?:,\s*(?:{named})\s*)*\)\s*at\s+{places}\s*"

    @property
    def advice(self) -> str:
        """The end of a message about such a layer."""
        return f"must be `{self.form}`, for example `{self.example}`"


# names, order and defaults are those of torch
_KINDS = {
    kind.name: kind
    for kind in (
        _Kind(
            "conv2d",
            (_number("in_channels"), _number("out_channels"), _number("kernel_size")),
            (
                _number("stride", 1),
                _number("padding", 0, minimum=0),
                _number("dilation", 1),
                _number("groups", 1),
                _BIAS,
            ),
            "HEIGHTxWIDTH",
            r"(\d+)x(\d+)",
            "conv2d(128, 128, 3, padding=1) at 120x160",
        ),
        _Kind(
            "linear",
            (_number("in_features"), _number("out_features")),
            (_BIAS,),
            "TOKENS",
            r"(\d+)",
            "linear(768, 3072) at 197",
        ),
    )
}
_SIZE = _number("size")
KINDS = tuple(_KINDS)
FORMS = " or ".join(kind.form for kind in _KINDS.values())
_EXAMPLES = " or ".join(f"`{kind.example}`" for kind in _KINDS.values())


def is_one(name: str) -> bool:
    """Whether this can only be the description of a layer, right or wrong."""
    return "(" in name or re.match(r"\s*(conv2d|linear)\b", name) is not None


def patterns() -> list[str]:
    """The pattern of each kind of layer. A match may still be no layer: `spec` decides."""
    return [kind.shown for kind in _KINDS.values()]


@cache
def spec(text: str) -> ModelSpec:
    """The model of one layer; ValueError if the text describes none."""
    kind, arguments, places = _read(text)
    try:
        inputs = _tensors(kind, arguments, places)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    name = _name(kind, arguments, places)
    return ModelSpec(
        name=name,
        title=f"one layer: {name}",
        implementation="ondevice_bench.models.single_layer",
        has_own_loss=True,
        inputs=lambda _: inputs,
        layer_kinds=frozenset({kind.name}),
        batch=BATCH,
        layout=ModelLayout(counts=kind.name),
        fixed={"kind": kind.name, **arguments},
    )


def _read(text: str) -> tuple[_Kind, dict[str, Value], tuple[int, ...]]:
    """The kind, all its arguments, and its places."""
    match = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*at\s+(\S+)\s*", text)
    kind = _KINDS.get((match or re.match(r"\s*(\w*)", text) or [""])[1])
    if match is None or kind is None:
        advice = kind.advice if kind else f"a layer is `{FORMS}`, for example {_EXAMPLES}"
        raise ValueError(f"{text!r}: {advice}")
    try:
        return kind, _arguments(kind, match[2]), _places(kind, match[3])
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}: {kind.advice}") from None


def _arguments(kind: _Kind, text: str) -> dict[str, Value]:
    """Every argument of the layer by its name; those that are not given have their default."""
    words = [word.strip() for word in text.split(",")]
    positional = [word for word in words if "=" not in word]
    if words[: len(kind.numbers)] != positional or len(positional) != len(kind.numbers):
        names = ", ".join(number.name for number in kind.numbers)
        raise ValueError(
            f"{kind.name} needs {len(kind.numbers)} numbers ({names}), and takes more by name"
        )
    given = dict(zip((number.name for number in kind.numbers), positional, strict=True))
    options = {option.name: option for option in kind.options}
    for word in words[len(positional) :]:
        name, _, value = (part.strip() for part in word.partition("="))
        if name not in options:
            raise ValueError(not_allowed("option", name, options))
        if name in given:
            raise ValueError(f"{name} is given twice")
        given[name] = value
    every = {option.name: option for option in (*kind.numbers, *kind.options)}
    arguments: dict[str, Value] = {}
    for name, option in every.items():
        arguments[name] = _value(option, given[name]) if name in given else _default(option)
    return arguments


def _default(option: Option) -> Value:
    assert option.default is not None
    return option.default


def _value(option: Option, text: str) -> Value:
    words: dict[str, Value] = {"true": True, "false": False}
    value = int(text) if re.fullmatch(r"-?\d{1,9}", text) else words.get(text.lower(), text)
    try:
        return option.check(value)
    except ValueError as error:
        raise ValueError(f"{option.name} {error}") from None


def _places(kind: _Kind, text: str) -> tuple[int, ...]:
    match = re.fullmatch(kind.pattern, text)
    if match is None:
        raise ValueError(f"the places must be {kind.places}, got {text!r}")
    return tuple(int(_value(_SIZE, number)) for number in match.groups())


def _tensors(kind: _Kind, arguments: dict[str, Value], places: tuple[int, ...]) -> LayerTensors:
    """The shapes of the layer's input and output, for one example."""
    if kind.name == "linear":
        features = int(arguments["in_features"]), int(arguments["out_features"])
        return LayerTensors((*places, features[0]), (*places, features[1]))
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
    inputs, outputs, kernel, stride, padding, dilation = (int(arguments[name]) for name in names)
    groups = int(arguments["groups"])
    if inputs % groups or outputs % groups:
        raise ValueError(
            f"groups must divide both numbers of channels, got {groups} for {inputs} and {outputs}"
        )
    reach = dilation * (kernel - 1) + 1
    if reach > min(places) + 2 * padding:
        raise ValueError(
            f"the kernel covers {reach} places, more than the {min(places) + 2 * padding} of the "
            "input with its padding"
        )
    size = tuple((place + 2 * padding - reach) // stride + 1 for place in places)
    return LayerTensors((inputs, *places), (outputs, *size))


def _name(kind: _Kind, arguments: dict[str, Value], places: tuple[int, ...]) -> str:
    """The one spelling of the layer: options in torch's order, without defaults."""
    numbers = [str(arguments[number.name]) for number in kind.numbers]
    options = [
        f"{option.name}={str(arguments[option.name]).lower()}"
        for option in kind.options
        if arguments[option.name] != option.default
    ]
    return f"{kind.name}({', '.join([*numbers, *options])}) at {'x'.join(map(str, places))}"
