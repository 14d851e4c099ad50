"""The runs that a report shows, and where its page is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ondevice_bench.analyse.find_runs import find_run, on_other_boards
from ondevice_bench.analyse.resolve_run import summary_at
from ondevice_bench.analyse.summarise import cell_estimates
from ondevice_bench.analyse.summary import CellEstimates, RunSummary
from ondevice_bench.record.model import Run
from ondevice_bench.record.store import Store


@dataclass(frozen=True)
class ReportRuns:
    """The runs of a report. The report is about the first one; the others are for comparison."""

    places: tuple[tuple[Path, str], ...]  # store and id of each run

    def summaries(self) -> tuple[RunSummary, ...]:
        """The complete summary of each run."""
        return tuple(summary_at(*place) for place in self.places)

    def cells(self) -> Iterator[tuple[Run, CellEstimates]]:
        """The estimates of all runs. Only one cell at a time is in memory."""
        for path, run_id in self.places:
            with Store.open(path) as store:
                run = store.run(run_id)
                for cell in cell_estimates(store, run):
                    yield run, cell

    def methods(self) -> set[str]:
        """The methods of the first run's plan."""
        path, run_id = self.places[0]
        with Store.open(path) as store:
            return {item.cell.method for item in store.cells(run_id)}

    def page(self, *, of_boards: bool = False) -> Path:
        """The default path of the page.

        An older run and a comparison of boards have paths of their own. So they never overwrite
        the page of the latest run.
        """
        path, run_id = self.places[0]
        with Store.open(path) as store:
            is_latest = store.runs()[-1].id == run_id
        kind = "report-boards" if of_boards else "report"
        return path.parent / (f"{kind}.html" if is_latest else f"{kind}-{run_id}.html")


def report_runs(references: Sequence[str], *, other_boards: bool = False) -> ReportRuns:
    """The runs with these names, or the latest run of all.

    `other_boards` adds the latest run of the same suite on each other board in the first store.
    """
    places = [find_run(name) for name in references] or [find_run(None)]
    path, run_id = places[0]
    if other_boards:
        others = [(path, other) for other in on_other_boards(path, run_id)]
        places += [place for place in others if place not in places]
    return ReportRuns(tuple(places))
