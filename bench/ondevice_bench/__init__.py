"""Benchmark and profile the training of neural networks on small devices."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ondevice_bench.analyse.frame import load
    from ondevice_bench.methods.treatment import Treatment, treat

__version__ = "0.1.0"
__all__ = ["Treatment", "load", "treat"]

# imported on first use: `treat` brings torch, `load` brings pandas
_HOMES = {
    "Treatment": "ondevice_bench.methods.treatment",
    "load": "ondevice_bench.analyse.frame",
    "treat": "ondevice_bench.methods.treatment",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
