"""Every cell with its main numbers. The table can be sorted, filtered and copied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.report.folding import unmeasured
from ondevice_bench.report.quantities import Quantity, quantity_of, rank_basis
from ondevice_bench.report.sections.section import ReportData, Section

TABLE = (*metrics.HEADLINES, *metrics.with_role("table"))


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    cell: str
    basis: str
    status: str
    quantities: tuple[Quantity, ...]


def content(data: ReportData) -> Mapping[str, Any]:
    """A line for each cell of the run. What was not meant to be measured here is folded."""
    return {
        "folds": unmeasured(cell.planned for cell in data.summary.cells),
        "columns": [metrics.BY_NAME[name] for name in TABLE],
        "headlines": metrics.HEADLINES,
        "rows": [
            Row(
                cell.id,
                rank_basis(cell.planned.cell),
                cell.status,
                tuple(quantity_of(cell, name) for name in TABLE),
            )
            for cell in data.summary.cells
            if cell.planned.state == "planned"
        ],
    }


SECTION = Section(name="table", title="Every cell", content=content)
