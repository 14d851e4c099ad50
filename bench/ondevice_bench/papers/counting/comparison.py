"""A published account beside the exact one, quantity by quantity, over all treated layers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench.methods.layer_flops import LayerFlops
from ondevice_bench.papers.counting.published import FormulaCount

# what of the exact count a published quantity stands for
COUNTERPARTS: Mapping[str, tuple[str, ...]] = {
    "forward": ("forward",),
    "decomposition": ("decomposition",),
    "input_gradient": ("input_gradient",),
    "weight_gradient": ("weight_gradient",),
    "backward": ("input_gradient", "weight_gradient"),
    "update": ("update",),
    "inference": ("inference",),
}
NO_FORMULA = "no formula is given"
MIXED = "FLOP and MAC as published"


@dataclass(frozen=True)
class FlopComparison:
    """One quantity both ways; `published` is None where the dialect does not count it.

    `corrected` is the published count without a slip that stands in its formula.
    """

    quantity: str
    unit: str
    published: int | None
    exact: int
    differences: tuple[str, ...]
    corrected: int | None = None


def compare(layers: Iterable[tuple[Sequence[FormulaCount], LayerFlops]]) -> list[FlopComparison]:
    """The sums over layers; exact sums are of the layers that the dialect counts, and no others."""
    counted = [(rows, work) for rows, work in layers if rows]
    lines = [line for quantity in COUNTERPARTS if (line := _line(quantity, counted)) is not None]
    if not lines:
        return []
    covered = {part for line in lines for part in COUNTERPARTS[line.quantity]}
    whole = sum((work for _, work in counted), LayerFlops())
    lines += [
        FlopComparison(part, "FLOP", None, getattr(whole, part), (NO_FORMULA,))
        for part in ("decomposition", "input_gradient", "weight_gradient", "update", "inference")
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
    """The sum with what is corrected in its place; None where nothing is."""
    if all(corrected is None for _, corrected in counts):
        return None
    return sum(count if corrected is None else corrected for count, corrected in counts)


def _training(lines: Sequence[FlopComparison], whole: LayerFlops) -> FlopComparison:
    """All that the dialect counts of a step, against all that is executed."""
    parts = [line for line in lines if line.quantity != "inference"]
    units = {line.unit for line in parts if line.published is not None}
    total = sum(line.published or 0 for line in parts)
    missing = [line.quantity for line in parts if line.published is None]
    differences = ["the sum of the above"]
    if len(units) > 1:
        differences.append("which adds multiply-adds to FLOPs")
    if missing:
        differences.append("what has no formula is in the exact count alone")
    if whole.factorisation:
        differences.append("the exact count has its factorisations beside it, as an estimate")
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
