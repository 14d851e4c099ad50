"""Cells in few words: `asi ε=0.8` below the heading `mcunet, batch 8, seed 0`.

Everything that people read uses these labels. Files for machines (JSON, CSV, Markdown) have ids.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from ondevice_bench.specs import composition, mix, registry
from ondevice_bench.suite.cell import Cell, Value, without_hash

PLAIN = "vanilla"


@dataclass(frozen=True)
class LabelledCells:
    """The cells of one workload, plain training first. `heading` says what they have in common."""

    heading: str
    cells: tuple[Cell, ...]
    labels: tuple[str, ...]


def method_label(cell: Cell, left_out: AbstractSet[str] = frozenset()) -> str:
    """The method and its options: `asi ε=0.8`, `asi+checkpoint rank=4`, `TopK keep=0.1`.

    A mix without a label of the user's is `asi rank=4 on last:4, lean on all`. It has all its
    options. Other labels have none of the options in `left_out`.
    """
    if cell.label:
        return cell.label
    if not mix.is_mix(cell.method):
        return _label(cell.method.split("+"), cell.method_options, left_out)
    labels = []
    for entry in mix.entries_of(cell.method):
        pairs = ((*name.partition("=")[::2], value) for name, value in cell.method_options)
        own = [(name, value) for layers, name, value in pairs if layers == entry.layers]
        labels.append(f"{_label(entry.methods, own)} on {entry.layers.removeprefix('pattern:')}")
    return ", ".join(labels)


def with_reason(label: str, reason: str) -> str:
    """`label: reason`. A reason that begins with the method of the label does not repeat it.

    A method that refuses a network names itself: a user's own loop shows no label. A reason whose
    subject is the label is a whole sentence.
    """
    if reason.startswith(f"{label} "):
        return reason
    method, colon, rest = reason.partition(": ")
    is_repeated = colon and re.match(rf"{re.escape(method)}(?![\w+])", label)
    return f"{label}: {rest if is_repeated else reason}"


def shared_options(cells: Iterable[Cell]) -> dict[str, Value]:
    """The options that have one value in all these cells, wherever a method takes them.

    An option that only one method of the cells has is its own. A mix shows all its options.
    """
    methods = {(cell.method, cell.method_options): cell for cell in cells}
    having: dict[str, list[tuple[Cell, str, Value]]] = {}
    for cell in methods.values():
        for owner, name, value in _options(cell):
            having.setdefault(name, []).append((cell, owner, value))
    return {
        name: found[0][2]
        for name, found in having.items()
        if len({value for _, _, value in found}) == 1
        and len({cell for cell, _, _ in found}) > 1
        and not _is_left_out(name, {owner for _, owner, _ in found}, methods.values())
    }


def shared_text(cells: Iterable[Cell]) -> str:
    """The shared options as text: `fraction=0.125 sequential=true`. Empty if there are none."""
    shared = shared_options(cells)
    return " ".join(f"{_symbol(name)}={_text(value)}" for name, value in shared.items())


def _options(cell: Cell) -> list[tuple[str, str, Value]]:
    """Each option, after the part of the method that has it."""
    if not mix.is_mix(cell.method):
        parts = cell.method.split("+")
        return [(*_owner_and_name(name, parts), value) for name, value in cell.method_options]
    methods = {entry.layers: entry.methods for entry in mix.entries_of(cell.method)}
    pairs = ((*name.partition("=")[::2], value) for name, value in cell.method_options)
    return [(*_owner_and_name(name, methods[layers]), value) for layers, name, value in pairs]


def _is_left_out(option: str, owners: AbstractSet[str], cells: Iterable[Cell]) -> bool:
    """Whether a cell has one of the owners of the option without the option."""
    for cell in cells:
        with_it = {owner for owner, name, _ in _options(cell) if name == option}
        if not owners & set(cell.method.split("+")) <= with_it:
            return True
    return False


def _label(
    parts: Sequence[str],
    values: Iterable[tuple[str, Value]],
    left_out: AbstractSet[str] = frozenset(),
) -> str:
    """The methods that are joined for the same layers, and their options."""
    all_options = ((*_owner_and_name(name, parts), value) for name, value in values)
    options = [each for each in all_options if each[1] not in left_out]
    count = Counter(name for _, name, _ in options)
    words = [
        f"{_class(owner) + '.' if count[name] > 1 else ''}{_symbol(name)}={_text(value)}"
        for owner, name, value in options
    ]
    return " ".join(["+".join(map(_class, parts)), *words])


def row_labels(cells: Sequence[Cell], left_out: AbstractSet[str] = frozenset()) -> tuple[str, ...]:
    """A label for each cell of a workload: the method, and layers and seed where they differ.

    It has the layers if they are not the usual ones of these cells, the allocator if the cell names
    one, and none of the options in `left_out`.

    Cells whose labels would be equal have their ids instead.
    """
    usual, several = usual_layers(cells), len({c.layers for c in cells if c.method == PLAIN}) > 1
    by_seed = len({cell.seed for cell in cells}) > 1
    methods = {(cell.method, cell.method_options): cell for cell in cells}
    names = {key: method_label(cell, left_out) for key, cell in methods.items()}
    labels = [
        " · ".join(
            [
                names[cell.method, cell.method_options],
                *([cell.layers] if cell.layers not in _unnamed(cell, usual, several) else []),
                *([cell.allocator] if cell.allocator else []),
                *([f"seed {cell.seed}"] if by_seed else []),
            ]
        )
        for cell in cells
    ]
    count = Counter(labels)
    pairs = zip(labels, cells, strict=True)
    return tuple(label if count[label] == 1 else cell.id for label, cell in pairs)


def usual_layers(cells: Iterable[Cell]) -> str:
    """The layers that most methods of these cells change; `all` if no choice has a majority.

    Methods that choose no layers count only if there are no other methods.
    """
    methods = {(cell.method, cell.method_options, cell.layers): cell for cell in cells}
    choosing = [cell for cell in methods.values() if not _ignores_layers(cell)]
    choices = [cell.layers for cell in choosing or methods.values()]
    (layers, count), *_ = Counter(choices).most_common(1) or [("all", 1)]
    return layers if 2 * count > len(choices) else "all"


def _unnamed(cell: Cell, usual: str, several: bool) -> tuple[str, ...]:
    """The layers that the label of this cell does not repeat."""
    if not _ignores_layers(cell):
        return (usual,)
    return ("all",) if several else ("all", usual)


def _ignores_layers(cell: Cell) -> bool:
    """Whether the method ignores the choice of layers, or has layers in its own name."""
    known = registry.methods()
    names = composition.names(cell.method)
    return mix.is_mix(cell.method) or all(
        name in known and not known[name].chooses_layers for name in names
    )


def labelled(cells: Iterable[Cell]) -> tuple[LabelledCells, ...]:
    """The cells by workload: in a group only method, layers, seed and allocator differ.

    The heading names the options that its cells share. The labels do not repeat them.
    """
    return tuple(
        LabelledCells(_heading(group), group, row_labels(group, shared_options(group).keys()))
        for group in _by_workload(cells)
    )


def short_names(cells: Iterable[Cell]) -> dict[Cell, str]:
    """The label of each cell for a line of its own, with all options.

    What its workload has in common goes first if there are several workloads.
    """
    groups = _by_workload(cells)
    return {
        cell: label if len(groups) == 1 else f"{_common(group)}: {label}"
        for group in groups
        for label, cell in zip(row_labels(group), group, strict=True)
    }


def _by_workload(cells: Iterable[Cell]) -> list[tuple[Cell, ...]]:
    """The cells of each workload, plain training first."""
    by_workload: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        by_workload.setdefault(cell.of_any_method, []).append(cell)
    return [
        tuple(sorted(each, key=lambda cell: cell.method != PLAIN)) for each in by_workload.values()
    ]


def _heading(cells: Sequence[Cell]) -> str:
    """What the cells have in common, with the options that they share."""
    shared = shared_text(cells)
    which = f", {shared} where a method has {'them' if ' ' in shared else 'it'}"
    return f"{_common(cells)}{which if shared else ''}"


def layers_text(cells: Sequence[Cell]) -> str:
    """The usual layers of these cells, which labels leave out. Empty if they are all layers."""
    usual = usual_layers(cells)
    choosing = {cell.layers for cell in cells if not _ignores_layers(cell)}
    exceptions = " unless named" if choosing > {usual} else ""
    return "" if usual == "all" else f"{usual}{exceptions}"


def _common(cells: Sequence[Cell]) -> str:
    """Model and batch, and all else that is the same for these cells and no default."""
    first = cells[0]
    layers = layers_text(cells)
    seeds = {cell.seed for cell in cells}
    words = [first.id.split("/")[0], f"batch {first.batch}"]
    words += [first.dtype] if first.dtype != "float32" else []
    words += [f"layers {layers}"] if layers else []
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
