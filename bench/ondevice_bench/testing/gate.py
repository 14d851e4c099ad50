"""A run that is judged cell by cell against an earlier one, as `bench compare` does."""

from collections.abc import Collection
from dataclasses import replace

from ondevice_bench.analyse.compare import Comparison, Difference, claims_on, compare, together
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.record.model import Run


class Gate:
    """An earlier run, and what became of its cells until now."""

    def __init__(self, base: RunSummary) -> None:
        planned = (cell for cell in base.cells if cell.planned.state == "planned")
        self._base = base
        self._cells = {cell.planned.cell.fingerprint: cell for cell in planned}
        self._claims = 0
        self._found: list[Comparison] = []

    def expect(self, fingerprints: Collection[str]) -> None:
        """So many cells will be judged: the more there are, the surer each must be."""
        self._claims = claims_on(cell for key, cell in self._cells.items() if key in fingerprints)

    def judge(self, run: Run, cell: CellSummary) -> tuple[Difference, ...]:
        """What of the cell regressed."""
        mine = self._cells.get(cell.planned.cell.fingerprint)
        found = compare(
            replace(self._base, cells=() if mine is None else (mine,)),
            RunSummary(run, (cell,)),
            claims=self._claims,
        )
        self._found.append(found)
        return found.of("regressed")

    def comparison(self, plan: Collection[str]) -> Comparison | None:
        """All that was judged; cells of the base that `plan` has not are only in the base."""
        if not self._found:
            return None
        gone = tuple(cell.id for key, cell in self._cells.items() if key not in plan)
        found = together(self._found)
        return replace(found, only_in_base=(*found.only_in_base, *gone))
