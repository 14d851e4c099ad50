"""The user's own step in the measured process: loaded from its file and set up."""

import importlib
import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ondevice_bench.errors import Refusal
from ondevice_bench.protocol.job import Job
from ondevice_bench.specs.implementation import load_module
from ondevice_bench.worker import current_stage


def prepare(job: Job) -> Callable[[], object]:
    """The step as a call without arguments. Its set-up returns a tuple, one argument, or None."""
    assert job.step is not None
    sys.path[:] = job.step["path"]
    current_stage.enter("the set-up")
    step, setup = job.step["step"], job.step["setup"]
    call = _function(step)
    torch.manual_seed(0)
    value = None if setup is None else _function(setup)()
    require_done("setup", value)
    arguments = value if isinstance(value, tuple) else () if value is None else (value,)
    require_arguments(call, arguments, has_setup=setup is not None)
    current_stage.enter("the step")
    return lambda: call(*arguments)


def require_arguments(
    call: Callable[..., object], arguments: tuple[object, ...], *, has_setup: bool
) -> None:
    """Refuse a step that cannot be called with what its set-up returned."""
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):  # it has none that Python can read
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        given = "there is no setup, which returns the arguments"
        if has_setup:
            given = f"setup gives {len(arguments)}: each part of a tuple is an argument"
        raise Refusal(f"step{signature} cannot be called: {error}; {given}") from None


def require_done(role: str, value: object) -> None:
    """Refuse what a function returned if it is work that is not done yet."""
    if not isinstance(value, Awaitable | Generator | AsyncGenerator):
        return
    if isinstance(value, Coroutine | Generator):
        value.close()  # else Python warns that it was never awaited
    raise Refusal(
        f"{role} returned a {type(value).__name__}, which was never run: a {role} does all its "
        "work when it is called; run it inside, by asyncio.run or a loop over it"
    )


def _function(source: Mapping[str, str]) -> Any:
    return getattr(_module(source["module"], Path(source["file"])), source["name"])


def _module(name: str, file: Path) -> ModuleType:
    """Import by name if that is this file, so that relative imports work; else by file."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.origin is not None and Path(spec.origin) == file:
        return importlib.import_module(name)
    return load_module(str(file))
