"""Measures the cells that both sides have, each side as a run of its own."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ondevice_bench.ab.comparison import RefComparison
from ondevice_bench.ab.pair_cells import PairedCells
from ondevice_bench.analyse.cell_pair import CellPair
from ondevice_bench.running.progress import Progress
from ondevice_bench.running.request import Request
from ondevice_bench.running.session import open_session

FOLDERS = ("ab-base", "ab-new")


def measure_pairs(
    requests: Sequence[Request | None],
    cells: PairedCells,
    out: Path,
    threshold: float,
    seconds: float,
    progress: Progress,
) -> list[CellPair]:
    """Every pair with its results; no process starts if all cells are of one side only."""
    if cells.unpaired and not cells.pairs:
        return []
    with contextlib.ExitStack() as stack:
        base, new = [
            stack.enter_context(open_session(request, out / folder, progress))
            for request, folder in zip(requests, FOLDERS, strict=True)
            if request is not None
        ]
        comparison = RefComparison(base, new, cells.pairs, threshold, progress)
        comparison.run(seconds)
        for session in (base, new):
            session.finish()
        return comparison.pairs
