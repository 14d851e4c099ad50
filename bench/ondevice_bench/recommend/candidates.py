"""The candidates of a space: cells, and those among them that cannot be, with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ondevice_bench.analyse.gradient import has_exact_gradient
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import PLAIN, method_label
from ondevice_bench.suite.plan import plan
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.space import Space, named_by_training, suites_in, training_words
from ondevice_bench.suite.suite import Suite

# why a candidate is out. The first is of no limit: the method cannot change this network
Cause = Literal["unsuitable", "memory", "cosine", "accuracy", "loss", "failed", "unmeasured"]


@dataclass(frozen=True)
class RuledOut:
    """A candidate that is out, and why. `value` is what it has of the limited quantity."""

    name: str
    cause: Cause
    reason: str
    value: float | None = None


def planned_in(space: Space, workload: Suite, board: Board) -> tuple[PlannedCell, ...]:
    """Every candidate of the space as a cell of the workload; some cannot be, with the reason."""
    items = [
        replace(item, cell=named_by_training(item.cell, space.trains))
        for suite in suites_in(space, workload)
        for item in plan(suite, board)
    ]
    return tuple({item.cell.id: item for item in items}.values())


def in_order(cells: Sequence[Cell], peaks: Mapping[str, int | None]) -> list[Cell]:
    """Plain training first, then exact methods, each by its memory: what is known best."""
    return sorted(
        cells,
        key=lambda cell: (
            cell.method != PLAIN,
            not has_exact_gradient(cell.method),
            peaks.get(cell.id) or 0,
        ),
    )


def labels_of(cells: Sequence[Cell], space: Space) -> dict[str, str]:
    """The method of each cell in few words, with what else differs between the cells."""
    several_batches = len({cell.batch for cell in cells}) > 1
    several_layers = len({cell.layers for cell in cells}) > 1
    labels = {}
    for cell in cells:
        words = [method_label(cell)]
        words += [cell.layers] if several_layers else []
        words += [f"batch {cell.batch}"] if several_batches else []
        words += [training_words(cell.train, space.trains[0])] if len(space.trains) > 1 else []
        labels[cell.id] = " · ".join(filter(None, words))
    return labels
