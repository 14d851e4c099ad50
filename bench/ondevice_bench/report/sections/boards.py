"""Boards side by side: the cost of a method on each, and the cells on which boards disagree."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.boards import BoardRow, CellOnBoard, boards, software_differences
from ondevice_bench.analyse.summary import EMULATED, RunSummary
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.report.quantities import (
    Quantity,
    dash,
    quantity_of,
    ratio_quantity,
    with_share,
)
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.stats import Estimate


def content(data: ReportData) -> Mapping[str, Any]:
    """A table for each metric, and the cells that no board has measured yet."""
    summaries = (data.summary, *data.others)
    limits = [usable_memory(one.run) for one in summaries]
    tables = []
    for name in metrics.HEADLINES:
        lines = boards(summaries, name, data.baseline)
        tables.append(
            {
                "metric": metrics.BY_NAME[name],
                "lines": [(line, _quantities(line, name, limits)) for line in lines],
                "disagreements": [line for line in lines if line.disagrees],
            }
        )
    return {
        "tables": tables,
        "boards": _names(summaries),
        "baseline": data.baseline,
        "software": [
            (name, difference)
            for name, other in zip(_names(summaries)[1:], data.others, strict=True)
            for difference in software_differences(data.summary, other)
        ],
        "pending": Counter(
            cell.planned.profile for cell in data.summary.cells if cell.status == "pending"
        ),
        "emulated": [
            name
            for name, one in zip(_names(summaries), summaries, strict=True)
            if one.run.settings.get("emulated")
        ],
        "emulated_means": EMULATED,
    }


def _names(summaries: tuple[RunSummary, ...]) -> list[str]:
    """Each run's profile, or its id if two runs have the same profile."""
    profiles = [one.run.profile for one in summaries]
    return [
        one.run.profile if profiles.count(one.run.profile) == 1 else one.run.id for one in summaries
    ]


def _quantities(line: BoardRow, name: str, limits: Sequence[int | None]) -> list[Quantity]:
    quantities = []
    for on, limit in zip(line.boards, limits, strict=True):
        of_baseline = _ratio(on.ratio, "of the baseline on that board")
        quantities += [with_share(_value(on, name), name, limit), of_baseline]
    if len(line.boards) > 1:
        quantities.append(_ratio(line.between, "of the second board over the first"))
    return quantities


def _value(on: CellOnBoard, name: str) -> Quantity:
    if on.cell is None:
        return dash(on.why_not)
    if not on.cell.estimates:
        return Quantity(on.cell.status, "", on.why_not)
    return quantity_of(on.cell, name)


def _ratio(ratio: Estimate | None, meaning: str) -> Quantity:
    if ratio is None:
        return dash(f"no ratio {meaning}: a number is missing")
    return ratio_quantity(ratio, meaning)


SECTION = Section(
    name="boards",
    title="Board by board",
    text="The same cells on each board. Beside each number is its multiple of the baseline on the "
    "same board. The last column is the number of the second board divided by that of the first.",
    content=content,
)
