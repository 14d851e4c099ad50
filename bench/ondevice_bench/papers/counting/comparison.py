"""A published account beside the exact one, quantity by quantity, over all treated layers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ondevice_bench.methods.layer_flops import LayerFlops
from ondevice_bench.papers.counting.published import Published

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
class Line:
    """One quantity both ways; `published` is None where the dialect does not count it.

    `mended` is the published count without a slip that stands in its formula.
    """

    quantity: str
    unit: str
    published: int | None
    exact: int
    departs: tuple[str, ...]
    mended: int | None = None


def compare(layers: Iterable[tuple[Sequence[Published], LayerFlops]]) -> list[Line]:
    """The sums over layers; exact sums are of the layers that the dialect counts, and no others."""
    counted = [(rows, work) for rows, work in layers if rows]
    lines = [line for quantity in COUNTERPARTS if (line := _line(quantity, counted)) is not None]
    if not lines:
        return []
    covered = {part for line in lines for part in COUNTERPARTS[line.quantity]}
    whole = sum((work for _, work in counted), LayerFlops())
    lines += [
        Line(part, "FLOP", None, getattr(whole, part), (NO_FORMULA,))
        for part in ("decomposition", "input_gradient", "weight_gradient", "update", "inference")
        if part not in covered and getattr(whole, part)
    ]
    return [*lines, _training(lines, whole)]


def _line(quantity: str, counted: Sequence[tuple[Sequence[Published], LayerFlops]]) -> Line | None:
    rows = [(row, work) for rows, work in counted for row in rows if row.quantity == quantity]
    if not rows:
        return None
    exact = sum(getattr(work, part) for _, work in rows for part in COUNTERPARTS[quantity])
    departs = tuple(dict.fromkeys(row.departs for row, _ in rows))
    total = sum(row.count for row, _ in rows)
    mended = _mended([(row.count, row.mended) for row, _ in rows])
    return Line(quantity, rows[0][0].unit, total, exact, departs, mended)


def _mended(counts: Sequence[tuple[int, int | None]]) -> int | None:
    """The sum with what is mended in its place; None where nothing is."""
    if all(mended is None for _, mended in counts):
        return None
    return sum(count if mended is None else mended for count, mended in counts)


def _training(lines: Sequence[Line], whole: LayerFlops) -> Line:
    """All that the dialect counts of a step, against all that is executed."""
    parts = [line for line in lines if line.quantity != "inference"]
    units = {line.unit for line in parts if line.published is not None}
    total = sum(line.published or 0 for line in parts)
    missing = [line.quantity for line in parts if line.published is None]
    departs = ["the sum of the above"]
    if len(units) > 1:
        departs.append("which adds multiply-adds to FLOPs")
    if missing:
        departs.append("what has no formula is in the exact count alone")
    if whole.factorisation:
        departs.append("the exact count has its factorisations beside it, as an estimate")
    unit = units.pop() if len(units) == 1 else MIXED
    mended = _mended([(line.published or 0, line.mended) for line in parts])
    return Line("training", unit, total, whole.training, ("; ".join(departs),), mended)


def plain(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """The lines as plain values, with the ratio of published to exact."""
    return [
        {
            "quantity": line.quantity,
            "unit": line.unit,
            "published": line.published,
            "exact": line.exact,
            "ratio": line.published / line.exact if line.published and line.exact else None,
            "departs": list(line.departs),
            "mended": line.mended,
        }
        for line in lines
    ]
