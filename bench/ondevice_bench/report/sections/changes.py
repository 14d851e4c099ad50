"""What changed over the runs, in words, and every headline figure from the first to the latest."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench.record import metrics
from ondevice_bench.report.history_text import basis, known, said
from ondevice_bench.report.quantities import HEADLINES, figure_of
from ondevice_bench.report.sections.section import Section, Shown


def content(shown: Shown) -> Mapping[str, Any]:
    """The findings, the certain first, and a line for each series that is shown."""
    found = shown.history
    names = (shown.asked.metrics if shown.asked else ()) or HEADLINES
    return {
        "basis": basis(found),
        "findings": [
            (series.cell, said(series, finding), finding) for series, finding in found.findings
        ],
        "rows": [
            (
                series,
                metrics.BY_NAME[series.metric].label,
                [figure_of(series.metric, series.points[end].estimate) for end in (0, -1)],
                known(series),
            )
            for series in found.series
            if series.metric in names or series.findings
        ],
    }


SECTION = Section(
    name="changes",
    title="What changed",
    text="Equal workloads on the same machine, run after run. Exact figures are certain: any "
    "difference is a change. Noisy ones are advisory: each run is one reading, a step is claimed "
    "where the interval of the ratio between the runs on both sides lies beyond the threshold, at "
    "99 % over all series and places together; the machine may have changed with the code.",
    content=content,
)
