"""How often a difference is claimed where there is none, and how often a true one is found.

A cell is compared with itself, and with itself made slower by a spin of 5 % of its step, calibrated
on this machine. A comparison takes rounds in turn, each a fresh process of either side, and looks
after each round beyond the eighth whether the interval of the ratio (99 %, Wilcoxon) says enough:
it ends with a verdict, or without one when its time is over. Looking often is accounted for by the
confidence and the threshold. All of it on a quiet machine, then beside a process that is busy.

    python benchmarks/noise.py [--comparisons 200] [--budget 600] [--threshold 0.02]
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
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

SAMPLING = Sampling(warmup=2, min_samples=10, max_samples=10, max_seconds=10)
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
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=200)
    parser.add_argument("--budget", type=float, default=600.0, help="seconds of one comparison")
    parser.add_argument("--threshold", type=float, default=0.02)
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spun_mcunet.py").write_text(SPUN)
        environment = {**worker_environment(len(allowed_cpus())), "PYTHONPATH": name}
        with ZygoteLauncher(environment) as zygote:
            jobs = _Jobs(folder, arguments.batch)
            step = median(_round(zygote, jobs.job(0.0)) for _ in range(5))
            print(f"step {step * 1e3:.1f} ms, spin {SLOWER * step * 1e3:.2f} ms")
            for beside, company in (("quiet", _alone), ("one busy process", _busy)):
                for what, spin in (("itself", 0.0), ("5 % slower", SLOWER * step)):
                    with company():
                        _table(f"{beside:17} {what:11}", zygote, jobs, spin, arguments)


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


def _round(zygote: ZygoteLauncher, job: Job) -> float:
    reply = zygote.launch(job, 120, lambda: None).reply
    assert reply.status == "ok", reply.reason
    return float(reply.findings.metrics["step_seconds"])


def _compare(
    zygote: ZygoteLauncher, jobs: _Jobs, spin: float, budget: float, threshold: float
) -> tuple[str, int, float]:
    """The verdict, the rounds that it took, and the seconds."""
    base: list[float] = []
    new: list[float] = []
    began = time.perf_counter()
    while True:
        first_base = len(base) % 2 == 0  # whoever goes second may find a warmer machine
        for is_base in (first_base, not first_base):
            (base if is_base else new).append(_round(zygote, jobs.job(0.0 if is_base else spin)))
        if len(base) >= FEWEST:
            verdict = change(base, new, threshold, CONFIDENCE).verdict
            if verdict != "unknown" or time.perf_counter() - began > budget:
                return verdict, len(base), time.perf_counter() - began


def _table(
    title: str, zygote: ZygoteLauncher, jobs: _Jobs, spin: float, said: argparse.Namespace
) -> None:
    found = [
        _compare(zygote, jobs, spin, said.budget, said.threshold) for _ in range(said.comparisons)
    ]
    verdicts = Counter(verdict for verdict, _, _ in found)
    rounds, seconds = (median(row[place] for row in found) for place in (1, 2))
    listed = ", ".join(f"{verdict} {count}" for verdict, count in verdicts.most_common())
    print(f"{title} {listed}; median {rounds:g} rounds, {seconds:.0f} s", flush=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    yield


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    main()
