"""Benchmark and profile the training of neural networks on small devices."""

# no module is imported here: until the command can catch Ctrl-C, an interrupt shows a traceback
TYPE_CHECKING = False

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


def __getattr__(name: str) -> object:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_HOMES[name]), name)
    return found
