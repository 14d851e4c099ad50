"""Groups of comparable cells, each with its baseline."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

from ondevice_bench import allocators, metrics
from ondevice_bench.analyse.alternation import alternated
from ondevice_bench.analyse.baseline_options import NO_OPTIONS, of_equal_options
from ondevice_bench.analyse.judgement import DRIFT
from ondevice_bench.analyse.ratios import ratio_of, why_no_ratio
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import layers_text, row_labels, shared_options, shared_text
from ondevice_bench.suite.layers import freezes

APART = (
    "not interleaved: its rounds did not alternate with those of {baseline}, because some were "
    "measured apart (`--retry`, a run with `--budget` that went on, or a search). So a drift of "
    "the machine looks like a difference between them, and a difference of times or memory counts "
    "only from twice the usual threshold. Use `bench run --fresh`"
)
# the passes of noisy metrics
_PROVING = tuple(dict.fromkeys(m.pass_name for m in metrics.ALL if m.kind == "noisy"))


@dataclass(frozen=True)
class CellWithBaseline:
    """A cell and its baseline. `label` is short: it distinguishes the cell within its group.

    `full_label` also has the options that all cells of the group share.
    """

    cell: CellSummary
    label: str
    full_label: str
    base: CellSummary | None  # None if the baseline was not measured with it
    # the baseline under the default allocator, for a cell with another one
    default_base: CellSummary | None = None
    run_drift: int = 1  # multiplies thresholds: above 1 if the run was not interleaved
    why_no_base: str = ""  # why none of several baselines is its own

    @property
    def method(self) -> str:
        """The method's name."""
        return self.cell.planned.cell.method

    @property
    def is_baseline(self) -> bool:
        """Whether this cell is the baseline itself."""
        return self.cell is self.base

    def drift(self, metric: str) -> int:
        """What multiplies the threshold: above 1 if the rounds of both sides did not alternate."""
        is_in_turn = self._alternated(metrics.described(metric).pass_name)
        return max(self.run_drift, 1 if is_in_turn else DRIFT)

    @property
    def is_apart(self) -> bool:
        """Whether the run alternated between its cells, but not between this one and the base."""
        return self.run_drift == 1 and not all(map(self._alternated, _PROVING))

    def _alternated(self, pass_name: str) -> bool:
        one, other = (side.begun.get(pass_name, {}) for side in self._sides)
        return alternated(one, other)

    def rounds(self, metric: str) -> int:
        """The number of processes that measured the metric: the smaller number of both sides."""
        return self._fewest(metric, (0, 0))

    def undisturbed(self, metric: str) -> int:
        """The same without the processes from which other programs or a quota took processors."""
        pass_name = metrics.described(metric).pass_name
        own, of_base = (side.disturbed.get(pass_name, 0) for side in self._sides)
        return max(0, self._fewest(metric, (own, of_base)))

    @property
    def _sides(self) -> tuple[CellSummary, CellSummary]:
        return self.cell, self.base or self.cell

    def _fewest(self, metric: str, left_out: tuple[int, int]) -> int:
        """The processes of the side with fewer of them. On a fleet, they are pairs on one board."""
        if all(metric in side.origins for side in self._sides):
            own, of_base = (set(side.origins[metric]) for side in self._sides)
            return len(own & of_base) - sum(left_out)
        counts = [len(side.samples.get(metric, ())) for side in self._sides]
        return min(count - less for count, less in zip(counts, left_out, strict=True))

    def ratio(self, metric: str) -> Estimate | None:
        """The metric as a multiple of the baseline's; None if either is missing."""
        return ratio_of(metric, self.cell, self.base)

    def why_no_ratio(self, metric: str) -> str:
        """Why the metric of both sides has no ratio; empty if one of them is missing."""
        return why_no_ratio(metric, self.cell, self.base) if self.base else ""

    def ratio_to_default(self, metric: str) -> Estimate | None:
        """The metric as a multiple of the baseline's under the default allocator.

        None for a cell with the default allocator: `ratio` has the same baseline.
        """
        return ratio_of(metric, self.cell, self.default_base)


@dataclass(frozen=True)
class Group:
    """One workload with several methods. Only method, changed layers, seed and allocator differ.

    Labels leave out what most cells have in common: the `layers`, and the `shared` options, which
    have one value in all cells that have them.
    """

    title: str
    shared: str
    layers: str
    members: tuple[CellWithBaseline, ...]
    # the same workload at every batch: one tuple that all its groups share
    all_batches: tuple[CellWithBaseline, ...] = ()
    # from the board's profile: GFLOP/s by type of number, and GB/s as `bandwidth`
    peaks: Mapping[str, float] = field(default_factory=dict)
    limit_bytes: int | None = None  # the memory that a step may use; None if it is unknown
    # what the baseline of a part of a group is; empty for a whole group, or without a baseline
    against: tuple[Any, ...] = ()

    @cached_property
    def shown_seed(self) -> int:
        """The seed with the most methods that have a baseline, over all batches.

        It is the first of them if several seeds have equally many.
        """
        return _shown_seed(self.members, self.all_batches)

    @cached_property
    def of_first_seed(self) -> "Group":
        """The group with the shown seed only, for views that would show each cell several times."""
        members = _of_one_seed(self.members, self.shown_seed)
        all_batches = _of_one_seed(self.all_batches, self.shown_seed)
        if members is self.members and all_batches is self.all_batches:
            return self
        cells = _cells(members)
        return replace(
            self,
            shared=shared_text(cells),
            layers=layers_text(cells),
            members=members,
            all_batches=all_batches,
        )

    @cached_property
    def by_baseline(self) -> tuple["Group", ...]:
        """The cells of the first seed, a group for each baseline. Only these can be ranked.

        The lowest ratio is not the lowest value if the baselines differ.
        """
        shown = self.of_first_seed
        parts: dict[tuple[Any, ...], list[CellWithBaseline]] = {}
        for member in shown.members:
            parts.setdefault(_what_baseline(member.base), []).append(member)
        return tuple(
            replace(
                shown,
                title=f"{self.title}, {_against(members)}" if len(parts) > 1 else self.title,
                members=tuple(members),
                against=against,
            )
            for against, members in parts.items()
        )

    @property
    def only_in_other_seeds(self) -> tuple[str, ...]:
        """The first cell of each method that `of_first_seed` does not have at all."""
        shown = {cell.of_any_seed for cell in _cells(self.of_first_seed.members)}
        left_out: dict[str, str] = {}
        for cell in _cells(self.members):
            if cell.of_any_seed not in shown:
                left_out.setdefault(cell.of_any_seed, cell.id)
        return tuple(left_out.values())


def apart_notes(summary: RunSummary, baseline: str | None = None) -> tuple[tuple[str, str], ...]:
    """The cells whose rounds did not alternate with those of their baseline, each with a note."""
    return tuple(
        (member.cell.id, APART.format(baseline=member.base.planned.cell.method))
        for group in groups(summary, baseline)
        for member in group.members
        if member.base is not None and member.is_apart
    )


def _is_measured(cell: CellSummary) -> bool:
    return bool(cell.estimates)


def groups(
    summary: RunSummary,
    baseline: str | None = None,
    is_member: Callable[[CellSummary], bool] = _is_measured,
) -> tuple[Group, ...]:
    """The cells of a run by workload, in plan order. By default, only those that were measured."""
    against = baseline or str(summary.run.settings.get("baseline", "vanilla"))
    cells_by_workload: dict[tuple[Any, ...], list[CellSummary]] = {}
    for cell in summary.cells:
        if is_member(cell):
            cells_by_workload.setdefault(cell.planned.cell.of_any_method, []).append(cell)
    firsts = [cells[0].planned.cell for cells in cells_by_workload.values()]
    drift = 1 if summary.is_interleaved else DRIFT
    members = [_members(cells, against, drift) for cells in cells_by_workload.values()]
    all_batches = _over_batches(firsts, members)
    peaks = summary.run.settings.get("peaks") or {}
    limit = usable_memory(summary)
    return tuple(
        Group(
            title,
            shared_text(_cells(of_group)),
            layers_text(_cells(of_group)),
            of_group,
            over_batches,
            peaks,
            limit,
        )
        for title, of_group, over_batches in zip(_titles(firsts), members, all_batches, strict=True)
    )


def with_baseline(summary: RunSummary, cell: CellSummary) -> CellWithBaseline:
    """A cell of the run with its baseline, if the baseline was measured."""
    members = (member for group in groups(summary) for member in group.members)
    found = (member for member in members if member.cell is cell)
    return next(found, CellWithBaseline(cell, cell.id, cell.id, None))


def _members(
    cells: Sequence[CellSummary], baseline: str, drift: int
) -> tuple[CellWithBaseline, ...]:
    bases: dict[tuple[int, str, str], list[CellSummary]] = {}
    of_same_layers: dict[tuple[int, str, str], list[CellSummary]] = {}
    for cell in cells:
        if cell.planned.cell.method == baseline:
            bases.setdefault(_baseline_key(cell.planned.cell, baseline), []).append(cell)
            of_same_layers.setdefault(_own_key(cell.planned.cell), []).append(cell)

    def member(cell: CellSummary) -> CellWithBaseline:
        planned = cell.planned.cell
        found = of_same_layers.get(_own_key(planned)) or bases.get(_baseline_key(planned, baseline))
        base = of_equal_options(planned, found or ())
        return CellWithBaseline(
            cell,
            cell.id,
            cell.id,
            base,
            _default_base(planned, baseline, bases),
            drift,
            NO_OPTIONS.format(baseline=baseline) if found and base is None else "",
        )

    return _relabelled(map(member, cells))


def _relabelled(members: Iterable[CellWithBaseline]) -> tuple[CellWithBaseline, ...]:
    """The members with labels that distinguish them from each other."""
    members = tuple(members)
    planned = _cells(members)
    labels = row_labels(planned, shared_options(planned).keys())
    return tuple(
        replace(member, label=label, full_label=full_label)
        for member, label, full_label in zip(members, labels, row_labels(planned), strict=True)
    )


def _shown_seed(
    members: Sequence[CellWithBaseline], all_batches: Sequence[CellWithBaseline]
) -> int:
    """The seed that compares the most cells of all batches, if it compares any of these members.

    Otherwise the one that compares the most of them. The first of several.
    """
    compared = _compared(members)
    usual = _best_seed(_compared(all_batches or members))
    return usual if compared[usual] else _best_seed(compared)


def _compared(members: Sequence[CellWithBaseline]) -> Counter[int]:
    """The number of cells with a baseline, by seed."""
    compared: Counter[int] = Counter()
    for member in members:
        compared[member.cell.planned.cell.seed] += member.base is not None
    return compared


def _best_seed(compared: Mapping[int, int]) -> int:
    return min(compared, key=lambda each: (-compared[each], each), default=0)


def _of_one_seed(members: tuple[CellWithBaseline, ...], seed: int) -> tuple[CellWithBaseline, ...]:
    """The members of one seed, with labels that do not name the seed, made for each batch."""
    if all(member.cell.planned.cell.seed == seed for member in members):
        return members
    by_batch: dict[int, list[CellWithBaseline]] = {}
    for member in members:
        if member.cell.planned.cell.seed == seed:
            by_batch.setdefault(member.cell.planned.cell.batch, []).append(member)
    return tuple(chain.from_iterable(map(_relabelled, by_batch.values())))


def _cells(members: Sequence[CellWithBaseline]) -> list[Cell]:
    return [member.cell.planned.cell for member in members]


def _over_batches(
    firsts: Sequence[Cell], members: Sequence[tuple[CellWithBaseline, ...]]
) -> list[tuple[CellWithBaseline, ...]]:
    """For each group, the members of all groups that differ only in the batch."""
    workloads = [replace(cell, batch=0).of_any_method for cell in firsts]
    by_workload: dict[tuple[Any, ...], list[CellWithBaseline]] = {}
    for workload, of_group in zip(workloads, members, strict=True):
        by_workload.setdefault(workload, []).extend(of_group)
    shared = {workload: tuple(found) for workload, found in by_workload.items()}
    return [shared[workload] for workload in workloads]


def _default_base(
    cell: Cell, baseline: str, bases: Mapping[tuple[int, str, str], Sequence[CellSummary]]
) -> CellSummary | None:
    """The baseline under the default allocator; None if the cell has the default allocator."""
    if cell.allocator in allocators.DEFAULT:
        return None
    keys = (
        _baseline_key(replace(cell, allocator=default), baseline) for default in allocators.DEFAULT
    )
    return next((of_equal_options(cell, bases[key]) for key in keys if key in bases), None)


def _baseline_key(cell: Cell, baseline: str) -> tuple[int, str, str]:
    """What a cell and its baseline have in common: seed, allocator, and layers that freeze others.

    Vanilla changes no layers. So one cell of vanilla is the baseline for every choice of layers
    that freezes none. A cell of vanilla with the same choice is preferred.
    """
    layers = cell.layers if freezes(cell.layers) or baseline != "vanilla" else "all"
    return cell.seed, layers, cell.allocator


def _own_key(cell: Cell) -> tuple[int, str, str]:
    return cell.seed, cell.layers, cell.allocator


def _what_baseline(base: CellSummary | None) -> tuple[Any, ...]:
    """What a baseline is. Two cells of vanilla train alike unless one of them freezes layers."""
    if base is None:
        return ()
    cell = base.planned.cell
    return cell.method, cell.method_options, _baseline_key(cell, cell.method)[1:]


def _against(members: Sequence[CellWithBaseline]) -> str:
    bases = (member.full_label for member in members if member.is_baseline)
    return next((f"compared with {label}" for label in bases), "without a baseline")


def _titles(cells: Sequence[Cell]) -> list[str]:
    """A title for each workload: model, batch, and everything else that differs."""
    labels: tuple[Callable[[Cell], str], ...] = (
        lambda cell: cell.data,
        lambda cell: f"weights {cell.weights}",
        lambda cell: cell.dtype,
    )
    distinct = [label for label in labels if len(set(map(label, cells))) > 1]
    return [
        ", ".join(
            [cell.id.split("/")[0], f"batch {cell.batch}", *(label(cell) for label in distinct)]
        )
        for cell in cells
    ]
