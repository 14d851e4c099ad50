"""How much a compression saves: in the changed layers, in the network, in the process."""

from collections.abc import Mapping, Sequence
from typing import Any

from ondevice_bench import metrics, units
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.report.quantities import (
    Quantity,
    dash,
    measured_columns,
    ratio_to_baseline,
)
from ondevice_bench.report.sections.section import ReportData, Section

# memory first, and exact numbers before noisy ones
NAMES = sorted(
    metrics.with_role("scope"),
    key=lambda name: (metrics.BY_NAME[name].unit != "bytes", metrics.BY_NAME[name].kind != "exact"),
)


def content(data: ReportData) -> Mapping[str, Any] | None:
    """A line for each cell that has a baseline."""
    shown = measured_columns(NAMES, data.summary.run.settings)
    lines = [
        (place, member.label, [_stored(member), *_ratios(member, shown)])
        for place, group in enumerate(data.groups)
        for member in group.members
        if member.base is not None and not member.is_baseline
    ]
    if not lines:
        return None
    titles = (f"{metric.noun}, {metric.scope}" for metric in shown)
    columns = ["inputs of changed layers, as stored", *titles]
    return {"columns": columns, "lines": lines, "baseline": data.baseline}


def _ratios(member: CellWithBaseline, shown: Sequence[metrics.Metric]) -> list[Quantity]:
    return [ratio_to_baseline(member, metric.name) for metric in shown]


def _stored(member: CellWithBaseline) -> Quantity:
    """The share of the layers' inputs that the method stores, by its own formula."""
    # a layer that saw no input stores nothing
    treated = [each for each in member.cell.details_of("trace").treated.values() if each.shape]
    sizes = [size for size in (layer.declared for layer in treated) if size is not None]
    stored, whole = sum(size.stored for size in sizes), sum(size.whole for size in sizes)
    is_complete = len(sizes) == len(treated)
    if not is_complete or not whole:
        return dash("the method does not say how much it stores")
    share = stored / whole
    fold = f"{1 / share:.1f} to 1" if 0 < share < 1 else ""
    meaning = (
        f"computed by formula: {stored:,} of {whole:,} {sizes[0].unit} of the inputs of "
        f"{len(treated)} changed layers, by the method's own formula"
    )
    return Quantity(units.ratio(share), fold, meaning, share)


SECTION = Section(
    name="scopes",
    title="How much is saved, and where",
    text="Each number is a multiple of the baseline's number in the same run. Below 1 means less "
    "than the baseline. The first column is what papers count. The other columns are what a board "
    "needs.",
    content=content,
)
