"""The runs that a report shows, and where its page is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ondevice_bench.analyse.find_runs import find_run, on_other_boards
from ondevice_bench.analyse.resolve_run import summary_at
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.record.store import Store


@dataclass(frozen=True)
class ReportRuns:
    """The runs of a report. It is about the first run; the others are for comparison."""

    summaries: tuple[RunSummary, ...]
    page: Path  # the default path of the page


def report_runs(references: Sequence[str], *, other_boards: bool = False) -> ReportRuns:
    """The runs that these names mean, or the latest run of all.

    `other_boards` adds the latest run of the same suite on each other board in the first store.
    """
    places = [find_run(name) for name in references] or [find_run(None)]
    path, run_id = places[0]
    if other_boards:
        others = [(path, other) for other in on_other_boards(path, run_id)]
        places += [place for place in others if place not in places]
    return ReportRuns(tuple(summary_at(*place) for place in places), _page(path, run_id))


def _page(path: Path, run_id: str) -> Path:
    """The path of a run's page. The page of an older run does not overwrite that of the latest."""
    with Store.open(path) as store:
        is_latest = store.runs()[-1].id == run_id
    return path.parent / ("report.html" if is_latest else f"report-{run_id}.html")
