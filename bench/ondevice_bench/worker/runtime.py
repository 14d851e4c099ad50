"""Importing torch in a worker, in the same way for spawned and for forked workers."""

import contextlib
import ctypes
import fcntl
import gc
import os
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when `parent` ends, so that no worker outlives a run."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Ask the kernel to make this process the parent of its children's orphans."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_children() -> None:
    """Kill and reap every child, and the children that each of them leaves."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # is there a child?
            for child in _children():
                with contextlib.suppress(ProcessLookupError):  # the user's code may ignore SIGCHLD
                    os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


def _children() -> list[int]:
    """The children of this process: `/proc/PID/stat` has the parent behind name and state."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            _, _, after = Path("/proc", name, "stat").read_text(errors="replace").rpartition(")")
            if int(after.split()[1]) == os.getpid():
                found.append(int(name))
    return found


@contextlib.contextmanager
def ending_with(connection: socket.socket) -> Iterator[None]:
    """End this process the moment the other side closes the connection, whatever it does.

    The kernel sends SIGIO for any event of the connection, so nothing may arrive meanwhile.
    """
    flags = fcntl.fcntl(connection, fcntl.F_GETFL)
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # which ends a process
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, flags | os.O_ASYNC)
    poll = select.poll()
    poll.register(connection, 0)
    if poll.poll(0):  # it was closed before
        os._exit(1)
    yield
    fcntl.fcntl(connection, fcntl.F_SETFL, flags)


def import_torch() -> None:
    """Import torch and the modules of its first optimizer step, without starting a thread.

    numpy comes first, with one BLAS thread. Otherwise its OpenBLAS would start a thread pool, and a
    process with threads cannot be forked safely. Torch's own BLAS loads after the variable is gone.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with contextlib.suppress(ImportError):
        import numpy  # noqa: F401  # torch would import it later, with threads
    del os.environ["OPENBLAS_NUM_THREADS"]
    import torch

    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    gc.collect()
    gc.freeze()  # forked children then copy no page of the imports, and collections are quick


def use_shared_blas(threads: int, maps: str) -> None:
    """Let torch's BLAS use its threads if numpy uses the same library.

    It began with one thread, see `import_torch`. In `maps` the kernel lists the process's files.
    """
    lines = (line for line in maps.splitlines() if "openblas" in line.rpartition("/")[2])
    files = {line.split(maxsplit=5)[5] for line in lines}
    if len(files) == 1 and _blas() != "mkl":
        with contextlib.suppress(OSError, AttributeError):  # that of numpy alone has other names
            ctypes.CDLL(files.pop()).openblas_set_num_threads(threads)


def thread_count() -> int:
    """The number of threads of this process, from the kernel."""
    return len(os.listdir("/proc/self/task"))


def software() -> dict[str, Any]:
    """The versions of Python and torch, and torch's libraries."""
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
    _, _, after = settings.partition("BLAS_INFO=")
    return after.partition(",")[0] or "unknown"
