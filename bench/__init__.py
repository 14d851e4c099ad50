"""Benchmark and profile the training of neural networks on small devices."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

__version__ = "0.1.0"


def load(path: "str | Path") -> "pandas.DataFrame":
    """Every estimate of every run in a store, one row a run, cell and metric.

    `bench.analyse.frame.COLUMNS` names the columns; figures are in the unit that their row says.
    """
    from bench.analyse.frame import frame_of
    from bench.analyse.summary import summarise
    from bench.record.store import Store

    with Store.open(Path(path)) as store:
        return frame_of([summarise(store, run) for run in store.runs()])
