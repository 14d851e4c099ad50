"""Layer choices, each in one spelling: `all`, `last:4`, `attention+mlp`, `pattern:…`."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from ondevice_bench.errors import suggestion
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import Value

WORDS = ("all", "mlp", "attention", "attention+mlp", "conv")
PARTS = ("mlp", "attention", "attention+mlp")  # of a layout
COUNTED = ("last", "last_blocks")
ALLOWED = (
    "all, mlp, attention, attention+mlp, conv, last: K, last: K of TEXT, last_blocks: K or "
    "pattern: TEXT"
)
_LAST_OF = re.compile(r"([1-9]\d*) of (\S+)")


def parse(value: object) -> tuple[str, ...]:
    """The layer choices of one entry of `layers`. A list of counts is one choice for each count."""
    if isinstance(value, str):
        word, colon, argument = (part.strip() for part in value.partition(":"))
        if not colon:
            return (_word(word),)
        return (
            _with_argument(word, int(argument) if re.fullmatch(r"-?\d+", argument) else argument),
        )
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"must be {ALLOWED}, got {value!r}")
    ((word, argument),) = value.items()
    arguments = argument if isinstance(argument, list) else [argument]
    return tuple(_with_argument(str(word), item) for item in arguments)


def freezes(layers: str) -> bool:
    """Whether the layers before the chosen ones do not train."""
    return layers.partition(":")[0] in COUNTED


def layers_refusal(
    layers: str, model: ModelSpec, options: Mapping[str, Value] = MappingProxyType({})
) -> str | None:
    """Why the model has no such layers. None if it has them, or if only its code knows."""
    word = layers.partition(":")[0]
    if model.is_own:  # a process that loads its code has said what it lacks
        return _no_part(word, model) if word in model.missing_parts(options) else None
    if word == "conv" and "conv2d" not in model.layer_kinds:
        return f"{model.name} has no convolutions to treat"
    if word == "last_blocks" and not model.layout.blocks:
        return f"{model.name} declares no blocks"
    missing = [
        p for p in word.split("+") if p in {"mlp", "attention"} and not getattr(model.layout, p)
    ]
    return f"{model.name} declares no {' and no '.join(missing)}" if missing else None


def _no_part(word: str, model: ModelSpec) -> str:
    """Why a user's network has no such part, and what to do."""
    name = model.name.partition("@")[0]
    file = name.rpartition(":")[0] or name
    undeclared = [part for part in word.split("+") if not getattr(model.layout, part)]
    if not undeclared:
        return f"{name}: its layout has {word}, but the patterns match no layer: use `layers: all`"
    layout = ", ".join(f'"{part}": "PATTERN"' for part in undeclared)
    cure = f"add `layout = {{{layout}}}` to {file}, or " if file.endswith(".py") else ""
    return f"{name} declares no {' and no '.join(undeclared)}: {cure}use `layers: all`"


def _word(word: str) -> str:
    canonical = "+".join(sorted(part.strip() for part in word.split("+")))
    if canonical not in WORDS:
        raise ValueError(f"must be {ALLOWED}, got {word!r}{suggestion(word, WORDS)}")
    return canonical


def _with_argument(word: str, value: object) -> str:
    if word == "pattern" and isinstance(value, str) and value:
        return f"pattern:{value}"
    if word not in COUNTED:
        raise ValueError(
            f"must be {ALLOWED}, got {word!r}{suggestion(word, (*COUNTED, 'pattern'))}"
        )
    if word == "last" and isinstance(value, str):
        if _LAST_OF.fullmatch(value) is None:
            raise ValueError(
                "last must be an integer of at least 1, or such an integer and a pattern, as in "
                f"`last: 5 of *mlp*`, got {value!r}"
            )
        return f"last:{value}"
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{word} must be an integer of at least 1, got {value!r}")
    return f"{word}:{value}"
