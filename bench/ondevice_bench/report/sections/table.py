"""Every cell with its headline figures: sortable, filterable, to be copied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ondevice_bench.record import metrics
from ondevice_bench.report.quantities import HEADLINES, Figure, figure, rank_basis
from ondevice_bench.report.sections.section import Section, Shown

TABLE = (
    *HEADLINES,
    "forward_seconds",
    "backward_seconds",
    "update_seconds",
    "inference_seconds",
    "peak_rss_bytes",
    "parameter_bytes",
    "step_flops",
)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    cell: str
    basis: str
    status: str
    figures: tuple[Figure, ...]


def content(shown: Shown) -> Mapping[str, Any]:
    """A line for each cell of the run, measured or not."""
    return {
        "columns": [metrics.BY_NAME[name] for name in TABLE],
        "headlines": HEADLINES,
        "rows": [
            Row(
                cell.id,
                rank_basis(cell.planned.cell),
                cell.status,
                tuple(figure(cell, name) for name in TABLE),
            )
            for cell in shown.summary.cells
        ],
    }


SECTION = Section(name="table", title="Every cell", content=content)
