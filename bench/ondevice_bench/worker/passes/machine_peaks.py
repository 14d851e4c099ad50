"""The machine_peaks pass: the highest speed of processors and memory, for a measured profile.

It multiplies square matrices, and copies more than a cache can hold, on all of the job's threads.
The largest caches have some hundred MiB.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.sensors import control_groups

SIZE = 1024
COPIED = 512 << 20  # at most
FREE_SHARE = 8  # source and target each take at most this part of the free memory: 1/8
LEAST, SECONDS = 6, 2.0  # six samples are the fewest with an interval of 95 %
DTYPES = ("float32", "float64", "bfloat16")
COPY = "copy"


def measure(job: Job) -> PassResult:
    """Samples of GFLOP/s by dtype, and of GB/s read and written by a copy."""
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
    copied = copied_bytes(job.memory_cap)
    source = torch.ones(copied // 4)
    target = torch.empty_like(source)
    seconds_each = _times(lambda: target.copy_(source))
    samples[COPY] = [2 * copied / seconds / 1e9 for seconds in seconds_each]
    return PassResult(samples=samples, unavailable=unavailable)


def copied_bytes(cap: int | None, root: Path = Path("/")) -> int:
    """The size of source and target, in whole numbers of float32."""
    text = (root / "proc/meminfo").read_text()
    found = re.search(r"^MemAvailable: *(\d+) kB", text, re.MULTILINE)
    available = int(found[1]) * 1024 if found else None
    free = (available, control_groups.memory_available(root), cap)
    parts = (each // FREE_SHARE // 4 * 4 for each in free if each is not None)
    return min(COPIED, *parts)


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
