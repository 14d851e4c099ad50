"""Memory: holding a worker to a limit, and saying what it asked for when it ran out."""

import re
import resource
import sys
from types import TracebackType
from typing import Any

from ondevice_bench import units
from ondevice_bench.measure import memory
from ondevice_bench.worker import current_stage

_FAILED = ("can't allocate memory", "not enough memory", "bad_alloc", "out of memory")
# what oneDNN says where it has no memory; without a cap it may mean anything
_FAILED_UNDER_A_CAP = ("could not create a primitive", "could not create a memory")
_ASKED = re.compile(r"tried to allocate (\d+) bytes")


def limit(cap: int, threads: int) -> None:
    """Let this process allocate `cap` bytes and no more.

    The kernel's limit counts what is reserved, so that what is reserved but untouched by now, and
    the stacks of the threads to come, are added to it. Pages of files (libraries) do not count.
    """
    reserved = max(0, memory.data_bytes() - memory.resident().anonymous)
    stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
    stacks = 0 if stack == resource.RLIM_INFINITY else (threads + 2) * stack
    allowed = cap + reserved + stacks
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))


def is_shortage(error: BaseException, cap: int | None) -> bool:
    """Tell a failed allocation, for which torch raises a plain RuntimeError."""
    if isinstance(error, MemoryError):
        return True
    words = _FAILED if cap is None else (*_FAILED, *_FAILED_UNDER_A_CAP)
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def said(error: BaseException, cap: int | None) -> str:
    """The stage, the highest resident memory before, and what was asked for, by which module."""
    match = _ASKED.search(str(error))
    asked = units.mib(float(match[1])) if match else "memory"
    module = _module(error.__traceback__)
    where = f" in {module}" if module else ""
    limited = f" under a cap of {units.size(cap)}" if cap is not None else ""
    try:
        before = f"; highest resident memory before: {units.mib(memory.peak_bytes())}"
    except memory.PeakUnavailable:
        before = ""
    return f"{current_stage.now()}: {asked} could not be had{where}{limited}{before}"


def _module(traceback: TracebackType | None) -> str:
    """The name, within the network, of the innermost module that was at work; empty if none was."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return ""
    found = []
    while traceback is not None:
        own = traceback.tb_frame.f_locals.get("self")
        if isinstance(own, torch.nn.Module):
            found.append(own)
        traceback = traceback.tb_next
    if not found:
        return ""
    names = {id(module): name for name, module in found[0].named_modules()}
    return next((names[id(m)] for m in reversed(found) if names.get(id(m))), "")
