"""Benchmark and profile the training of neural networks on small devices."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

__version__ = "0.1.0"


def load(path: "str | Path") -> "pandas.DataFrame":
    """Every estimate of every run in a store, one row a run, cell and metric.

    `ondevice_bench.analyse.frame.COLUMNS` names the columns; each row names its unit.
    """
    from ondevice_bench.analyse.frame import frame_of
    from ondevice_bench.analyse.summary import summarise
    from ondevice_bench.record.store import Store

    with Store.open(Path(path)) as store:
        return frame_of([summarise(store, run) for run in store.runs()])
