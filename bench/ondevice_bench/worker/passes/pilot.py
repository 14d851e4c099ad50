"""The pilot pass: two steps of a cell, from which a run with a budget estimates its cost."""

import time

from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import build


def measure(job: Job) -> PassResult:
    """Seconds of building the cell, of its first step and of its second."""
    began = time.perf_counter()
    workload = build(job)
    built = time.perf_counter()
    workload.step()
    warm = time.perf_counter()
    workload.step()
    ended = time.perf_counter()
    return PassResult(
        details={
            "build_seconds": built - began,
            "first_seconds": warm - built,
            "step_seconds": ended - warm,
        }
    )
