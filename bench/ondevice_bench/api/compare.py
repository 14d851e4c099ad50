"""`ondevice_bench.compare`: two runs, metric by metric."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ondevice_bench import metrics
from ondevice_bench.analyse.compare import compare as compare_runs
from ondevice_bench.analyse.comparison import SURE, Comparison
from ondevice_bench.analyse.judgement import FAILING
from ondevice_bench.analyse.resolve_run import summary_of
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.whole_run import judged_as_whole
from ondevice_bench.api.measured_run import MeasuredRun
from ondevice_bench.errors import BadInput, ExitCode, system_in_one_line, unknown
from ondevice_bench.notebook import html_table, paragraphs
from ondevice_bench.report.gate.decided import decision_lines
from ondevice_bench.report.gate.of_runs import outcome_of_runs, places_for
from ondevice_bench.report.gate.outcome import GateOutcome
from ondevice_bench.report.terminal.comparison import comparison_lines

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    "cell",
    "metric",
    "unit",
    "base",
    "new",
    "ratio",
    "lower",
    "upper",
    "verdict",
    "reason",
    "accepted",
)
_TITLES = ("cell", "metric", "base", "new", "change", "verdict", "remark")


@dataclass(frozen=True)
class ComparedRuns:
    """Two runs, and how their metrics differ. `outcome` has the decision in every form."""

    base: RunSummary
    new: RunSummary
    comparison: Comparison
    outcome: GateOutcome

    @property
    def verdict(self) -> str:
        """The decision in one sentence: worse, not decided, or not worse."""
        return self.outcome.sentence

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of `bench compare`: 4 is worse, 5 is not decided."""
        return self.outcome.exit_code

    @property
    def frame(self) -> "pandas.DataFrame":
        """A row of pandas for each metric of each cell. `lower` and `upper` are of `ratio`."""
        import pandas

        rows = [
            (
                item.cell,
                item.metric,
                metrics.BY_NAME[item.metric].unit,
                item.base,
                item.new,
                item.ratio,
                item.lower,
                item.upper,
                item.verdict,
                item.reason,
                item.accepted,
            )
            for item in self.comparison.differences
        ]
        return pandas.DataFrame.from_records(rows, columns=list(COLUMNS))

    def __str__(self) -> str:
        lines = [*decision_lines(self.comparison), *comparison_lines(self.comparison)]
        return "\n".join([self.verdict, *lines])

    def _repr_html_(self) -> str:
        changed = [row for row in self.outcome.in_order if row.verdict != "unchanged"]
        cells = [(r.cell, r.metric, r.base, r.new, r.change, r.verdict, r.remark) for r in changed]
        table = html_table("What changed", _TITLES, cells) if cells else ""
        only = [f"only in the base: {cell}" for cell in self.outcome.only_in_base]
        only += [f"new: {cell}" for cell in self.outcome.only_in_new]
        head = [self.verdict, f"base {self.outcome.base}, new {self.outcome.new}"]
        return f"{paragraphs(head)}{table}{paragraphs([*only, *self.outcome.notes])}"


@system_in_one_line()
def compare(
    base: str | Path | MeasuredRun,
    new: str | Path | MeasuredRun,
    *,
    fail_on: str | Collection[str] = SURE,
    same_code: bool = False,
) -> ComparedRuns:
    """Compare two runs, as `bench compare` does.

    Each is a run that `run` gave, or a text: a suite or a store (its latest run), a run's id,
    `STORE@RUN`, a bundle, or the file of a baseline.
    """
    fail_on = {fail_on} if isinstance(fail_on, str) else set(fail_on)
    for verdict in sorted(fail_on - set(FAILING)):
        raise BadInput(f"fail_on: {unknown('verdict', verdict, FAILING)}")
    one, other = _summary(base), _summary(new)
    comparison = compare_runs(one, other, same_code=same_code)
    comparison = judged_as_whole(comparison, one, other)
    reference = "" if isinstance(base, MeasuredRun) else str(base)
    place_of = places_for(reference, one, [other.run], comparison)
    outcome = outcome_of_runs("bench compare", comparison, fail_on, place_of)
    return ComparedRuns(one, other, comparison, outcome)


def _summary(run: str | Path | MeasuredRun) -> RunSummary:
    if isinstance(run, MeasuredRun):
        return run.summary
    if isinstance(run, str | Path):
        return summary_of(str(run))
    raise BadInput(
        f"must be what `run` gave, or a name or path of a run, got a {type(run).__name__}"
    )
