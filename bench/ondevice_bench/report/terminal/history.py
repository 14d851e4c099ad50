"""What `bench history` found, as a table and in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ondevice_bench import units
from ondevice_bench.analyse.history import History
from ondevice_bench.record import metrics
from ondevice_bench.report.history_text import basis, known, said
from ondevice_bench.report.quantities import HEADLINES
from ondevice_bench.terminal import table

if TYPE_CHECKING:
    from rich.table import Table


def history_table(found: History, names: Sequence[str] = ()) -> "Table":
    """A line for each series of these metrics, or of the headline's and what changed."""
    made = table("cell", "metric", "machine", "runs", "first", "latest", "what is known")
    for series in found.series:
        if series.metric not in (names or HEADLINES) and not series.findings:
            continue
        metric = metrics.BY_NAME[series.metric]
        ends = (series.points[0], series.points[-1])
        made.add_row(
            series.cell,
            metric.label,
            series.machine,
            str(len(series.points)),
            *(units.quantity(point.estimate.estimate, metric.unit) for point in ends),
            known(series),
        )
    return made


def history_lines(found: History) -> list[str]:
    """What changed, the certain first; then by what the runs are ordered."""
    lines = [f"{series.cell}: {said(series, finding)}" for series, finding in found.findings]
    return [*lines, basis(found)]


def history_json(found: History) -> dict[str, Any]:
    """All of it as plain values."""
    return {
        "runs": [
            {"run": run.id, "commit": run.commit, "created": run.created, "profile": run.profile}
            for run in found.runs
        ],
        "ordered_by": "commits" if found.by_commits else "time",
        "series": [series.to_json() for series in found.series],
    }
