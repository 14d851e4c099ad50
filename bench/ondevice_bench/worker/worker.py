"""A process for one job or for questions: it reads them, and writes one reply."""

import contextlib
import importlib
import os
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from ondevice_bench import allocators, passes
from ondevice_bench.errors import BenchError, Refusal, UnusableMethod, UserModelError
from ondevice_bench.protocol.job import Job, PassResult, Reply
from ondevice_bench.protocol.questions import Questions, Work, work_from_text
from ondevice_bench.worker import out_of_memory, runtime


class NotPreloaded(BenchError):
    """The process has another allocator than its cell names."""


def perform(work: Work) -> Reply:
    """Run the job's pass, or answer the questions. Every error becomes a reply."""
    try:
        return _answered(work) if isinstance(work, Questions) else _measured(work)
    except Refusal as refusal:
        return Reply("skipped", reason=str(refusal))
    except Exception as error:
        if out_of_memory.is_shortage(error, work.memory_cap):
            reason = out_of_memory.reason(error, work.memory_cap)
            return Reply("oom", reason, traceback.format_exc())
        return _failed(error)
    except SystemExit as end:  # of the user's code
        return _failed(end)


def _answered(questions: Questions) -> Reply:
    from ondevice_bench.worker.questions import answers  # no job needs it

    return Reply("ok", result=PassResult(details={"answers": answers(questions)}))


def _measured(job: Job) -> Reply:
    launched = time.monotonic_ns()
    require_allocator(job.cell.allocator)
    result = _implementation(job.pass_name).measure(job)
    details = {
        **result.details,
        "launch_seconds": (launched - job.created_ns) / 1e9,
        "cpus": list(job.cpus),
        "threads": _threads(),
        "packages": _packages(),
    }
    return Reply("ok", result=replace(result, details=details))


def require_allocator(name: str) -> None:
    """NotPreloaded if this process does not have the library of the allocator.

    The system only warns if it cannot preload a library, and starts the process without it.
    """
    if not name or not (libraries := allocators.BY_NAME[name].libraries):
        return
    mapped = Path("/proc/self/maps").read_text(errors="replace")
    if not any(f"/{library}" in mapped for library in libraries):
        raise NotPreloaded(f"the system did not load {name} into the measured process")


def serve(work: Work, reply_fd: int) -> None:
    """Do the work on its processors, reply, and exit without exit handlers."""
    os.sched_setaffinity(0, work.cpus)
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    if work.memory_cap is not None:
        out_of_memory.limit(work.memory_cap, threads)
    maps = Path("/proc/self/maps").read_text(errors="replace")
    runtime.use_shared_blas(threads, maps)
    try:
        text = perform(work).to_text().encode()
    except MemoryError:  # not even an error could be told
        text = Reply("oom", reason="memory ran out").to_text().encode()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the user's code may have closed or replaced it
            stream.flush()
    with open(reply_fd, "wb") as pipe:
        pipe.write(text)
    runtime.end_children()
    os._exit(0)


def _implementation(pass_name: str) -> Any:
    return importlib.import_module(f"ondevice_bench.{passes.BY_NAME[pass_name].module}")


def _failed(error: BaseException) -> Reply:
    if isinstance(error, (BenchError, UnusableMethod, UserModelError)):
        reason = (str(error).strip().splitlines() or [""])[0]
    else:
        from ondevice_bench.specs.implementation import in_one_line  # needed after an error only

        reason = in_one_line(error)
    return Reply("failed", reason, traceback.format_exc())


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _packages() -> list[str]:
    """The loaded packages that are not of the standard library."""
    top = {name.partition(".")[0] for name in sys.modules}
    return sorted(name for name in top - sys.stdlib_module_names if not name.startswith("_"))


def main() -> None:
    """Do the work on standard input: `worker PARENT_PID REPLY_FD`."""
    parent, reply_fd = int(sys.argv[1]), int(sys.argv[2])
    runtime.die_with_parent(parent)
    runtime.adopt_orphans()
    work = work_from_text(sys.stdin.readline())
    os.sched_setaffinity(0, work.cpus)
    runtime.import_torch()
    serve(work, reply_fd)


if __name__ == "__main__":
    main()
