"""An A/A trial: two equal cells in turn, and what ratio one would read off them."""

import time
from dataclasses import dataclass

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.doctor import DoctorFinding
from ondevice_bench.run.hosts.host import Host, Tick, no_tick
from ondevice_bench.run.queries.jobs import JobMaker
from ondevice_bench.run.work_folder import work_folder
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
    """The rounds of two identical cells, and the ratio of their step times."""

    rounds: int
    change: Change

    def finding(self) -> DoctorFinding:
        """What the interval of the ratio tells about this machine."""
        low, high = self.change.lower, self.change.upper
        statement = (
            f"two identical cells, {self.rounds} rounds in turn: ratio {self.change.ratio:.3f} "
            f"[{low:.3f} … {high:.3f}]"
        )
        if not low <= 1 <= high:
            return DoctorFinding(
                "A/A trial",
                "warning",
                statement,
                "two identical runs look different: this machine is too noisy",
                "stop the other programs and run it again",
            )
        if high > 1 + WIDE or low < 1 / (1 + WIDE):
            return DoctorFinding(
                "A/A trial",
                "warning",
                statement,
                f"this machine is too noisy to detect a {WIDE:.0%} difference in so many rounds",
                "use more `rounds`, or a quieter machine",
            )
        return DoctorFinding("A/A trial", "ok", statement)


def trial(host: Host, tick: Tick = no_tick) -> Trial:
    """Take rounds for 20 seconds, each a fresh process of either side."""
    sides: tuple[list[float], list[float]] = ([], [])
    with work_folder("batches") as folder:
        jobs = JobMaker(host, BatchStore(folder), _SAMPLING)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            first = len(sides[0]) % 2  # whoever goes second may find a warmer machine
            for side in (first, 1 - first):
                reply = host.run(jobs.job(CELL, "time"), SECONDS, tick).reply
                if reply.status != "ok":
                    raise BadInput(f"the trial's cell could not be measured: {reply.reason}")
                sides[side].append(float(reply.result.metrics["step_seconds"]))
    return Trial(len(sides[0]), change(*sides, threshold=WIDE, confidence=CONFIDENCE))
