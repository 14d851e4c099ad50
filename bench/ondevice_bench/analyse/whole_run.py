"""A run that is slower as a whole: the machine, torch or shared code, not one method.

A comparison of two runs cannot tell a slower machine from slower code. But the cells of one run
share the machine. So if a cell and its baseline are both slower, their ratio within each run
decides whether the method became slower. Only times and energies are looked at: a slower machine
does not need more memory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median

from ondevice_bench import metrics
from ondevice_bench.analyse.compare import CONFIDENCE, NOISY, join_cells
from ondevice_bench.analyse.comparison import Comparison, Difference, WholeRunChange
from ondevice_bench.analyse.groups import groups
from ondevice_bench.analyse.judgement import DRIFT
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.stats import Change, shift
from ondevice_bench.units import number_of, ratio

UNITS = ("seconds", "joules")  # of the metrics that a slower machine makes worse
_METRICS = tuple(name for name in NOISY if metrics.BY_NAME[name].unit in UNITS)


@dataclass(frozen=True)
class _Cell:
    """A cell in the base and in the new run; `baseline` is the cell of the base, if there is one.

    A baseline is its own.
    """

    base: CellSummary
    new: CellSummary
    baseline: str

    @property
    def is_baseline(self) -> bool:
        return self.baseline == self.base.id


def judged_as_whole(comparison: Comparison, base: RunSummary, new: RunSummary) -> Comparison:
    """The comparison in which no method regressed that only shares what slowed its baseline.

    The comparison must have all cells of both runs.
    """
    slow = {
        (item.metric, item.cell)
        for item in comparison.with_verdict("regressed")
        if item.metric in _METRICS and not item.accepted
    }
    if not slow:
        return comparison
    cells = _cells(base, new)
    judged = [item for item in comparison.differences if item.lower is not None]
    confidence = 1 - (1 - CONFIDENCE) / len(judged)
    drift = DRIFT if comparison.not_interleaved else 1
    verdicts: dict[tuple[str, str], Difference] = {}
    changes = []
    for name in dict.fromkeys(metric for metric, _ in slow):
        judge = _Judge(name, cells, confidence, drift * metrics.BY_NAME[name].threshold)
        items = [item for item in judged if item.metric == name and item.cell in cells]
        found = judge.beside_baselines(items)
        if change := judge.whole_run(items, found):
            changes.append(change)
            found |= {
                item.cell: _not_judged(item, _words_of_whole(change))
                for item in items
                if cells[item.cell].is_baseline
            }
        verdicts |= {(name, cell): item for cell, item in found.items()}
    return replace(
        comparison,
        differences=tuple(
            verdicts.get((item.metric, item.cell), item) for item in comparison.differences
        ),
        whole_run=tuple(changes),
    )


def _not_judged(item: Difference, reason: str) -> Difference:
    """The same change without a verdict. Its bounds would tell of a doubt about its size."""
    return replace(
        item, verdict="inconclusive", reason=reason, lower=None, upper=None, is_near=True
    )


class _Judge:
    """Judges one metric of all cells by what the cells of a run share."""

    def __init__(
        self, name: str, cells: Mapping[str, _Cell], confidence: float, threshold: float
    ) -> None:
        self._name = name
        self._cells = cells
        self._confidence = confidence
        self._threshold = threshold

    def beside_baselines(self, items: Iterable[Difference]) -> dict[str, Difference]:
        """The regressed cells that may only share what slowed their baseline, not regressed."""
        slow = {item.cell: item for item in items if item.verdict == "regressed"}
        found = {}
        for cell, item in slow.items():
            pair = self._cells[cell]
            if pair.is_baseline or pair.baseline not in slow:
                continue
            change = self._beside(cell, pair.baseline)
            if change is None or change.direction != "more":
                method = self._cells[pair.baseline].base.planned.cell.method
                reason = _words_beside(method, change)
                found[cell] = _not_judged(item, reason)
        return found

    def whole_run(
        self, items: Iterable[Difference], shared: Mapping[str, Difference]
    ) -> WholeRunChange | None:
        """By how much all cells are slower; None if one is not, or if the baselines differ.

        A cell that is not decided says nothing. `shared` has the cells that are as slow as their
        baseline: at least one of them must be.
        """
        items = list(items)
        baselines = [item for item in items if self._cells[item.cell].is_baseline]
        is_slow_everywhere = all(
            item.verdict in ("regressed", "inconclusive") and not item.accepted for item in items
        )
        if not (shared and baselines and is_slow_everywhere):
            return None
        if any(item.verdict != "regressed" for item in baselines):
            return None
        first, *others = (item.cell for item in baselines)
        beside = [self._beside(cell, first) for cell in others]
        if any(change is not None and change.direction in ("less", "more") for change in beside):
            return None
        ratios = [item.ratio for item in (*baselines, *shared.values()) if item.ratio is not None]
        return WholeRunChange(self._name, median(ratios), min(ratios), max(ratios), len(ratios))

    def _beside(self, cell: str, other: str) -> Change | None:
        """The change of the ratio of one cell to another one of the same run; None if unknown."""
        one, beside = self._cells[cell], self._cells[other]
        before = _ratios(self._name, one.base, beside.base)
        after = _ratios(self._name, one.new, beside.new)
        if not before or not after:
            return None
        change = shift(before, after, self._threshold, self._confidence)
        return None if change.upper == float("inf") else change


def _cells(base: RunSummary, new: RunSummary) -> dict[str, _Cell]:
    """The cells of both runs, by their ids in the base."""
    partners = {one.id: other.id for one, other in join_cells(base.planned, new.planned).pairs}
    news = {cell.id: cell for cell in new.planned}
    return {
        member.cell.id: _Cell(
            member.cell,
            news[partners[member.cell.id]],
            "" if member.base is None else member.base.id,
        )
        for group in groups(base)
        for member in group.members
        if member.cell.id in partners
    }


def _ratios(name: str, cell: CellSummary, other: CellSummary) -> list[float]:
    """The ratio of two cells in each round in which nothing disturbed either of them."""
    over, under = _by_round(name, cell), _by_round(name, other)
    return [
        over[round_] / under[round_]
        for round_ in over
        if round_ in under and over[round_] > 0 and under[round_] > 0
    ]


def _by_round(name: str, cell: CellSummary) -> dict[object, float]:
    """The reading of each process that nothing disturbed, by its round and board."""
    samples = cell.samples.get(name, ())
    begun = cell.begun.get(metrics.BY_NAME[name].pass_name, {})
    rounds = cell.origins.get(name) or (tuple(begun) if len(begun) == len(samples) else ())
    disturbed = cell.disturbances.get(name) or [False] * len(samples)
    return {
        round_: median(each)
        for round_, each, is_lost in zip(
            rounds or range(len(samples)), samples, disturbed, strict=True
        )
        if each and not is_lost
    }


def _words_beside(method: str, change: Change | None) -> str:
    """Why the method is not called slower."""
    if change is None or change.direction == "unknown":
        return f"{method} is slower, too, and it is not decided whether this method is slower alone"
    size = f"{ratio(change.ratio)}, {ratio(change.lower)} … {ratio(change.upper)}"
    if change.direction == "less":
        return f"{method} became slower by more: the ratio to it in the same run fell ({size})"
    return f"as much slower as {method}: the ratio to it in the same run is unchanged ({size})"


def _words_of_whole(change: WholeRunChange) -> str:
    """Why the baseline is not called slower."""
    cells = number_of(change.cells, "cell")
    size = f"{change.metric} {ratio(change.ratio)} in {cells}"
    return f"the whole run is slower ({size}), so this does not show that the method is"
