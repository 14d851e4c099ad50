"""Bringing torch up in a worker, the same way whether it is spawned or will be forked."""

import contextlib
import ctypes
import gc
import os
import signal
from typing import Any

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when `parent` ends, so that no worker outlives a run."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def import_torch(trains: bool = True) -> None:
    """Import torch without starting a thread.

    A process that trains also imports what its first optimizer step would import: about as much
    again as torch itself.

    numpy comes first, with one BLAS thread: its OpenBLAS starts a pool as it loads, and a process
    with threads cannot be forked safely. The variable is gone before torch's own BLAS loads.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with contextlib.suppress(ImportError):
        import numpy  # noqa: F401  # torch would import it later, with its threads
    del os.environ["OPENBLAS_NUM_THREADS"]
    import torch

    if trains:
        torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    gc.collect()
    gc.freeze()  # what was imported stays: a forked child copies no page of it, collecting is quick


def thread_count() -> int:
    """The threads of this process, by the kernel's count."""
    return len(os.listdir("/proc/self/task"))


def software() -> dict[str, Any]:
    """What this process computes with."""
    import platform

    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_commit": torch.version.git_version,
        "torch_blas": _blas(),
        "torch_cpu": torch.backends.cpu.get_cpu_capability(),
    }


def _blas() -> str:
    import torch

    settings = torch.__config__.show()
    _, _, rest = settings.partition("BLAS_INFO=")
    return rest.partition(",")[0] or "unknown"
