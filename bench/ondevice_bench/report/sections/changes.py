"""The changes over the runs in words, and each metric in the first and the latest run."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.series import Series
from ondevice_bench.report.history_text import change_text, counts_text, order_text, series_text
from ondevice_bench.report.quantities import Quantity, exact_text, quantity_of_estimate
from ondevice_bench.report.sections.section import ReportData, Section


def content(data: ReportData) -> Mapping[str, Any]:
    """The changes, certain ones first, and a line for each series of these metrics."""
    names = (data.query.metrics if data.query else ()) or metrics.HEADLINES
    return {
        "order": order_text(data.history),
        "counts": counts_text(data.history),
        "changes": [
            (series.cell, change_text(series, change), change)
            for series, change in data.history.changes
        ],
        "rows": [
            (
                series,
                metrics.BY_NAME[series.metric].label,
                _ends(series),
                series_text(series),
            )
            for series in sorted(data.history.series, key=lambda one: not one.changes)
            if series.metric in names or series.changes
        ],
    }


def _ends(series: Series) -> list[Quantity]:
    """The first and the latest number, with all digits if an exact change needs them."""
    estimates = [series.points[end].estimate for end in (0, -1)]
    shown = [quantity_of_estimate(series.metric, estimate) for estimate in estimates]
    first, latest = estimates
    if first.basis != "exact" or first == latest or shown[0].estimate != shown[1].estimate:
        return shown
    texts = [exact_text(series.metric, estimate.estimate) for estimate in estimates]
    return [replace(each, estimate=text) for each, text in zip(shown, texts, strict=True)]


SECTION = Section(
    name="changes",
    title="What changed",
    text="The same cells on the same machine, run after run. Exact metrics are certain: each "
    "difference is a change. Changes of noisy metrics are hints, because the machine may have "
    "changed together with the code. Each run gives one reading. A step is reported if the runs "
    "after it differ from the runs before it by more than the threshold: the whole interval of "
    "their ratio must lie beyond it. The confidence is 99 % for all series and places together.",
    content=content,
    about="the page",
)
