"""A network's layers and spectra in the terminal."""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from statistics import median
from typing import Any

from ondevice_bench.terminal import Table
from ondevice_bench.units import flops, mib


def layer_table(network: Mapping[str, Any]) -> Table:
    """Each layer that a method could change."""
    rows = Table("layer", "kind", "input", "parameters", "FLOPs", "activations", "chosen by")
    for row in network["layers"]:
        rows.add_row(
            row["name"],
            f"{row['kind']} {_by(row['weight'])}",
            _by(row["input"] or ["not used"]),
            f"{row['parameters']:,}",
            flops(row["forward_flops"]),
            mib(row["activation_bytes"]) if row["activation_bytes"] else "–",
            ", ".join(_with_count(word) for word in row["chosen_by"]),
        )
    return rows


def layer_notes(network: Mapping[str, Any], batch: int) -> list[str]:
    """The meaning of the columns, and the activation bytes outside these layers."""
    layers = network["layers"]
    inside = sum(layer["activation_bytes"] for layer in layers)
    others = sorted(network["others"].items(), key=lambda item: -item[1])
    total = sum(layer["forward_flops"] for layer in layers)
    outside = ", ".join(f"{name} {mib(size)}" for name, size in others)
    parameters = f"{network['parameters']:,} parameters ({mib(network['parameter_bytes'])})"
    head = network["head"] or "unknown"
    return [
        f"batch {batch}: plain training stores {mib(network['activation_bytes'])} for backward",
        f"  {mib(inside)} by the layers above (–: always in memory, or saved by an earlier layer)",
        f"  the rest by {outside}",
        f"{parameters}; {flops(total)} in one forward pass of these layers",
        "  a multiply-add counts as two; attention's own products are not included",
        f"chosen by: last: 3+ means last: 3, last: 4 and so on; the head is {head}",
    ]


def spectrum_table(epsilons: Sequence[float], by_weights: Mapping[str, Any]) -> Table:
    """The ranks at each share of energy: the median over layers, and their range."""
    titles = [
        f"{kind}: {tensor}" for kind in by_weights for tensor in ("weights", "inputs", "stored")
    ]
    rows = Table("epsilon", *titles)
    for place, epsilon in enumerate(epsilons):
        texts: list[str] = []
        for layers in by_weights.values():
            texts += _shares(layers, place)
        rows.add_row(f"{epsilon:g}", *texts)
    return rows


def spectrum_rows(epsilons: Sequence[float], by_weights: Mapping[str, Any], pattern: str) -> Table:
    """The ranks of the layers whose names match."""
    rows = Table("layer", "weights", "of", *(f"{epsilon:g}" for epsilon in epsilons))
    for kind, layers in by_weights.items():
        for name, layer in layers.items():
            if not fnmatchcase(name, pattern):
                continue
            weight = layer["weight"]
            rows.add_row(name, kind, f"weight {_by(weight['shape'])}", *map(str, weight["ranks"]))
            for activation in _activations(layer):
                ranks = [_by(each) for each in activation["ranks"]]
                rows.add_row("", "", f"input {_by(activation['shape'])}", *ranks)
    return rows


def spectrum_notes(data: str, batch: int, unavailable: Mapping[str, str]) -> list[str]:
    """The meaning of the numbers, and why some weights are missing."""
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
    activations = [each for layer in layers.values() for each in _activations(layer)]
    inputs = [
        rank / largest
        for activation in activations
        for rank, largest in zip(activation["ranks"][place], activation["largest"], strict=True)
    ]
    stored = sum(activation["stored"][place] for activation in activations)
    whole = sum(math.prod(activation["shape"]) for activation in activations)
    return [_spread(weights), _spread(inputs), f"{100 * stored / whole:.0f} %" if whole else "–"]


def _activations(layer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The input of each call of a layer; empty if the network does not call it."""
    first = layer["activation"]
    return [] if first is None else [first, *layer["other_activations"]]


def _spread(shares: Sequence[float]) -> str:
    if not shares:
        return "–"
    low, high = min(shares), max(shares)
    return f"{100 * median(shares):.0f} % ({100 * low:.0f} … {100 * high:.0f})"


def _by(shape: Sequence[object]) -> str:
    return "×".join(map(str, shape))


def _with_count(word: str) -> str:
    name, colon, count = word.partition(":")
    return f"{name}: {count}+" if colon else name
