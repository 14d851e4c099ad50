"""The machine_peaks pass: what the processors can do at most, for a measured profile.

Products of square matrices, and copies of more than any cache holds, on all of the job's threads.
"""

import time
from collections.abc import Callable

import torch

from ondevice_bench.protocol.job import Job, PassResult

SIZE = 1024
COPIED = 64 << 20
LEAST, SECONDS = 15, 2.0
DTYPES = ("float32", "float64", "bfloat16")
COPY = "copy"


def measure(job: Job) -> PassResult:
    """Samples of GFLOP/s by dtype, and of GB/s read and written by a copy."""
    del job
    samples: dict[str, list[float]] = {}
    unavailable: dict[str, str] = {}
    for name in DTYPES:
        dtype = getattr(torch, name)
        left, right = (torch.randn(SIZE, SIZE, dtype=torch.float32).to(dtype) for _ in range(2))
        try:
            taken = _times(lambda a=left, b=right: torch.matmul(a, b))  # type: ignore[misc]  # mypy infers no lambda with defaults
        except RuntimeError as error:
            unavailable[name] = str(error).splitlines()[0]
            continue
        samples[name] = [2 * SIZE**3 / seconds / 1e9 for seconds in taken]
    source = torch.ones(COPIED // 4)
    target = torch.empty_like(source)
    taken = _times(lambda: target.copy_(source))
    samples[COPY] = [2 * COPIED / seconds / 1e9 for seconds in taken]
    return PassResult(samples=samples, unavailable=unavailable)


def _times(work: Callable[[], object]) -> list[float]:
    """Seconds of each repetition, the first three left out."""
    for _ in range(3):
        work()
    found: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(found) < LEAST or time.perf_counter() < end:
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found
