"""How fast a worker reaches its first line: forked from the zygote, spawned, and torch alone.

Seconds from asking for a worker to the first line of cell code, over interleaved launches, beside
a plain `python -c "import torch"` in the same rounds; then the step time of the same cell in forked
and in spawned workers. Only the ratios mean anything.

    python benchmarks/launch.py [--launches 20] [--pairs 10]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.hardware.state import allowed_cpus
from ondevice_bench.protocol.job import PassResult
from ondevice_bench.running.hosts.interpreter import worker_environment
from ondevice_bench.running.hosts.launch import Launcher, SpawnLauncher, ZygoteLauncher
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.stats import estimate
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.suite import Sampling

CELL = Cell(id="launch", model="mcunet", method="vanilla", batch=8)
SAMPLING = Sampling(warmup=3, min_samples=20, max_samples=40, max_seconds=3)
GOAL = 1 / 20


def main() -> int:
    """Print the table; exit status 1 where the forked median misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--launches", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=10)
    arguments = parser.parse_args()

    environment = worker_environment(len(allowed_cpus()))
    taken: dict[str, list[float]] = {"forked": [], "spawned": [], "import torch": []}
    with tempfile.TemporaryDirectory() as folder, ZygoteLauncher(environment) as zygote:
        if not zygote.can_fork:
            print("importing torch starts threads here: workers are never forked")
            return 1
        jobs = JobMaker(local_host(), BatchStore(Path(folder)), SAMPLING)
        spawner = SpawnLauncher(environment)
        for _ in range(arguments.launches):
            taken["forked"].append(_launch_seconds(zygote, jobs))
            taken["spawned"].append(_launch_seconds(spawner, jobs))
            taken["import torch"].append(_import_torch(environment))
        ratios = [
            _step_seconds(zygote, jobs) / _step_seconds(spawner, jobs)
            for _ in range(arguments.pairs)
        ]

    alone = median(taken["import torch"])
    print(f"{'launch':<14}{'median':>10}{'least':>10}{'most':>10}{'of import torch':>18}")
    for name, seconds in taken.items():
        middle = median(seconds)
        print(
            f"{name:<14}{middle:>9.4f}s{min(seconds):>9.4f}s{max(seconds):>9.4f}s"
            f"{middle / alone:>17.4f}×"
        )
    reached = median(taken["forked"]) <= GOAL * alone
    print(f"forked median at most {GOAL:g} of import torch: {'yes' if reached else 'NO'}")
    found = estimate([ratios])
    bounds = "" if found.lower is None else f" ({found.lower:.3f} … {found.upper:.3f})"
    print(f"step time, forked over spawned: {found.estimate:.3f}×{bounds}, {len(ratios)} pairs")
    return 0 if reached else 1


def _launch_seconds(launcher: Launcher, jobs: JobMaker) -> float:
    return float(_result(launcher, jobs, "trace").details["launch_seconds"])


def _step_seconds(launcher: Launcher, jobs: JobMaker) -> float:
    return _result(launcher, jobs, "time").metrics["step_seconds"]


def _result(launcher: Launcher, jobs: JobMaker, pass_name: str) -> PassResult:
    outcome = launcher.launch(jobs.job(CELL, pass_name), 300, lambda: None)
    if outcome.reply.status != "ok":
        sys.exit(f"a worker failed: {outcome.reply.reason}")
    return outcome.reply.result


def _import_torch(environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], env=environment, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
