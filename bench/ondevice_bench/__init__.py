"""Benchmark and profile the training of neural networks on small devices."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

    from ondevice_bench.methods.treatment import Treatment, treat

__version__ = "0.1.0"
__all__ = ["Treatment", "__version__", "load", "treat"]


def load(path: "str | Path") -> "pandas.DataFrame":
    """Every estimate of every run in a store, one row for each run, cell and metric.

    `path` is a `results.sqlite`. `ondevice_bench.analyse.frame.COLUMNS` names the columns; each
    row names its unit.
    """
    from ondevice_bench.analyse.frame import frame_of
    from ondevice_bench.analyse.summary import summarise
    from ondevice_bench.record.store import Store

    with Store.open(Path(path)) as store:
        return frame_of([summarise(store, run) for run in store.runs()])


def __getattr__(name: str) -> Any:
    # these two bring torch: only who uses them pays for it
    if name in ("Treatment", "treat"):
        from ondevice_bench.methods import treatment

        return getattr(treatment, name)
    raise AttributeError(f"module 'ondevice_bench' has no attribute {name!r}")
