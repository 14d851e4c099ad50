"""The lines that train with the method of a cell, to paste into a training script."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ondevice_bench.errors import BadInput
from ondevice_bench.specs import mix, registry, trained
from ondevice_bench.specs.builtin_methods import BY_CONTENT, METHODS
from ondevice_bench.suite.cell import Cell, Train, Value, without_hash
from ondevice_bench.suite.matrix import OWN_DATA

# `(name, options)` of each joined method
Parts = Sequence[tuple[str, Mapping[str, Value]]]
LOOP = """for batch in batches:
    loss = treatment.backward(batch)  # or your own forward and loss.backward()
    optimizer.step()
    optimizer.zero_grad()"""
SLICED_LOOP = LOOP.replace(
    "# or your own forward and loss.backward()",
    "# it runs the slices; backward(batch, loss) is yours",
)
WITH_LOSS = LOOP.replace(
    "loss = treatment.backward(batch)  # or your own forward and loss.backward()",
    "value = treatment.backward(batch, loss)  # {note}",
)
LOSS_OF_THE_NETWORK = "`loss(model, batch)` is that of this network"
LOSS_OF_THE_FILE = "`loss` of the model's file; without one, leave it out"
MAYBE_A_LOSS = "# if the model's file has a function `loss`, give it after each batch"
NO_TABLE = (
    "# the ranks of `trained` are for the layers of {model}: for another network, use `epsilon`"
)
BATCH_NORM = "# the gradient is exact only with frozen batch-norm: call eval() on these layers"


def training_lines(cell: Cell) -> str:
    """The lines, for a network `model`, a `batch` (inputs, targets) and `batches` of the user's.

    Empty for plain training. A stored cell does not say whether the file of a user's network has a
    loss. So the lines assume one beside a batch function, and say so.
    """
    parts = _parts(cell)
    names = [_path(name) for each in parts.values() for name, _ in each]
    if names == ["vanilla"]:
        return ""
    options = {name for each in parts.values() for _, own in each for name in own}
    if trained.RULE in options:
        return NO_TABLE.format(model=cell.model)
    is_sliced = "microbatch" in names
    module, note = _loss(cell)
    calibrate = f"treatment.calibrate({'batch, loss' if note else 'batch'})"
    loop = WITH_LOSS.format(note=note) if note else SLICED_LOOP if is_sliced else LOOP
    return "\n".join(
        [
            "from ondevice_bench import treat",
            *([f"from {module} import loss"] if module else []),
            "",
            *([MAYBE_A_LOSS] if _may_have_a_loss(cell) and not note else []),
            *([BATCH_NORM] if is_sliced and cell.train.freeze_bn else []),
            f"treatment = treat(model, {_method(parts, cell.layers)})",
            *([f"{calibrate}  # (inputs, targets)"] if _needs(names, options) else []),
            f"optimizer = treatment.optimizer({_optimizer(cell.train)})",
            loop,
            "plain = treatment.merge()  # plain layers again",
        ]
    )


def _loss(cell: Cell) -> tuple[str, str]:
    """The module of the loss if it is one of ours, and a note on it; empty for the default loss."""
    if cell.data == OWN_DATA:
        return "", LOSS_OF_THE_FILE
    with suppress(BadInput):  # a stored cell may be of another version
        model = registry.model(cell.model)
        if model.has_own_loss and not model.is_own:
            return model.implementation, LOSS_OF_THE_NETWORK
    return "", ""


def _may_have_a_loss(cell: Cell) -> bool:
    """Whether the network comes from the user's code."""
    from_library = cell.model.startswith(("torchvision:", "transformers:"))
    return registry.is_own_model(cell.model) and not from_library


def _parts(cell: Cell) -> dict[str, Parts]:
    """The joined methods with their options, by the layers that a mix gives them."""
    if not mix.is_mix(cell.method):
        names = cell.method.split("+")
        prefix = {name: f"{name}." if len(names) > 1 else "" for name in names}
        return {"": [(name, _own(cell.method_options, prefix[name])) for name in names]}
    return {
        entry.layers: [
            (name, _own(cell.method_options, f"{entry.layers}={name}.")) for name in entry.methods
        ]
        for entry in mix.entries_of(cell.method)
    }


def _own(options: Iterable[tuple[str, Value]], prefix: str) -> dict[str, Value]:
    return {n.removeprefix(prefix): value for n, value in options if n.startswith(prefix)}


def _method(parts: Mapping[str, Parts], layers: str) -> str:
    """The arguments of `treat` after the network."""
    chosen = f"layers={_text(layers)}"
    if list(parts) != [""]:
        entries = ", ".join(f"{_text(of)}: {_listing(each)}" for of, each in parts.items())
        return f"{{{entries}}}, {chosen}"
    (each,) = parts.values()
    if len(each) > 1:
        return f"{_listing(each)}, {chosen}"
    name, options = each[0]
    words = [_text(_path(name)), chosen, *(f"{key}={_text(v)}" for key, v in options.items())]
    return ", ".join(words)


def _listing(parts: Parts) -> str:
    pairs = (
        f"({_text(_path(name))}, "
        f"{{{', '.join(f'{_text(key)}: {_text(value)}' for key, value in options.items())}}})"
        for name, options in parts
    )
    return f"[{', '.join(pairs)}]"


def _path(method: str) -> str:
    """The method as `treat` takes it: one from a file has a path, and no hash of its code."""
    name = without_hash(method)
    return name if ".py:" not in name or name.startswith((".", "/")) else f"./{name}"


def _needs(names: Iterable[str], options: Iterable[str]) -> bool:
    """Whether a batch comes first: for ranks or bases. A method in a file may need one, too."""
    keeping = {spec.name for spec in METHODS if spec.keeps_calibration}
    return any(".py:" in n or n in keeping for n in names) or any(n in BY_CONTENT for n in options)


def _optimizer(train: Train) -> str:
    """The arguments of the optimizer, without those that have their default there."""
    values: dict[str, Any] = {"lr": train.lr}
    values |= {"weight_decay": train.weight_decay} if train.weight_decay else {}
    values |= {"clip": train.clip} if train.clip is not None else {}
    values |= {"momentum": train.momentum} if train.momentum else {}
    values |= {"kind": train.optimizer} if train.optimizer != "sgd" else {}
    return ", ".join(f"{name}={_text(value)}" for name, value in values.items())


def _text(value: Value) -> str:
    """A value as Python writes it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
