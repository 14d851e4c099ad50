"""Cells that may be weighed against each other, and ratios to their baseline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.layers import freezes


@dataclass(frozen=True)
class CellWithBaseline:
    """A cell among its like: `label` is what of its id the others do not share."""

    cell: CellSummary
    label: str
    base: CellSummary | None  # None where the baseline was not measured beside it

    @property
    def method(self) -> str:
        """The method's name."""
        return self.cell.planned.cell.method

    @property
    def is_baseline(self) -> bool:
        """Whether this is what others are weighed against."""
        return self.cell is self.base

    def rounds(self, metric: str) -> int:
        """Processes that measured it, on the side that has fewer."""
        sides = (self.cell, self.base or self.cell)
        return min(len(side.samples.get(metric, ())) for side in sides)

    def ratio(self, metric: str) -> Estimate | None:
        """The metric as a multiple of the baseline's; None where either is missing."""
        if self.base is None:
            return None
        return ratio(self.cell.estimates.get(metric), self.base.estimates.get(metric))


@dataclass(frozen=True)
class Group:
    """One workload under its methods: all but method, treated layers and seed are the same."""

    title: str
    members: tuple[CellWithBaseline, ...]
    other_batches: tuple[CellWithBaseline, ...] = ()  # the same workload at other sizes
    # of the board by its profile: GFLOP/s by type, and GB/s as `bandwidth`
    peaks: Mapping[str, float] = field(default_factory=dict)


def groups(summary: RunSummary, baseline: str | None = None) -> tuple[Group, ...]:
    """The measured cells of a run by workload, in the order of the plan."""
    against = baseline or str(summary.run.settings.get("baseline", "vanilla"))
    found: dict[str, list[CellSummary]] = {}
    for cell in summary.cells:
        if cell.estimates:
            found.setdefault(cell.planned.cell.of_any_method, []).append(cell)
    firsts = [cells[0].planned.cell for cells in found.values()]
    members = [_members(cells, against) for cells in found.values()]
    workloads = [replace(cell, batch=0).of_any_method for cell in firsts]
    return tuple(
        Group(
            title,
            members[place],
            tuple(
                member
                for other, mine in enumerate(members)
                if other != place and workloads[other] == workloads[place]
                for member in mine
            ),
            summary.run.settings.get("peaks") or {},
        )
        for place, title in enumerate(_titles(firsts))
    )


def ratio(over: Estimate | None, under: Estimate | None) -> Estimate | None:
    """A quotient of two estimates, as wide as the farthest ends of their intervals allow."""
    if over is None or under is None or not under.estimate:
        return None
    middle = over.estimate / under.estimate
    if over.basis == under.basis == "exact":
        return Estimate(middle, middle, middle, "exact")
    bounds = (over.lower, over.upper, under.lower, under.upper)
    if None in bounds or not under.lower or not under.upper:
        return Estimate(middle, None, None, f"{over.basis}, over: {under.basis}")
    assert over.lower is not None
    assert over.upper is not None
    said = f"between the farthest ends of both intervals: {over.basis}, over: {under.basis}"
    return Estimate(middle, over.lower / under.upper, over.upper / under.lower, said)


def _members(cells: Sequence[CellSummary], baseline: str) -> tuple[CellWithBaseline, ...]:
    bases: dict[tuple[int, str], CellSummary] = {}
    for cell in cells:
        if cell.planned.cell.method == baseline:
            bases.setdefault(_trained(cell.planned.cell, baseline), cell)
    several = {
        "layers": len({c.planned.cell.layers for c in cells if c.planned.cell.method != baseline}),
        "seeds": len({c.planned.cell.seed for c in cells}),
    }
    return tuple(
        CellWithBaseline(
            cell, _label(cell, several), bases.get(_trained(cell.planned.cell, baseline))
        )
        for cell in cells
    )


def _trained(cell: Cell, baseline: str) -> tuple[int, str]:
    """What a cell and its baseline share: the seed, and the layers where they decide what trains.

    Vanilla treats no layers, so that one cell stands beside every choice that freezes nothing.
    """
    same = cell.layers if freezes(cell.layers) or baseline != "vanilla" else "all"
    return cell.seed, same


def _label(cell: CellSummary, several: Mapping[str, int]) -> str:
    _, method, *_ = cell.id.split("/")
    layers, seed = cell.planned.cell.layers, cell.planned.cell.seed
    parts = [method]
    parts += [layers] if several["layers"] > 1 and layers != "all" else []
    parts += [f"seed {seed}"] if several["seeds"] > 1 else []
    return " · ".join(parts)


def _titles(cells: Sequence[Cell]) -> list[str]:
    """Each workload by model and batch, and by whatever else tells it from the others."""
    told: tuple[Callable[[Cell], str], ...] = (
        lambda cell: cell.data,
        lambda cell: f"weights {cell.weights}",
        lambda cell: cell.dtype,
    )
    differ = [say for say in told if len(set(map(say, cells))) > 1]
    return [
        ", ".join([cell.id.split("/")[0], f"batch {cell.batch}", *(say(cell) for say in differ)])
        for cell in cells
    ]
