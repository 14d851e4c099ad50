"""Benchmark and profile the training of neural networks on small devices."""

# nothing is imported here: until the command can catch Ctrl-C, an interrupt shows a traceback
TYPE_CHECKING = False

if TYPE_CHECKING:
    from ondevice_bench.analyse.frame import load
    from ondevice_bench.api.compare import compare
    from ondevice_bench.api.run import run
    from ondevice_bench.api.suite import Suite
    from ondevice_bench.methods.treatment import Treatment, treat

__version__ = "0.2.0"
__all__ = ["Suite", "Treatment", "compare", "load", "run", "treat"]

# imported on first use: `treat` brings torch, `load` brings pandas
_HOMES = {
    "Suite": "ondevice_bench.api.suite",
    "Treatment": "ondevice_bench.methods.treatment",
    "compare": "ondevice_bench.api.compare",
    "load": "ondevice_bench.analyse.frame",
    "run": "ondevice_bench.api.run",
    "treat": "ondevice_bench.methods.treatment",
}


def __getattr__(name: str) -> object:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_HOMES[name]), name)
    return found
