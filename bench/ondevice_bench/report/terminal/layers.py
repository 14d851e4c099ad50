"""A network's layers and spectra as tables of text."""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from statistics import median
from typing import TYPE_CHECKING, Any

from ondevice_bench.terminal import table
from ondevice_bench.units import flops, mib

if TYPE_CHECKING:
    from rich.table import Table


def layer_table(found: Mapping[str, Any]) -> "Table":
    """Each layer that a method could treat."""
    made = table("layer", "kind", "input", "parameters", "FLOPs", "activations", "chosen by")
    for row in found["layers"]:
        made.add_row(
            row["name"],
            f"{row['kind']} {_by(row['weight'])}",
            _by(row["input"] or ["not used"]),
            f"{row['parameters']:,}",
            flops(row["forward_flops"]),
            mib(row["activation_bytes"]) if row["activation_bytes"] else "–",
            ", ".join(_counted(word) for word in row["chosen_by"]),
        )
    return made


def layer_notes(found: Mapping[str, Any], batch: int) -> list[str]:
    """What the table's figures are, and the bytes that no layer in it saves."""
    rows = found["layers"]
    treated = sum(row["activation_bytes"] for row in rows)
    others = sorted(found["others"].items(), key=lambda item: -item[1])
    total = sum(row["forward_flops"] for row in rows)
    rest = ", ".join(f"{name} {mib(size)}" for name, size in others)
    parameters = f"{found['parameters']:,} parameters ({mib(found['parameter_bytes'])})"
    head = found["head"] or "unknown"
    return [
        f"batch {batch}: vanilla training keeps {mib(found['activation_bytes'])} for backward",
        f"  {mib(treated)} were saved first by the layers above (–: resident, or saved before)",
        f"  the rest by {rest}",
        f"{parameters}; {flops(total)} in one forward pass of these layers",
        "  two for each multiply-add; attention's own products are not among them",
        f"chosen by: last: 3+ is in last: 3, last: 4 and so on; the head is {head}",
    ]


def spectrum_table(epsilons: Sequence[float], by_weights: Mapping[str, Any]) -> "Table":
    """The ranks at each share of energy: the median over layers, and their range."""
    titles = [f"{kind}: {what}" for kind in by_weights for what in ("weights", "inputs", "stored")]
    made = table("epsilon", *titles)
    for place, epsilon in enumerate(epsilons):
        texts: list[str] = []
        for layers in by_weights.values():
            texts += _shares(layers, place)
        made.add_row(f"{epsilon:g}", *texts)
    return made


def spectrum_rows(
    epsilons: Sequence[float], by_weights: Mapping[str, Any], pattern: str
) -> "Table":
    """The ranks themselves, of the layers whose names match."""
    made = table("layer", "weights", "of", *(f"{epsilon:g}" for epsilon in epsilons))
    for kind, layers in by_weights.items():
        for name, layer in layers.items():
            if not fnmatchcase(name, pattern):
                continue
            weight, activation = layer["weight"], layer["activation"]
            made.add_row(name, kind, f"weight {_by(weight['shape'])}", *map(str, weight["ranks"]))
            if activation is not None:
                rows = [_by(row) for row in activation["ranks"]]
                made.add_row("", "", f"input {_by(activation['shape'])}", *rows)
    return made


def spectrum_notes(data: str, batch: int, unavailable: Mapping[str, str]) -> list[str]:
    """What the numbers mean, and why some weights are missing."""
    return [
        f"on data {data}, batch {batch}",
        "ranks: in % of the largest possible, median over layers (least … most)",
        "inputs: over the modes of every layer's input",
        "stored: what HOSVD would store of all inputs at these ranks",
        *(f"not shown: {kind}: {reason}" for kind, reason in unavailable.items()),
    ]


def _shares(layers: Mapping[str, Any], place: int) -> list[str]:
    all_weights = [layer["weight"] for layer in layers.values()]
    weights = [weight["ranks"][place] / weight["largest"] for weight in all_weights]
    seen = [layer["activation"] for layer in layers.values() if layer["activation"] is not None]
    inputs = [
        rank / largest
        for activation in seen
        for rank, largest in zip(activation["ranks"][place], activation["largest"], strict=True)
    ]
    stored = sum(activation["stored"][place] for activation in seen)
    whole = sum(math.prod(activation["shape"]) for activation in seen)
    return [_spread(weights), _spread(inputs), f"{100 * stored / whole:.0f} %" if whole else "–"]


def _spread(shares: Sequence[float]) -> str:
    if not shares:
        return "–"
    low, high = min(shares), max(shares)
    return f"{100 * median(shares):.0f} % ({100 * low:.0f} … {100 * high:.0f})"


def _by(shape: Sequence[object]) -> str:
    return "×".join(map(str, shape))


def _counted(word: str) -> str:
    name, colon, count = word.partition(":")
    return f"{name}: {count}+" if colon else name
