"""The curve of resident memory, sampled by memory_profiler from a process outside.

For looking at, never for a figure: a sampler misses bursts. The kernel's high-water mark has the
peak. `curve PID SECONDS` prints samples of that process, its parent, while it lives.
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
POINTS = 400  # at most so many are kept: of each stretch the highest
_LONGEST = 24 * 3600.0


@dataclass
class Curve:
    """Samples of this process, and the moments that it marked; seconds of the wall clock."""

    marks: list[tuple[str, float]] = field(default_factory=list)
    samples: list[tuple[float, float]] = field(default_factory=list)  # seconds, bytes
    reason: str = ""

    def mark(self, name: str) -> None:
        """From now on the process does that."""
        self.marks.append((name, time.time()))

    def to_dict(self) -> dict[str, Any]:
        """Seconds since the first mark, or why there is no curve."""
        if not self.samples or not self.marks:
            return {"unavailable": self.reason or "the sampler saw nothing"}
        start = self.marks[0][1]
        stretch = max(1, -(-len(self.samples) // POINTS))
        highest = [
            max(self.samples[place : place + stretch], key=lambda sample: sample[1])
            for place in range(0, len(self.samples), stretch)
        ]
        return {
            "interval_seconds": INTERVAL * stretch,
            "seconds": [round(moment - start, 4) for moment, _ in highest],
            "rss_bytes": [round(size) for _, size in highest],
            "marks": [[name, round(moment - start, 4)] for name, moment in self.marks],
        }


@contextmanager
def sampled() -> Iterator[Curve]:
    """Sample this process while the block runs; the samples are there when it has ended."""
    curve = Curve()
    command = [sys.executable, "-P", "-m", __name__, str(os.getpid()), str(INTERVAL)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as sampler:
        try:
            yield curve
        finally:
            sampler.kill()
            said, wrong = sampler.communicate()
    lines = [line.split() for line in said.splitlines(keepends=True) if line.endswith("\n")]
    curve.samples = [(float(moment), float(size) * 2**20) for _, size, moment in lines]
    curve.reason = (wrong.strip().splitlines() or [""])[-1]


def main() -> None:
    """Print `MEM MEBIBYTES SECONDS` for every sample of the process, this one's parent."""
    from memory_profiler import memory_usage

    pid, interval = int(sys.argv[1]), float(sys.argv[2])
    memory_usage(
        pid, interval=interval, timeout=_LONGEST, timestamps=True, stream=_WhileParentLives(pid)
    )


class _WhileParentLives:
    """Standard output, each line at once; ends this process when the sampled one is gone."""

    def __init__(self, parent: int) -> None:
        self.parent = parent

    def write(self, text: str) -> None:
        """Write and flush."""
        if os.getppid() != self.parent:
            sys.exit()
        sys.stdout.write(text)
        sys.stdout.flush()

    def flush(self) -> None:
        """Nothing is held back."""


if __name__ == "__main__":
    main()
