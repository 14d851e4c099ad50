"""The lines of Python that train in the same way as the winner."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ondevice_bench.specs import composition, mix, registry
from ondevice_bench.specs.composition import Part
from ondevice_bench.specs.layout import ModelLayout
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.trained import RULE
from ondevice_bench.suite.cell import Cell, Train
from ondevice_bench.suite.matrix import OWN_DATA

WIDTH = 88  # of a line
_WITHOUT_LAYOUT = ("all", "conv", "pattern")  # choices of layers that need no layout of the network


def lines_to_paste(cell: Cell) -> tuple[str, ...]:
    """Lines for a script that has `model`, and `inputs` and `targets` of a batch.

    If the file of the network has functions `batch` and `loss`, the lines take these.
    """
    layout = _layout(cell)
    imports = ["from torch import nn"] if cell.train.freeze_bn else []
    imports.append("from ondevice_bench import treat")
    if layout:
        imports.append("from ondevice_bench.specs.layout import ModelLayout")
    model = registry.model(cell.model)
    if model.has_own_loss and not model.is_own:
        imports.append(f"from {model.implementation} import loss")
    calibrates = any(spec.calibrates for spec in composition.specs(cell.method))
    step = _step(cell, model)
    energy = _trained_energy(cell)
    if energy is not None:
        imports += _IMPORTS_OF_RANKS
    return (
        *imports,
        "",
        *([_RANKS.format(model=_literal(cell.model), energy=energy)] if energy else []),
        *_allocator(cell),
        f"batch_size = {cell.batch}",
        "model.train()",
        *_treat(cell, layout, has_ranks=energy is not None),
        *(_FROZEN_NORMS if cell.train.freeze_bn else _NORMS_OF_FROZEN_PARTS),
        *([f"treatment.calibrate({step.arguments})  # one batch, to choose ranks"] * calibrates),
        *_call("optimizer = treatment.optimizer", _arguments(_of_optimizer(cell.train))),
        "",
        "# each step",
        step.comment,
        f"{step.result} = treatment.backward({step.arguments})",
        "optimizer.step()",
        f"optimizer.zero_grad({'' if cell.train.zero_grad == 'none' else 'set_to_none=False'})",
    )


@dataclass(frozen=True)
class _StepLines:
    """The words of a step: what it takes, and how the value of the loss is called."""

    arguments: str
    result: str
    comment: str


def _step(cell: Cell, model: ModelSpec) -> _StepLines:
    """The batch, and the loss if it is not the default."""
    batch = "batch" if cell.data == OWN_DATA else "(inputs, targets)"
    if not model.has_own_loss:
        other = "# cross-entropy; another loss: treatment.backward(batch, loss)"
        return _StepLines(batch, "loss", other)
    where = "the model's file" if model.is_own else "this network"
    return _StepLines(
        f"{batch}, loss", "value", f"# `loss(model, batch)` is the function of {where}"
    )


def _allocator(cell: Cell) -> list[str]:
    """A comment on the allocator: a script cannot choose it, because the system loads it first."""
    if not cell.allocator:
        return []
    return [f"# measured with the allocator {cell.allocator}: preload it (LD_PRELOAD)"]


_IMPORTS_OF_RANKS = (
    "from ondevice_bench.methods.ranks import Ranks",
    "from ondevice_bench.specs import trained",
)
_RANKS = (
    "ranks = {{layer: Ranks(**each) for layer, each in trained.ranks({model}, {energy}).items()}}"
)


def _trained_energy(cell: Cell) -> float | None:
    """The energy of the ranks, if they come from a stored table for this network; else None."""
    found = (value for name, value in cell.method_options if name.rpartition(".")[2] == RULE)
    value = next(found, None)
    return None if value is None else float(value)


_FROZEN_NORMS = (
    "# batch-norm did not train in the measurement; repeat this after each model.train()",
    "for norm in model.modules():",
    "    if isinstance(norm, nn.modules.batchnorm._BatchNorm):",
    "        norm.eval()",
    "        for name, value in norm.named_parameters():",
    '            if not (name == "bias" and treatment.trains_shifts):',
    "                value.requires_grad_(False)",
)
_NORMS_OF_FROZEN_PARTS = (
    "# batch-norm in a frozen part did not train; repeat this after each model.train()",
    "for norm in treatment.frozen_norms:",
    "    norm.eval()",
)


def _treat(cell: Cell, layout: str, *, has_ranks: bool) -> list[str]:
    parts = composition.parts(cell.method)
    own = [part.own(cell.method_options) for part in parts]
    options: Mapping[str, Any] = {}
    if mix.is_mix(cell.method):
        method = f"{{{', '.join(_entries(parts, own))}}}"
    elif len(parts) == 1:
        method, options = _literal(_name(parts[0])), own[0]
    else:
        method = _composed(parts, own)
    arguments = ["model", method, *_arguments({"layers": cell.layers, **options})]
    arguments += [f"layout={layout}"] * bool(layout)
    arguments += ["ranks=ranks"] * has_ranks
    return _call("treatment = treat", arguments)


def _call(begin: str, arguments: Sequence[str]) -> list[str]:
    """A call on one line, or with an argument on each line."""
    line = f"{begin}({', '.join(arguments)})"
    if len(line) <= WIDTH:
        return [line]
    return [f"{begin}(", *(f"    {argument}," for argument in arguments), ")"]


def _entries(parts: Sequence[Part], own: Sequence[Mapping[str, Any]]) -> list[str]:
    """The entries of a mix: for each choice of layers, what is composed there."""
    layers = dict.fromkeys(part.layers for part in parts)
    pairs = list(zip(parts, own, strict=True))
    entries = []
    for each in layers:
        mine = [(part, options) for part, options in pairs if part.layers == each]
        composed = _composed([part for part, _ in mine], [options for _, options in mine])
        entries.append(f"{_literal(each)}: {composed}")
    return entries


def _composed(parts: Sequence[Part], own: Sequence[Mapping[str, Any]]) -> str:
    pairs = (
        f"({_literal(_name(part))}, {_literal(options)})"
        for part, options in zip(parts, own, strict=True)
    )
    return f"[{', '.join(pairs)}]"


def _name(part: Part) -> str:
    """The name of a built-in method, or the path of a user's file."""
    if registry.methods().get(part.spec.name) == part.spec:
        return part.spec.name
    file, colon, name = part.spec.implementation.rpartition(":")
    path = Path(file)
    if path.is_relative_to(Path.cwd()):
        file = f"./{path.relative_to(Path.cwd())}"
    return f"{file}{colon}{name}"


def _layout(cell: Cell) -> str:
    """The layout of the network, if the method or its layers need it."""
    words = [cell.layers, *(part.layers for part in composition.parts(cell.method))]
    needs = any(spec.needs for spec in composition.specs(cell.method))
    if not needs and all(word.partition(":")[0] in (*_WITHOUT_LAYOUT, "") for word in words):
        return ""
    layout = registry.model(cell.model).layout
    named = {
        name: value for name in ModelLayout.__dataclass_fields__ if (value := getattr(layout, name))
    }
    return f"ModelLayout({', '.join(_arguments(named))})" if named else ""


def _of_optimizer(train: Train) -> dict[str, Any]:
    usual = {"kind": "sgd", "momentum": 0.0, "weight_decay": 0.0, "clip": None}
    given = {
        "kind": train.optimizer,
        "lr": train.lr,
        "momentum": train.momentum,
        "weight_decay": train.weight_decay,
        "clip": train.clip,
    }
    return {name: value for name, value in given.items() if name == "lr" or value != usual[name]}


def _arguments(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}={_literal(value)}" for name, value in values.items()]


def _literal(value: object) -> str:
    """A value in Python, with double quotes."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, Mapping):
        pairs = (f"{_literal(key)}: {_literal(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    return repr(value)
