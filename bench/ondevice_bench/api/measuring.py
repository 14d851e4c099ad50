"""Measures a suite on a host, from the request to the page of its report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.api.measured_run import MeasuredRun
from ondevice_bench.record.model import NOT_OK
from ondevice_bench.record.store import OUT
from ondevice_bench.report.page import write_report
from ondevice_bench.report.terminal.plan import plan_misfits
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.progress import Progress
from ondevice_bench.running.request import Request, refuse_both, request
from ondevice_bench.running.session import open_session
from ondevice_bench.suite.suite import Suite

PAGE = "report.html"


@dataclass(frozen=True)
class RunOptions:
    """How a suite is run. `command` is the command that continues the run."""

    command: str
    filters: Sequence[str] = ()
    budget: float | None = None  # seconds
    sustain: float | None = None  # seconds
    fresh: bool = False
    retry: bool = False  # measure what failed in the last run again
    out: Path | None = None

    def __post_init__(self) -> None:
        refuse_both(fresh=self.fresh, retry=self.retry)

    def folder(self, suite: Suite) -> Path:
        """Where the results go."""
        return self.out or OUT / suite.name


def measure_suite(host: Host, suite: Suite, options: RunOptions, progress: Progress) -> RunSummary:
    """Measure a suite, or what is left of it. The user's models must be described already."""
    if options.sustain is not None:
        suite = suite.sustained(options.sustain)
    task = replace(
        request(host, suite, options.command, options.filters),
        budget=options.budget,
        fresh=options.fresh,
        retry=NOT_OK if options.retry else frozenset(),
    )
    return measure(task, options.folder(suite), progress)


def measure(task: Request, folder: Path, progress: Progress) -> RunSummary:
    """Measure what is left of the request, and summarise its run."""
    task.host.tell = progress.note
    try:
        with open_session(task, folder, progress) as session:
            progress.prepare("looking for cells that cannot fit …")
            for line in plan_misfits(session.preview(), task.host.board):
                progress.note(line)
            session.perform_all(progress)
            return summarise(session.store, session.store.run(session.run.id))
    finally:
        progress.close()


def with_report(summary: RunSummary, folder: Path) -> MeasuredRun:
    """The run with its page, which is drawn into the folder."""
    page = folder / PAGE
    write_report([summary], page)
    return MeasuredRun(summary, page)
