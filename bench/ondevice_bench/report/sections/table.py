"""Every cell with its main numbers. The table can be sorted, filtered and copied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.report.folding import unmeasured
from ondevice_bench.report.quantities import (
    Quantity,
    measured_columns,
    quantity_of,
    rank_basis,
    with_share,
)
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.report.shares import limit_of_shares
from ondevice_bench.suite.labels import labelled
from ondevice_bench.suite.training_script import training_lines

TABLE = (*metrics.HEADLINES, *metrics.with_role("table"))


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    cell: str
    label: str
    workload: str
    basis: str
    script: str
    status: str
    quantities: tuple[Quantity, ...]


def content(data: ReportData) -> Mapping[str, Any]:
    """A line for each cell of the run. What was not meant to be measured here is folded."""
    planned = data.summary.planned
    limit = limit_of_shares(data.summary)
    groups = labelled(cell.planned.cell for cell in planned)
    names = {
        cell: (label, group.heading)
        for group in groups
        for cell, label in zip(group.cells, group.labels, strict=True)
    }
    columns = measured_columns(TABLE, data.summary.run.settings)
    bases = {cell.id: rank_basis(cell.planned.cell) for cell in planned}
    same_basis = {basis for basis in bases.values() if basis}
    one_basis = same_basis.pop() if len(same_basis) == 1 else ""
    return {
        "basis": one_basis,
        "folds": unmeasured(cell.planned for cell in data.cells),
        "columns": columns,
        "headlines": metrics.HEADLINES,
        "workload": groups[0].heading if len(groups) == 1 else "",
        "rows": [
            Row(
                cell.id,
                *names[cell.planned.cell],
                "" if one_basis else bases[cell.id],
                training_lines(cell.planned.cell),
                cell.status,
                tuple(
                    with_share(quantity_of(cell, metric.name), metric.name, limit)
                    for metric in columns
                ),
            )
            for cell in planned
        ],
    }


SECTION = Section(name="table", title="Every cell", content=content)
