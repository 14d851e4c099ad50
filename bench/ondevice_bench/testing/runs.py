"""The runs of a pytest session: one for each suite, opened by its first item."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ondevice_bench import metrics
from ondevice_bench.analyse.summarise import summarise, summarise_cell
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.record.measurement import Measurement
from ondevice_bench.record.model import Record, Run
from ondevice_bench.record.origin import PYTEST
from ondevice_bench.report.terminal.comparison import worse_lines
from ondevice_bench.running.outcome import failures
from ondevice_bench.running.progress import Progress, Silent
from ondevice_bench.running.session import Session, open_session
from ondevice_bench.testing import pytest_benchmark_adapter as benchmark
from ondevice_bench.testing.cells import CellFailure, CellItem
from ondevice_bench.testing.gate import Gate


class OpenRuns:
    """Measures items. Without `interleaved` each cell is measured when its item runs."""

    def __init__(self, command: str, folder: Path, gate: Gate | None, *, interleaved: bool) -> None:
        self._command = command
        self._folder = folder
        self._gate = gate
        self._interleaved = interleaved
        self._stack = contextlib.ExitStack()
        self._open: dict[Path, Session] = {}
        self._whole: dict[Path, tuple[Record, ...]] = {}
        self.measured = 0  # cells of which at least one process ran

    @property
    def where(self) -> list[str]:
        """For each run, where its results are."""
        return [f"run {run.run.id} in {run.store.path}" for run in self._open.values()]

    @property
    def runs(self) -> list[Run]:
        """The runs so far."""
        return [session.run for session in self._open.values()]

    def measure(self, item: CellItem) -> str:
        """Measure the item's cell; the reason if nothing was measured. CellFailure if it failed."""
        run = self._of(item)
        records = self._records(run, item)
        if records and all(record.status == "skipped" for record in records):
            if self._gate is not None:  # the metrics that the baseline has of it are missing
                self._gate.judge(run.run, _summary(run, item, records))
            return records[-1].reason
        self.measured += 1
        failing = failures(run.run.settings)
        summary = _summary(run, item, records)
        failed = [_failure(record) for record in records if record.status in failing]
        # a failed cell is judged, too, so that it appears in the summary of the gate
        worse = [] if self._gate is None else worse_lines(self._gate.judge(run.run, summary))
        if failed:
            raise CellFailure("\n".join(failed))
        _add_row(item, run, summary)
        if worse:
            raise CellFailure("\n".join(worse))
        return ""

    def measure_whole(self, items: Sequence[CellItem], progress: Progress) -> None:
        """Measure the whole plan of every item's suite, with rounds in turn between cells."""
        for item in items:
            if item.skipped or item.path in self._open:
                continue
            run = self._of(item)
            run.perform_all(progress)
            self._whole[item.path] = run.store.records(run.run.id)

    def summaries(self) -> list[RunSummary]:
        """A summary of every run so far."""
        return [summarise(run.store, run.store.run(run.run.id)) for run in self._open.values()]

    def finish(self) -> None:
        """Mark the runs with a complete plan as finished."""
        for run in self._open.values():
            if not run.pending():
                run.finish()

    def close(self) -> None:
        """Close every run: end its workers and delete its batches."""
        self._stack.close()

    def _of(self, item: CellItem) -> Session:
        """The run that measures this item's suite."""
        if item.path not in self._open:
            self._open[item.path] = self._start(item)
        return self._open[item.path]

    def _start(self, item: CellItem) -> Session:
        request = replace(
            item.parent.request,
            plan=tuple(
                other.planned
                for other in item.session.items
                if isinstance(other, CellItem) and other.path == item.path
            ),
            command=self._command,
            origin=PYTEST,
            interleaved=self._interleaved,
        )
        return self._stack.enter_context(
            open_session(request, self._folder / request.suite.name, Silent())
        )

    def _records(self, run: Session, item: CellItem) -> list[Record]:
        name = item.planned.cell.id
        if item.path in self._whole:
            return [record for record in self._whole[item.path] if record.key.cell == name]
        return [run.perform(task) for task in run.tasks() if task.cell == name]


def _summary(run: Session, item: CellItem, records: Sequence[Record]) -> CellSummary:
    return summarise_cell(run.run, item.planned, list(map(Measurement.of, records)))


def _failure(record: Record) -> str:
    key = record.key
    return f"{key.pass_name}, round {key.round}: {record.status}: {record.reason}"


def _add_row(item: CellItem, run: Session, summary: CellSummary) -> None:
    """Give the cell's step times and its main numbers to pytest-benchmark."""
    cell = item.planned.cell
    benchmark.add_row(
        item.config,
        benchmark.BenchmarkRow(
            name=item.name,
            fullname=item.nodeid,
            group=f"{cell.id.partition('/')[0]}, batch {cell.batch}",
            samples=[seconds for one in summary.samples.get("step_seconds", ()) for seconds in one],
            extra_info={
                **{
                    name: summary.estimates[name].estimate
                    for name in metrics.with_role("carried")
                    if name in summary.estimates
                },
                "fingerprint": cell.key,
                "run": run.run.id,
                "interleaved": run.run.settings["interleaved"],
            },
            sampling=run.run.settings["time"],
        ),
    )
