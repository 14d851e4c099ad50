"""An A/A trial: two equal cells in turn, and what ratio one would read off them."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.doctor import DoctorFinding
from ondevice_bench.run.hosts.host import Host, Tick, no_tick
from ondevice_bench.run.queries.jobs import JobMaker
from ondevice_bench.stats import Change, change
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.suite import Sampling

SECONDS = 20.0
WIDE = 0.05  # a difference of that much should be seen
CONFIDENCE = 0.95
_SAMPLING = Sampling(warmup=2, min_samples=5, max_samples=5, max_seconds=10)
CELL = Cell(id="trial", model="mcunet", method="vanilla", batch=1)


@dataclass(frozen=True)
class Trial:
    """How many rounds, and the ratio of what is equal."""

    rounds: int
    found: Change

    def finding(self) -> DoctorFinding:
        """What the ratio's interval says of this machine."""
        low, high = self.found.lower, self.found.upper
        said = (
            f"two equal cells, {self.rounds} rounds in turn: ratio {self.found.ratio:.3f} "
            f"[{low:.3f} … {high:.3f}]"
        )
        if not low <= 1 <= high:
            return DoctorFinding(
                "A/A trial",
                "warning",
                said,
                "a difference is seen where there is none",
                "run it again; stop what else runs on this machine",
            )
        if high > 1 + WIDE or low < 1 / (1 + WIDE):
            return DoctorFinding(
                "A/A trial",
                "warning",
                said,
                f"a difference of {WIDE:.0%} is not seen in so many rounds",
                "more `rounds`, or a quieter machine",
            )
        return DoctorFinding("A/A trial", "ok", said)


def trial(host: Host, tick: Tick = no_tick) -> Trial:
    """Take rounds for 20 seconds, each a fresh process of either side."""
    sides: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        jobs = JobMaker(host, BatchStore(Path(folder)), _SAMPLING)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            first = len(sides[0]) % 2  # whoever goes second may find a warmer machine
            for side in (first, 1 - first):
                reply = host.run(jobs.job(CELL, "time"), SECONDS, tick).reply
                if reply.status != "ok":
                    raise BadInput(f"the trial's cell could not be measured: {reply.reason}")
                sides[side].append(float(reply.findings.metrics["step_seconds"]))
    return Trial(len(sides[0]), change(*sides, threshold=WIDE, confidence=CONFIDENCE))
