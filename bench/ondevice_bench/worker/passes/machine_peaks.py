"""The machine_peaks pass: the highest speed of processors and memory, for a measured profile.

It multiplies square matrices, and copies more than a cache can hold, on all of the job's threads.
"""

import time
from collections.abc import Callable

import torch

from ondevice_bench.protocol.job import Job, PassResult

SIZE = 1024
COPIED = 64 << 20
LEAST, SECONDS = 6, 2.0  # six samples are the fewest with an interval of 95 %
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
            seconds_each = _times(lambda a=left, b=right: torch.matmul(a, b))  # type: ignore[misc]  # mypy infers no lambda with defaults
        except RuntimeError as error:
            unavailable[name] = str(error).splitlines()[0]
            continue
        samples[name] = [2 * SIZE**3 / seconds / 1e9 for seconds in seconds_each]
    source = torch.ones(COPIED // 4)
    target = torch.empty_like(source)
    seconds_each = _times(lambda: target.copy_(source))
    samples[COPY] = [2 * COPIED / seconds / 1e9 for seconds in seconds_each]
    return PassResult(samples=samples, unavailable=unavailable)


def _times(work: Callable[[], object]) -> list[float]:
    """Seconds of each repetition. The first ones, up to three, are not counted."""
    end = time.perf_counter() + SECONDS / 2
    for _ in range(3):
        work()
        if time.perf_counter() > end:
            break
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(seconds) < LEAST or time.perf_counter() < end:
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return seconds
