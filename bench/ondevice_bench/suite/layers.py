"""Whether a model has the layers of a choice, and whether the choice freezes the others."""

from collections.abc import Mapping
from types import MappingProxyType

from ondevice_bench.specs.layer_choice import COUNTED
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import Value
from ondevice_bench.suite.cell import without_hash


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
    name = without_hash(model.name)
    file = name.rpartition(":")[0] or name
    undeclared = [part for part in word.split("+") if not getattr(model.layout, part)]
    if not undeclared:
        return f"{name}: its layout has {word}, but the patterns match no layer: use `layers: all`"
    layout = ", ".join(f'"{part}": "PATTERN"' for part in undeclared)
    cure = f"add `layout = {{{layout}}}` to {file}, or " if file.endswith(".py") else ""
    return f"{name} declares no {' and no '.join(undeclared)}: {cure}use `layers: all`"
