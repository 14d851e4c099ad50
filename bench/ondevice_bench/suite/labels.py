"""Cells in few words: `asi ε=0.8` below the heading `mcunet, batch 8, seed 0`.

Everything that people read uses these labels. Files for machines (JSON, CSV, Markdown) have ids.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench.specs import mix
from ondevice_bench.suite.cell import Cell, Value, without_hash

PLAIN = "vanilla"


@dataclass(frozen=True)
class LabelledCells:
    """The cells of one workload, plain training first. `heading` says what they have in common."""

    heading: str
    cells: tuple[Cell, ...]
    labels: tuple[str, ...]


def method_label(cell: Cell) -> str:
    """The method and its options: `asi ε=0.8`, `asi+checkpoint rank=4`, `TopK keep=0.1`.

    A mix without a label of the user's is `asi rank=4 on last:4, lean on all`.
    """
    if cell.label:
        return cell.label
    if not mix.is_mix(cell.method):
        return _label(cell.method.split("+"), cell.method_options)
    labels = []
    for entry in mix.entries_of(cell.method):
        pairs = ((*name.partition("=")[::2], value) for name, value in cell.method_options)
        own = [(name, value) for layers, name, value in pairs if layers == entry.layers]
        labels.append(f"{_label(entry.methods, own)} on {entry.layers.removeprefix('pattern:')}")
    return ", ".join(labels)


def _label(parts: Sequence[str], values: Iterable[tuple[str, Value]]) -> str:
    """The methods that are joined for the same layers, and their options."""
    options = [(*_owner_and_name(name, parts), value) for name, value in values]
    count = Counter(name for _, name, _ in options)
    words = [
        f"{_class(owner) + '.' if count[name] > 1 else ''}{_symbol(name)}={_text(value)}"
        for owner, name, value in options
    ]
    return " ".join(["+".join(map(_class, parts)), *words])


def row_labels(cells: Sequence[Cell]) -> tuple[str, ...]:
    """A label for each cell of a workload: the method, and layers and seed where they differ.

    It has the allocator if the cell names one.

    Cells whose labels would be equal have their ids instead.
    """
    by_layers = len({cell.layers for cell in cells if cell.method != PLAIN}) > 1
    by_seed = len({cell.seed for cell in cells}) > 1
    methods = {(cell.method, cell.method_options): cell for cell in cells}
    names = {key: method_label(cell) for key, cell in methods.items()}
    labels = [
        " · ".join(
            [
                names[cell.method, cell.method_options],
                *([cell.layers] if by_layers and cell.layers != "all" else []),
                *([cell.allocator] if cell.allocator else []),
                *([f"seed {cell.seed}"] if by_seed else []),
            ]
        )
        for cell in cells
    ]
    count = Counter(labels)
    pairs = zip(labels, cells, strict=True)
    return tuple(label if count[label] == 1 else cell.id for label, cell in pairs)


def labelled(cells: Iterable[Cell]) -> tuple[LabelledCells, ...]:
    """The cells by workload: in a group only method, layers, seed and allocator differ."""
    by_workload: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        by_workload.setdefault(cell.of_any_method, []).append(cell)
    groups = [sorted(each, key=lambda cell: cell.method != PLAIN) for each in by_workload.values()]
    return tuple(
        LabelledCells(_heading(group), tuple(group), row_labels(group)) for group in groups
    )


def short_names(cells: Iterable[Cell]) -> dict[Cell, str]:
    """The label of each cell for a line of its own. The heading goes first if there are several."""
    groups = labelled(cells)
    return {
        cell: label if len(groups) == 1 else f"{group.heading}: {label}"
        for group in groups
        for label, cell in zip(group.labels, group.cells, strict=True)
    }


def _heading(cells: Sequence[Cell]) -> str:
    """Model and batch, and all else that is the same for these cells and no default."""
    first = cells[0]
    layers = {cell.layers for cell in cells if cell.method != PLAIN}
    seeds = {cell.seed for cell in cells}
    words = [first.id.split("/")[0], f"batch {first.batch}"]
    words += [first.dtype] if first.dtype != "float32" else []
    words += [f"layers {layer}" for layer in layers if len(layers) == 1 and layer != "all"]
    words += [f"data {first.data}"] if first.data != "synthetic" else []
    words += [f"weights {first.weights}"] if first.weights != "random" else []
    words += [f"seed {first.seed}"] if len(seeds) == 1 else []
    return ", ".join(words)


def _owner_and_name(option: str, parts: Sequence[str]) -> tuple[str, str]:
    """The part of a composed method that has the option, and the option's name there."""
    owner = next((part for part in parts if option.startswith(f"{part}.")), parts[0])
    return owner, option.removeprefix(f"{owner}.")


def _class(method: str) -> str:
    """The name of a method. One from a file has the name of its class, without file and hash."""
    return without_hash(method).rpartition(":")[2]


def _symbol(option: str) -> str:
    return option.replace("epsilon", "ε")


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0")
