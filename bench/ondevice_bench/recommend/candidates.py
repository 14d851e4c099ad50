"""The candidates of a space as cells, and the reason for each candidate that is impossible."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ondevice_bench import units
from ondevice_bench.analyse.gradient import has_exact_updates
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.peaks import peaks
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.cell_ids import with_seed, without_seed
from ondevice_bench.suite.labels import PLAIN, method_label
from ondevice_bench.suite.plan import plan
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.space import Space, named_by_training, suites_in, training_words
from ondevice_bench.suite.suite import Suite

# why a candidate is out. `unsuitable` means that the method cannot change this network
Cause = Literal[
    "unsuitable", "memory", "cosine", "accuracy", "target", "loss", "failed", "unmeasured"
]


@dataclass(frozen=True)
class RuledOut:
    """A candidate that is out, and why. `value` is the quantity that the limit is about.

    `is_open` means that more seeds may bring it back.
    """

    name: str
    cause: Cause
    reason: str
    value: float | None = None
    is_open: bool = False


@dataclass(frozen=True)
class Candidates:
    """The candidates of a space. `ruled_out` has those that are out by shapes; the plan skips them.

    A candidate is the cell of the first seed. The plan has its cells of other seeds, too.
    """

    plan: tuple[PlannedCell, ...]
    labels: Mapping[str, str]
    sizes: Mapping[str, int | None]  # bytes of tensors at the peak; None if shapes do not tell
    ruled_out: tuple[RuledOut, ...]

    @property
    def suitable(self) -> bool:
        """Whether any method can change the network at all."""
        return bool(self.sizes)

    @property
    def fitting(self) -> tuple[Cell, ...]:
        """The cells that may fit: plain training, exact methods, then the others, by memory."""
        cells = [
            item.cell
            for item in self.plan
            if item.state == "planned" and item.cell.id in self.labels
        ]
        return tuple(
            sorted(
                cells,
                key=lambda cell: (
                    cell.method != PLAIN,
                    not has_exact_updates(cell),
                    self.sizes[cell.id] or 0,
                ),
            )
        )


def candidates_of(
    host: Host, space: Space, workload: Suite, limit: int, tell: Callable[[str], None]
) -> Candidates:
    """The candidates of a space for the workload, and those that do not fit into the limit."""
    plan = planned_in(space, workload, host.board)
    first = [item for item in plan if item.cell.seed == workload.seeds[0]]
    suitable = [item.cell for item in first if item.state == "planned"]
    sizes = {cell.id: size for cell, size in peaks(host, workload, suitable, tell)}
    out = [RuledOut(i.cell.id, "unsuitable", i.reason) for i in first if i.state != "planned"]
    for name, size in sizes.items():
        if size is not None and size > limit:
            too_large = f"its tensors alone need {units.mib(size)}"
            out.append(RuledOut(name, "memory", too_large, size))
    reasons = {each.name: each.reason for each in out}
    return Candidates(
        plan=tuple(
            replace(item, state="skipped", reason=reason)
            if (reason := reasons.get(of_seed(item.cell.id, workload.seeds[0])))
            else item
            for item in plan
        ),
        labels=labels_of([item.cell for item in first], space),
        sizes=sizes,
        ruled_out=tuple(out),
    )


def of_seed(name: str, seed: int) -> str:
    """The id of the same cell with another seed."""
    return with_seed(without_seed(name), seed)


def planned_in(space: Space, workload: Suite, board: Board) -> tuple[PlannedCell, ...]:
    """Every candidate of the space as a cell of the workload. An impossible one has its reason."""
    items = [
        replace(item, cell=named_by_training(item.cell, space.trains))
        for suite in suites_in(space, workload)
        for item in plan(suite, board)
    ]
    return tuple({item.cell.id: item for item in items}.values())


def labels_of(cells: Sequence[Cell], space: Space) -> dict[str, str]:
    """A label for each cell: its method, and what else differs between the cells."""
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
