"""How often a difference is claimed where there is none, and how often a true one is found.

A cell is compared with itself, and with itself made slower by a spin of 5 % of its step, calibrated
on this machine. A comparison takes rounds in turn, each a fresh process of either side, and looks
after each round beyond the seventh whether the interval of the ratio (99 %, Wilcoxon) says enough:
it ends with a verdict, or without one when its budget is spent. Looking often is accounted for by
the confidence and the threshold. Both comparisons share the rounds of the plain cell; the budget is
what the two sides of one take.

    python benchmarks/noise.py [--comparisons 200] [--budget 600] [--threshold 0.02] [--busy]
        [--only itself|slower]
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from bench.data.batch import BatchStore
from bench.hardware.state import allowed_cpus
from bench.run.job import Job
from bench.run.jobs import JobMaker
from bench.run.launch import ZygoteLauncher, worker_environment
from bench.specs.data import DataSource
from bench.specs.weights import WeightSource
from bench.stats import change
from bench.suite.cell import Cell
from bench.suite.suite import Sampling

SAMPLING = Sampling(warmup=2, min_samples=5, max_samples=5, max_seconds=10)
CONFIDENCE = 0.99
FEWEST = 8  # rounds: with fewer no interval is that sure
SLOWER = 0.05
SPUN = """
import time
from bench.models import mcunet
from bench.models.mcunet import initialise


def construct(spin, **options):
    network = mcunet.construct(**options)

    def wait(module, inputs):
        end = time.perf_counter() + spin
        while module.training and time.perf_counter() < end:
            pass

    network.register_forward_pre_hook(wait)
    return network
"""


def main() -> None:
    """Print a line for each comparison that is over, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=200)
    parser.add_argument("--budget", type=float, default=600.0, help="seconds of one comparison")
    parser.add_argument("--threshold", type=float, default=0.02)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--busy", action="store_true", help="beside a busy process")
    parser.add_argument("--only", choices=("itself", "slower"), help="one of the two comparisons")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spun_mcunet.py").write_text(SPUN)
        environment = worker_environment(len(allowed_cpus()))
        sources = [name, environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sources))
        with ZygoteLauncher(environment) as zygote, _company(said.busy):
            jobs = _Jobs(folder, said.batch)
            step = median(_step(zygote, jobs.job(0.0)) for _ in range(9))
            print(f"step {step * 1e3:.1f} ms, spin {SLOWER * step * 1e3:.2f} ms", flush=True)
            sides = {"base": 0.0, "itself": 0.0, "slower": SLOWER * step}
            if said.only:
                sides = {"base": 0.0, said.only: sides[said.only]}
            done: list[list[_Comparison]] = []
            with contextlib.suppress(KeyboardInterrupt):
                for _ in range(said.comparisons):
                    timed = {side: jobs.job(spin) for side, spin in sides.items()}
                    done.append(_compare(zygote, timed, said.budget, said.threshold))
                    print("; ".join(str(one) for one in done[-1]), flush=True)
    print(f"{'beside a busy process' if said.busy else 'quiet'}, {len(done)} comparisons each:")
    for alike in zip(*done, strict=True):
        print(_summary(alike))


class _Jobs:
    def __init__(self, folder: Path, batch: int) -> None:
        store = BatchStore(folder / "batches")
        self._maker = JobMaker(store, SAMPLING, DataSource(), {"random": WeightSource()})
        self._cell = Cell(id="noise", model="mcunet", method="vanilla", batch=batch)

    def job(self, spin: float) -> Job:
        """The cell, its forward longer by so many seconds."""
        made = self._maker.job(self._cell, "time")
        options = {**made.model_options, "spin": spin}
        return replace(made, model="spun_mcunet", model_options=options)


@dataclass
class _Comparison:
    """One side against the base: it is over with a verdict, or when its budget is spent."""

    side: str
    base: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    seconds: float = 0.0
    verdict: str = "unknown"

    def add(self, base: float, new: float, seconds: float, threshold: float) -> None:
        """A round of both."""
        self.base.append(base)
        self.new.append(new)
        self.seconds += seconds
        if len(self.base) >= FEWEST:
            self.verdict = change(self.base, self.new, threshold, CONFIDENCE).verdict

    def is_over(self, budget: float) -> bool:
        """True where no further round is worth while, or none can be paid for."""
        return self.verdict != "unknown" or self.seconds > budget

    def __str__(self) -> str:
        return f"{self.side} {self.verdict} ({len(self.base)} rounds, {self.seconds:.0f} s)"


def _compare(
    zygote: ZygoteLauncher, jobs: dict[str, Job], budget: float, threshold: float
) -> list[_Comparison]:
    """The base against each other side, by rounds that take the sides in turn."""
    found = [_Comparison(side) for side in jobs if side != "base"]
    order = list(jobs)
    while waiting := [one for one in found if not one.is_over(budget)]:
        order.append(order.pop(0))  # whoever goes later may find a warmer machine
        needed = {"base", *(one.side for one in waiting)}
        steps, took = {}, {}
        for side in order:
            if side in needed:
                began = time.perf_counter()
                steps[side] = _step(zygote, jobs[side])
                took[side] = time.perf_counter() - began
        for one in waiting:
            spent = took["base"] + took[one.side]
            one.add(steps["base"], steps[one.side], spent, threshold)
    return found


def _step(zygote: ZygoteLauncher, job: Job) -> float:
    reply = zygote.launch(job, 120, lambda: None).reply
    assert reply.status == "ok", reply.reason
    return float(reply.findings.metrics["step_seconds"])


def _summary(alike: tuple[_Comparison, ...]) -> str:
    verdicts = Counter(one.verdict for one in alike).most_common()
    listed = ", ".join(f"{verdict} {count}" for verdict, count in verdicts)
    rounds = median(len(one.base) for one in alike)
    seconds = median(one.seconds for one in alike)
    return f"{alike[0].side:7} {listed}; median {rounds:g} rounds, {seconds:.0f} s"


@contextlib.contextmanager
def _company(is_busy: bool) -> Iterator[None]:
    """A process that takes all the time it can get, or none."""
    if not is_busy:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    main()
