"""A run compared with an earlier one, cell by cell, as `bench compare` does it."""

from collections.abc import Collection
from dataclasses import replace

from ondevice_bench.analyse.compare import (
    Comparison,
    Difference,
    claims_on,
    compare,
    join_comparisons,
)
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.record.model import Run


class Gate:
    """An earlier run, and the comparison of its cells so far."""

    def __init__(self, base: RunSummary) -> None:
        planned = (cell for cell in base.cells if cell.planned.state == "planned")
        self._base = base
        self._cells = {cell.planned.cell.key: cell for cell in planned}
        self._claims = 0
        self._comparisons: list[Comparison] = []

    def expect(self, keys: Collection[str]) -> None:
        """Tell which cells will be judged. More cells need more confidence for each."""
        self._claims = claims_on(cell for key, cell in self._cells.items() if key in keys)

    def judge(self, run: Run, cell: CellSummary) -> tuple[Difference, ...]:
        """The metrics of the cell that regressed."""
        base = self._cells.get(cell.planned.cell.key)
        comparison = compare(
            replace(self._base, cells=() if base is None else (base,)),
            RunSummary(run, (cell,)),
            claims=self._claims,
        )
        self._comparisons.append(comparison)
        return comparison.with_verdict("regressed")

    def comparison(self, plan: Collection[str]) -> Comparison | None:
        """All comparisons as one. Cells of the base that `plan` lacks are only in the base."""
        if not self._comparisons:
            return None
        absent = tuple(cell.id for key, cell in self._cells.items() if key not in plan)
        whole = join_comparisons(self._comparisons)
        return replace(whole, only_in_base=(*whole.only_in_base, *absent))
