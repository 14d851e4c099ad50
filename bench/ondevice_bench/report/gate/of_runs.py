"""The outcome of a comparison of two runs."""

from collections.abc import Callable, Collection, Sequence
from functools import cache

from ondevice_bench.analyse.comparison import Comparison, Difference
from ondevice_bench.analyse.failed_rounds import MoreFailed
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.record.model import Run
from ondevice_bench.report.gate.decided import decision_lines, why_not_decided
from ondevice_bench.report.gate.outcome import GateOutcome, GateRow, Place
from ondevice_bench.report.gate.places import (
    Sources,
    lines_of_baseline,
    repository_root,
    suite_file,
)
from ondevice_bench.report.terminal.comparison import (
    accepted_text,
    both,
    code_texts,
    more_rounds_text,
    other_notes,
    size_of,
)

PlaceOf = Callable[[str, str], Place | None]  # from a cell and a metric to the place


def outcome_of_runs(
    title: str, comparison: Comparison, fail_on: Collection[str], place_of: PlaceOf
) -> GateOutcome:
    """The outcome of the comparison. Each row has its place in a file."""
    return GateOutcome(
        title=title,
        base=comparison.base,
        new=comparison.new,
        rows=(
            *(_failed_row(item, place_of) for item in comparison.failed),
            *(_row(item, comparison, place_of) for item in comparison.differences),
        ),
        only_in_base=comparison.only_in_base,
        only_in_new=comparison.only_in_new,
        notes=(*decision_lines(comparison), *code_texts(comparison), *other_notes(comparison)),
        exit_code=comparison.exit_code(fail_on),
        failing=frozenset(fail_on),
        why_not_decided=why_not_decided(comparison),
    )


def places_for(
    reference: str, base: RunSummary, runs: Sequence[Run], comparison: Comparison
) -> PlaceOf:
    """A function that finds the place of a metric: changed code, the baseline, or the suite.

    The new cells may be of several runs.
    """
    root = repository_root()
    sources = [Sources(run.suite_text, suite_file(run.suite), root) for run in runs]
    lines = lines_of_baseline(reference, root)
    cells = {cell.id: cell.planned.cell for cell in base.cells}

    @cache  # the files are searched once for all metrics of a cell
    def in_sources(cell: str) -> Place | None:
        naming = (each for each in sources if each.names(cells[cell]))
        of_suite = next(naming, None)
        changed = [change.file for change in comparison.code.get(cell, ())]
        return of_suite.place_of(cells[cell], changed) if of_suite else None

    def place_of(cell: str, metric: str) -> Place | None:
        if cell not in comparison.code and (cell, metric) in lines:
            return lines[cell, metric]
        return in_sources(cell)

    return place_of


def _failed_row(item: MoreFailed, place_of: PlaceOf) -> GateRow:
    return GateRow(
        cell=item.cell,
        metric=item.pass_name,
        base=str(item.base),
        new=str(item.new),
        change="",
        verdict="failed",
        remark=item.new.reason,
        place=place_of(item.cell, item.pass_name),
    )


def _row(item: Difference, comparison: Comparison, place_of: PlaceOf) -> GateRow:
    base, new = both(item)
    code = map(str, comparison.code.get(item.cell, ()))
    has_size = item.lower is not None or item.verdict != "unchanged"
    remarks = [
        item.reason,
        accepted_text(item),
        more_rounds_text(item),
        *(code if item.verdict != "unchanged" else ()),
    ]
    return GateRow(
        cell=item.cell,
        metric=item.metric,
        base=base,
        new=new,
        change=size_of(item) if has_size and not item.reason else "",
        verdict=item.verdict,
        remark="; ".join(filter(None, remarks)),
        place=None if item.verdict == "unchanged" else place_of(item.cell, item.metric),
    )
