"""The user's own step in the process that measures it: found by its file, prepared, called."""

import importlib
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ondevice_bench.protocol.job import Job
from ondevice_bench.specs.implementation import load_module
from ondevice_bench.worker import current_stage


def prepared(job: Job) -> Callable[[], object]:
    """The step with what its set-up returned: a tuple of arguments, one thing, or nothing."""
    assert job.step is not None
    sys.path[:] = job.step["path"]
    current_stage.enter("the set-up")
    step, setup = job.step["step"], job.step["setup"]
    call = _function(step)
    torch.manual_seed(0)
    given = None if setup is None else _function(setup)()
    arguments = given if isinstance(given, tuple) else () if given is None else (given,)
    current_stage.enter("the step")
    return lambda: call(*arguments)


def _function(said: Mapping[str, str]) -> Any:
    return getattr(_module(said["module"], Path(said["file"])), said["name"])


def _module(name: str, file: Path) -> ModuleType:
    """By its name where that means this file, so that its relative imports work; else by file."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.origin is not None and Path(spec.origin) == file:
        return importlib.import_module(name)
    return load_module(str(file))
