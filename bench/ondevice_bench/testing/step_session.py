"""The steps of a pytest session as a run: stored at its end, and judged against a baseline."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ondevice_bench.analyse.compare import claims_on, compare, join_cells, metrics_of
from ondevice_bench.analyse.comparison import SURE, Comparison, join_comparisons
from ondevice_bench.analyse.resolve_run import summary_of
from ondevice_bench.analyse.summarise import summarise_content
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.errors import BadInput, BenchError, ExitCode
from ondevice_bench.record.model import Record
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.report.gate.github import annotations, write_summary
from ondevice_bench.report.gate.of_runs import outcome_of_runs
from ondevice_bench.report.gate.outcome import Place
from ondevice_bench.report.gate.places import first_line_of
from ondevice_bench.report.terminal.comparison import (
    comparison_lines,
    difference_line,
    worse_lines,
)
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.step_run import (
    SUITE,
    file_of,
    finished_run,
    step_cell,
    step_records,
    step_run,
)
from ondevice_bench.running.queries.user_step import StepResult, UserStep
from ondevice_bench.suite.join import join
from ondevice_bench.suite.planned_cell import PlannedCell


class StepSession:
    """The run of the steps, and its comparison with a baseline so far."""

    def __init__(
        self, host: Host, command: str, folder: Path, baseline: str | None, root: Path
    ) -> None:
        self.run = step_run(host, command)
        self._host = host
        self._path = folder / SUITE / FILE_NAME
        self._reference = baseline
        self._root = root  # the names of tests begin here
        self._base: RunSummary | None = None
        self._cells: dict[str, PlannedCell] = {}
        # by cell: the last attempt of a test that is run again counts
        self._records: dict[str, tuple[Record, ...]] = {}
        self._comparisons: dict[str, Comparison] = {}
        self.why_unclear = ""  # the reason if not every step of the baseline could be compared

    def add(self, step: UserStep, test: str, result: StepResult) -> StepResult:
        """Keep the result until the end of the session. The new result can be judged."""
        item = step_cell(self._host, step, test)
        records = step_records(self.run, item.cell, result)
        self._cells[item.cell.id] = item
        self._records[item.cell.id] = records
        self._comparisons.pop(item.cell.id, None)
        content = RunContent(self.run, (item,), records)
        (summary,) = summarise_content(content).cells
        return replace(result, judge=lambda: self._judge(summary))

    def _judge(self, cell: CellSummary) -> None:
        """Fail the test if the cell is worse than in the baseline."""
        __tracebackhide__ = True
        if self._reference is None:
            pytest.skip("assert_not_worse: no --baseline names a run to compare with")
        try:
            base = self._base = self._base or _run_of_steps(self._reference)
        except BenchError as error:
            raise pytest.fail.Exception(f"--baseline: {error}", pytrace=False) from None
        new = RunSummary(self.run, (cell,))
        joined = join_cells(base.cells, new.cells)
        partners = {old.id for old, _ in joined.pairs}
        comparison = compare(
            replace(base, cells=tuple(each for each in base.cells if each.id in partners)),
            new,
            claims=claims_on(base.cells),
        )
        comparison = replace(comparison, ambiguous=tuple(each.id for each in joined.ambiguous))
        self._comparisons[cell.id] = comparison
        missing = map(difference_line, comparison.with_verdict("missing"))
        bad = [*worse_lines(comparison), *missing]
        if joined.ambiguous:
            text = f"{cell.id}: the baseline has several cells that could be this one"
            raise pytest.fail.Exception(text, pytrace=False)
        if bad:
            raise pytest.fail.Exception("\n".join(bad), pytrace=False)

    def finish(self, ran_all_of: Callable[[str], bool]) -> list[str]:
        """Store the run; the lines that say where it is, and how it compares with the baseline.

        A step of the baseline is gone if the session has run all tests of its file without it.
        """
        if self._reference is None:
            return [self._stored()]
        try:  # before this run is stored: the baseline may be the latest run
            base = self._base = self._base or _run_of_steps(self._reference)
        except BenchError as error:
            self.why_unclear = "nothing was compared with the baseline"
            return [self._stored(), f"--baseline: {error}"]
        lines = [self._stored()]
        joined = join(
            [each.planned.cell for each in base.cells],
            [item.cell for item in self._cells.values()],
        )
        steps = [cell for cell in joined.only_in_base if file_of(cell)]
        lost = {cell.id for cell in steps if ran_all_of(file_of(cell))}
        gone = [each for each in base.cells if each.id in lost]
        if not self._comparisons:
            self.why_unclear = "no test called assert_not_worse(), so nothing was compared"
        elif gone and not joined.pairs:
            self.why_unclear = "no step of the baseline could be compared"
        nothing = compare(replace(base, cells=()), RunSummary(self.run, ()))
        comparison = replace(
            join_comparisons([nothing, *self._comparisons.values()]),
            only_in_base=tuple(each.id for each in gone),
            lost=metrics_of(gone),
        )
        if not self.why_unclear and comparison.exit_code() == ExitCode.INCONCLUSIVE:
            self.why_unclear = "not everything of the baseline could be compared"
        lines += comparison_lines(comparison)
        outcome = outcome_of_runs("bench_step", comparison, SURE, self._place_of)
        lines += annotations(outcome)
        try:
            write_summary(outcome)
        except BenchError as error:
            lines += error.lines
        return lines

    def _place_of(self, cell: str, metric: str) -> Place | None:
        """The file of the step's test."""
        cells = {} if self._base is None else {each.id: each for each in self._base.cells}
        file = file_of(cells[cell].planned.cell) if cell in cells else ""
        return first_line_of(self._root / file) if file else None

    def _stored(self) -> str:
        records = tuple(record for each in self._records.values() for record in each)
        content = finished_run(self.run, tuple(self._cells.values()), records)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with Store.create(self._path) as store:
                store.add_finished(content.run, content.cells, content.records)
        except BenchError as error:
            return f"not stored: {error.lines[0]}"
        except OSError as error:
            return f"not stored: {self._path}: {error.strerror}"
        return f"run {self.run.id} in {self._path}"


def _run_of_steps(reference: str) -> RunSummary:
    """The run that the text names; BadInput if it has no step."""
    found = summary_of(reference)
    if not any(file_of(each.planned.cell) for each in found.cells):
        raise BadInput(
            f"{found.run.id} has no step of bench_step: name a run of the suite `{SUITE}`"
        )
    return found
