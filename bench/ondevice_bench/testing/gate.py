"""A run compared with an earlier one, cell by cell, as `bench compare` does it."""

from collections.abc import Collection
from dataclasses import replace

from ondevice_bench.analyse.compare import claims_on, compare, metrics_of
from ondevice_bench.analyse.comparison import Comparison, join_comparisons
from ondevice_bench.analyse.summary import CellSummary, RunSummary
from ondevice_bench.record.model import Run
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.join import JoinedCells, join


class Gate:
    """An earlier run, and the comparison of its cells so far."""

    def __init__(self, reference: str, base: RunSummary) -> None:
        self.reference = reference
        self.base = base
        self._cells = {cell.id: cell for cell in base.planned}
        self._joined = JoinedCells((), (), (), ())
        self._partners: dict[tuple[str, str], CellSummary] = {}  # by id and key of the new cell
        self._expected: dict[tuple[str, str], CellSummary] = {}  # those that will be judged
        self._claims = 0
        # by run, id and key of the new cell: two suites may have the same cell; the last attempt of
        # a test that is run again counts
        self._comparisons: dict[tuple[str, str, str], Comparison] = {}

    def expect(self, plan: Collection[Cell], chosen: Collection[Cell]) -> None:
        """Tell which cells are planned, and which of them will be judged.

        More cells need more confidence for each.
        """
        self._joined = join([cell.planned.cell for cell in self._cells.values()], plan)
        self._partners = {
            (new.id, new.key): self._cells[base.id] for base, new in self._joined.pairs
        }
        judged = {(cell.id, cell.key) for cell in chosen}
        self._expected = {new: base for new, base in self._partners.items() if new in judged}
        self._claims = claims_on(self._expected.values())

    def judge(self, run: Run, cell: CellSummary) -> Comparison:
        """Compare the cell with its partner in the earlier run."""
        key = cell.id, cell.planned.cell.key
        base = self._partners.get(key)
        comparison = compare(
            replace(self.base, cells=() if base is None else (base,)),
            RunSummary(run, (cell,)),
            claims=self._claims,
        )
        self._comparisons[run.id, *key] = comparison
        return comparison

    def comparison(self, *, is_complete: bool = True) -> Comparison | None:
        """All comparisons as one. Cells of the base that have no partner are only in the base.

        If the session is complete, so are cells that were not judged: a mark skips them.
        """
        if not self._comparisons:
            return None
        absent = [self._cells[cell.id] for cell in self._joined.only_in_base]
        if is_complete:
            judged = {(name, key) for _, name, key in self._comparisons}
            absent += [base for key, base in self._expected.items() if key not in judged]
        whole = join_comparisons(list(self._comparisons.values()))
        return replace(
            whole,
            only_in_base=(*whole.only_in_base, *(cell.id for cell in absent)),
            ambiguous=tuple(cell.id for cell in self._joined.ambiguous),
            lost=whole.lost + metrics_of(absent),
        )
