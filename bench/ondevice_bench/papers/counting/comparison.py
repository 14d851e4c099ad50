"""Published and exact FLOPs of each quantity, over all changed layers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench.methods.layer_flops import LayerFlops
from ondevice_bench.papers.counting.published import FormulaCount

# the parts of the exact count that each published quantity includes
COUNTERPARTS: Mapping[str, tuple[str, ...]] = {
    "forward": ("forward",),
    "decomposition": ("decomposition",),
    "input_gradient": ("input_gradient",),
    "weight_gradient": ("weight_gradient",),
    "backward": ("input_gradient", "weight_gradient"),
    "head": ("input_gradient", "weight_gradient"),  # those of another layer
    "update": ("update",),
    "inference": ("inference",),
}
_PARTS = ("forward", "decomposition", "input_gradient", "weight_gradient", "update", "inference")
NO_FORMULA = "there is no formula for it"
MIXED = "FLOP and MAC as published"


@dataclass(frozen=True)
class FlopComparison:
    """One quantity in both counts; `published` is None if the dialect does not count it.

    `corrected` is the published count without the error in its formula.
    """

    quantity: str
    unit: str
    published: int | None
    exact: int
    differences: tuple[str, ...]
    corrected: int | None = None


def compare(layers: Iterable[tuple[Sequence[FormulaCount], LayerFlops]]) -> list[FlopComparison]:
    """The sums over the layers that the dialect counts, published and exact."""
    counted = [(rows, work) for rows, work in layers if rows]
    lines = [line for quantity in COUNTERPARTS if (line := _line(quantity, counted)) is not None]
    if not lines:
        return []
    covered = {part for line in lines for part in COUNTERPARTS[line.quantity]}
    whole = sum((work for _, work in counted), LayerFlops())
    lines += [
        FlopComparison(part, "FLOP", None, getattr(whole, part), (NO_FORMULA,))
        for part in _PARTS
        if part not in covered and getattr(whole, part)
    ]
    return [*lines, _training(lines, whole)]


def _line(
    quantity: str, counted: Sequence[tuple[Sequence[FormulaCount], LayerFlops]]
) -> FlopComparison | None:
    rows = [(row, work) for rows, work in counted for row in rows if row.quantity == quantity]
    if not rows:
        return None
    exact = sum(getattr(work, part) for _, work in rows for part in COUNTERPARTS[quantity])
    differences = tuple(dict.fromkeys(row.difference for row, _ in rows))
    total = sum(row.count for row, _ in rows)
    corrected = _corrected([(row.count, row.corrected) for row, _ in rows])
    return FlopComparison(quantity, rows[0][0].unit, total, exact, differences, corrected)


def _corrected(counts: Sequence[tuple[int, int | None]]) -> int | None:
    """The sum with corrected counts, if there are any; None if no count is corrected."""
    if all(corrected is None for _, corrected in counts):
        return None
    return sum(count if corrected is None else corrected for count, corrected in counts)


def _training(lines: Sequence[FlopComparison], whole: LayerFlops) -> FlopComparison:
    """The whole step as the dialect counts it, and as it is executed."""
    parts = [line for line in lines if line.quantity != "inference"]
    units = {line.unit for line in parts if line.published is not None}
    total = sum(line.published or 0 for line in parts)
    missing = [line.quantity for line in parts if line.published is None]
    differences = ["the sum of the above"]
    if len(units) > 1:
        differences.append("it adds multiply-adds to FLOPs")
    if missing:
        differences.append("only the exact count includes quantities without a formula")
    if whole.factorisation:
        differences.append("the exact count does not include factorisations, which are estimated")
    unit = units.pop() if len(units) == 1 else MIXED
    corrected = _corrected([(line.published or 0, line.corrected) for line in parts])
    return FlopComparison(
        "training", unit, total, whole.training, ("; ".join(differences),), corrected
    )


def plain(lines: Iterable[FlopComparison]) -> list[dict[str, Any]]:
    """The lines as plain values, with the ratio of published to exact."""
    return [
        {
            "quantity": line.quantity,
            "unit": line.unit,
            "published": line.published,
            "exact": line.exact,
            "ratio": line.published / line.exact if line.published and line.exact else None,
            "departs": list(line.differences),
            "mended": line.corrected,
        }
        for line in lines
    ]
