"""The curve of resident memory, which memory_profiler samples from another process.

The curve is for a plot only, because a sampler misses short peaks. Metrics use the kernel's
high-water mark. `curve PID SECONDS` prints samples of its parent process PID while that lives.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

INTERVAL = 0.005
POINTS = 400  # the most points of a curve; each is the highest sample of its interval
_LONGEST = 24 * 3600.0
_STEADY = 0.05  # seconds: the wall clock moves by less, unless it is set


@dataclass
class Curve:
    """Samples of this process, and its marks, in seconds of the wall clock."""

    marks: list[tuple[str, float]] = field(default_factory=list)
    samples: list[tuple[float, float]] = field(default_factory=list)  # seconds, bytes
    reason: str = ""
    # seconds at each mark: the wall clock minus a clock that cannot be set
    ahead: list[float] = field(default_factory=list)

    def mark(self, name: str) -> None:
        """Mark the beginning of a stage."""
        now = time.time()
        self.marks.append((name, now))
        self.ahead.append(now - time.perf_counter())

    def to_dict(self) -> dict[str, Any]:
        """The curve in seconds since the first mark, or the reason why there is none."""
        if not self.samples or not self.marks:
            return {"unavailable": self.reason or "the sampler gave no samples"}
        if max(self.ahead) - min(self.ahead) > _STEADY:
            return {"unavailable": "the clock of the machine was set during the measurement"}
        start = self.marks[0][1]
        points_joined = max(1, -(-len(self.samples) // POINTS))
        highest = [
            max(self.samples[place : place + points_joined], key=lambda sample: sample[1])
            for place in range(0, len(self.samples), points_joined)
        ]
        return {
            "interval_seconds": INTERVAL * points_joined,
            "seconds": [round(moment - start, 4) for moment, _ in highest],
            "rss_bytes": [round(size) for _, size in highest],
            "marks": [[name, round(moment - start, 4)] for name, moment in self.marks],
        }


@contextmanager
def sample() -> Iterator[Curve]:
    """Sample this process while the block runs. The curve is filled when the block ends."""
    curve = Curve()
    command = [sys.executable, "-P", "-m", __name__, str(os.getpid()), str(INTERVAL)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as sampler:
        try:
            yield curve
        finally:
            sampler.kill()
            output, errors = sampler.communicate()
    lines = [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]
    curve.samples = [(float(moment), float(size) * 2**20) for _, size, moment in lines]
    curve.reason = (errors.strip().splitlines() or [""])[-1]


def main() -> None:
    """Print `MEM MEBIBYTES SECONDS` for every sample of the parent process."""
    from memory_profiler import memory_usage

    pid, interval = int(sys.argv[1]), float(sys.argv[2])
    memory_usage(
        pid, interval=interval, timeout=_LONGEST, timestamps=True, stream=_WhileParentLives(pid)
    )


class _WhileParentLives:
    """Unbuffered standard output, which ends this process when its parent has ended."""

    def __init__(self, parent: int) -> None:
        self.parent = parent

    def write(self, text: str) -> None:
        """Write and flush."""
        if os.getppid() != self.parent:
            sys.exit()
        sys.stdout.write(text)
        sys.stdout.flush()

    def flush(self) -> None:
        """`write` has flushed already."""


if __name__ == "__main__":
    main()
