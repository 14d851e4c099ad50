"""The memory limit of a worker, and the reason to report when memory runs out."""

import errno
import re
import resource
import sys
from types import TracebackType
from typing import Any

from ondevice_bench import units
from ondevice_bench.errors import UserModelError
from ondevice_bench.measure import memory
from ondevice_bench.worker import current_stage

_FAILED = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "bad_alloc",
    "out of memory",
)
# oneDNN's messages when memory runs out; without a cap they may have other causes
_FAILED_UNDER_A_CAP = ("could not create a primitive", "could not create a memory")
_ALLOCATION = re.compile(r"tried to allocate (\d+) bytes")


def limit(cap: int, threads: int) -> None:
    """Let this process allocate `cap` bytes and no more.

    The kernel's limit counts reserved memory. So two things are added to the cap: memory that is
    reserved now but not used, and the stacks of later threads. Pages of files (libraries) do not
    count.
    """
    reserved = max(0, memory.data_bytes() - memory.resident().anonymous)
    stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
    stacks = 0 if stack == resource.RLIM_INFINITY else (threads + 2) * stack
    allowed = cap + reserved + stacks
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))


def is_shortage(error: BaseException, cap: int | None) -> bool:
    """Whether the error is a failed allocation. Torch raises a plain RuntimeError for it."""
    error = _behind(error)
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):  # of a file that is mapped, of a process that is forked
        return error.errno == errno.ENOMEM
    words, text = _FAILED if cap is None else (*_FAILED, *_FAILED_UNDER_A_CAP), str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in words)


def reason(error: BaseException, cap: int | None) -> str:
    """The stage, the size of the failed allocation, its module, and the highest resident memory."""
    error = _behind(error)
    match = _ALLOCATION.search(str(error))
    size = units.mib(float(match[1])) if match else "memory"
    module = _module(error.__traceback__)
    where = f" in {module}" if module else ""
    limited = f" under a cap of {units.size(cap)}" if cap is not None else ""
    try:
        before = f"; highest resident memory before: {units.mib(memory.peak_bytes())}"
    except memory.PeakUnavailable:
        before = ""
    return f"{current_stage.now()}: could not allocate {size}{where}{limited}{before}"


def _behind(error: BaseException) -> BaseException:
    """The first error, which a function of the user only passed on: a loss calls the network."""
    while isinstance(error, UserModelError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _module(traceback: TracebackType | None) -> str:
    """The name of the innermost module that was running, or empty text."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return ""
    modules = []
    while traceback is not None:
        owner = traceback.tb_frame.f_locals.get("self")
        if isinstance(owner, torch.nn.Module):
            modules.append(owner)
        traceback = traceback.tb_next
    if not modules:
        return ""
    names = {id(module): name for name, module in modules[0].named_modules()}
    return next((names[id(m)] for m in reversed(modules) if names.get(id(m))), "")
