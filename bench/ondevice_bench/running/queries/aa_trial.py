"""An A/A trial: two equal cells in turn, and the ratio of their step times."""

import math
import time
from dataclasses import dataclass, replace

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.protocol.job import Reply
from ondevice_bench.running.hosts.host import Host, Tick, no_tick
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.running.work_folder import work_folder
from ondevice_bench.stats import Change, change
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.suite import Sampling

SECONDS = 20.0
WIDE = 0.05  # a difference of that much should be seen
CONFIDENCE = 0.95
_SAMPLING = Sampling(warmup=2, min_samples=5, max_samples=5, max_seconds=10)
CELL = Cell(id="trial", model="mcunet", method="vanilla", batch=1)


ABOUT = "A/A trial"


@dataclass(frozen=True)
class Trial:
    """The rounds of two identical cells, and the ratio of their step times.

    `problem` says why the trial ended early.
    """

    rounds: int
    change: Change | None
    problem: str = ""

    def finding(self) -> DoctorFinding:
        """What the interval of the ratio says about this machine."""
        if self.problem:
            return DoctorFinding(
                ABOUT,
                "warning",
                self.problem,
                "runs on this machine may time out, and times are not proven",
                "stop the other programs and run it again; `--quick` skips the trial",
            )
        rounds = f"{self.rounds} {'round' if self.rounds == 1 else 'rounds'}"
        if self.change is None or not math.isfinite(self.change.upper):
            return DoctorFinding(
                ABOUT,
                "unknown",
                f"two identical cells, {rounds} in {SECONDS:g} s: too few for an interval",
            )
        low, high = self.change.lower, self.change.upper
        statement = (
            f"two identical cells, {rounds} in turn: ratio {self.change.ratio:.3f} "
            f"[{low:.3f} … {high:.3f}]"
        )
        if not low <= 1 <= high:
            return DoctorFinding(
                ABOUT,
                "warning",
                statement,
                "two identical runs look different: this machine is too noisy",
                "stop the other programs and run it again",
            )
        if high > 1 + WIDE or low < 1 / (1 + WIDE):
            return DoctorFinding(
                ABOUT,
                "warning",
                statement,
                f"this machine is too noisy to detect a {WIDE:.0%} difference in these rounds",
                "more `rounds` in your suites, or a quieter machine",
            )
        return DoctorFinding(ABOUT, "ok", statement)


def trial(host: Host, tick: Tick = no_tick) -> Trial:
    """Take rounds for 20 seconds, each a fresh process of either side."""
    sides: tuple[list[float], list[float]] = ([], [])
    problem, cell = "", replace(CELL, allocator=host.profile.allocator)
    with work_folder("batches") as folder:
        jobs = JobMaker(host, BatchStore(folder), _SAMPLING)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not problem:
            first = len(sides[0]) % 2  # the second side may find a warmer machine
            for side in (first, 1 - first):
                reply = host.run(jobs.job(cell, "time"), SECONDS, tick).reply
                if reply.status != "ok":
                    problem = _problem(reply)
                    break
                sides[side].append(float(reply.result.metrics["step_seconds"]))
    rounds = min(map(len, sides))
    base, other = (side[:rounds] for side in sides)
    found = change(base, other, threshold=WIDE, confidence=CONFIDENCE) if rounds else None
    return Trial(rounds, found, problem)


def _problem(reply: Reply) -> str:
    if reply.status == "timeout":
        return f"the trial did not end in {SECONDS:g} s: the machine is too busy"
    return f"the trial's cell could not be measured: {reply.reason or reply.status}"
