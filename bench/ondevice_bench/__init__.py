"""Benchmark and profile the training of neural networks on small devices."""

import sys

# nothing else is imported here: until the command can catch Ctrl-C, an interrupt shows a traceback
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from ondevice_bench.analyse.frame import load
    from ondevice_bench.api.compare import compare
    from ondevice_bench.api.run import run
    from ondevice_bench.api.suite import Suite
    from ondevice_bench.methods.treatment import Treatment, treat
else:
    ModuleType = type(sys)

__version__ = "0.2.0"
__all__ = ["Suite", "Treatment", "compare", "load", "run", "treat"]

# imported on first use: `treat` brings torch, `load` brings pandas
_HOMES = {
    "Suite": "ondevice_bench.api.suite",
    "Treatment": "ondevice_bench.methods.treatment",
    "compare": "ondevice_bench.api.compare",
    "load": "ondevice_bench.analyse.frame",
    "treat": "ondevice_bench.methods.treatment",
}


def __getattr__(name: str) -> object:
    import importlib

    if name == "run":
        return importlib.import_module("ondevice_bench.run")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_HOMES[name]), name)
    return found


class _Run(ModuleType):
    """The folder `run` of this package. Who calls it calls the public function of that name."""

    def __call__(self, *arguments: object, **options: object) -> object:
        """Measure a suite: see `ondevice_bench.api.run.run`."""
        return self._function(*arguments, **options)

    @property
    def _function(self) -> "Callable[..., object]":
        from ondevice_bench.api.run import run

        return run

    @property
    def __signature__(self) -> object:
        from inspect import signature

        return signature(self._function)


class _Package(ModuleType):
    """This package. It makes its folder `run` callable when that is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "run":
            value.__class__ = _Run
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
