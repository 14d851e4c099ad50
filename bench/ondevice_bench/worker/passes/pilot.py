"""The pilot pass: two steps of a cell, from which a run with a budget estimates its cost."""

import math
import time

from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import build


def measure(job: Job) -> PassResult:
    """Seconds of building the cell, of its first step and of its second, and their losses."""
    began = time.perf_counter()
    workload = build(job)
    built = time.perf_counter()
    first = workload.step()
    warm = time.perf_counter()
    second = workload.step()
    ended = time.perf_counter()
    return PassResult(
        details={
            "build_seconds": built - began,
            "first_seconds": warm - built,
            "step_seconds": ended - warm,
            "losses": [loss if math.isfinite(loss) else None for loss in (first, second)],
        }
    )
