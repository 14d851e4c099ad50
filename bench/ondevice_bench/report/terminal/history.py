"""A history in the terminal."""

from collections.abc import Sequence
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.history import History
from ondevice_bench.report.history_text import change_text, counts_text, order_text, series_text
from ondevice_bench.terminal import Table


def history_table(history: History, names: Sequence[str] = ()) -> Table:
    """A line for each series that changed, that cannot be judged, or whose metric was asked for."""
    rows = Table("cell", "metric", "machine", "runs", "first", "latest", "changes")
    for series in history.series:
        is_shown = series.metric in (names or metrics.HEADLINES) and (names or series.why_not)
        if not is_shown and not series.changes:
            continue
        metric = metrics.BY_NAME[series.metric]
        ends = (series.points[0], series.points[-1])
        rows.add_row(
            series.cell,
            metric.label,
            series.machine,
            str(len(series.points)),
            *(units.quantity(point.estimate.estimate, metric.unit) for point in ends),
            series_text(series),
        )
    return rows


def history_lines(history: History) -> list[str]:
    """The changes, with certain ones first, their number, and the order of the runs."""
    lines = [f"{series.cell}: {change_text(series, change)}" for series, change in history.changes]
    return [*lines, counts_text(history), order_text(history)]


def history_json(history: History) -> dict[str, Any]:
    """All of it as plain values."""
    return {
        "runs": [
            {"run": run.id, "commit": run.commit, "created": run.created, "profile": run.profile}
            for run in history.runs
        ],
        "ordered_by": "commits" if history.by_commits else "time",
        "series": [series.to_dict() for series in history.series],
    }
