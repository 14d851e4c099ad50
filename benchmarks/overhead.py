"""What measuring costs: a suite's wall time over what it timed, and a step under each probe.

Steps of one workload run in turn without a probe and under each of them, in one process; the ratio
of medians is what that probe does to a step, and why each has a pass of its own. Only ratios mean
anything.

    python benchmarks/overhead.py [--model mcunet] [--batch 8] [--rounds 15] [--suite quick]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.hardware.state import allowed_cpus
from ondevice_bench.measure import clock
from ondevice_bench.measure.activations import saved_in_forward
from ondevice_bench.measure.allocations import mark_modules, record_allocations
from ondevice_bench.measure.flops import FlopCounter
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.suite.cell import Cell
from ondevice_bench.worker.workload import Workload, build


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mcunet")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--suite", default=None, help="run it and say what of it was timed")
    arguments = parser.parse_args()
    _probes(arguments.model, arguments.batch, arguments.rounds)
    if arguments.suite:
        _suite(arguments.suite)


def _probes(model: str, batch: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = BatchStore(Path(folder))
        jobs = JobMaker(local_host(), store)
        cell = Cell(id="overhead", model=model, method="vanilla", batch=batch)
        workload = build(jobs.job(cell, "time"))
        probes: dict[str, Callable[[], object]] = {
            "no probe": workload.step,
            "the time pass's own counters": lambda: clock._step(workload),
            "saved-tensor hooks": lambda: _hooked(workload),
            "the allocator's record": lambda: _within(workload, record_allocations()),
            "the same with modules named": lambda: _recorded_by_module(workload),
            "the FLOP counter": lambda: _within(workload, FlopCounter().phase("step")),
        }
        taken: dict[str, list[float]] = {name: [] for name in probes}
        for _ in range(rounds + 1):
            for name, step in probes.items():
                start = time.perf_counter()
                step()
                taken[name].append(time.perf_counter() - start)
    plain = median(taken["no probe"][1:])
    print(f"{model}, batch {batch}, {len(allowed_cpus())} processors, {rounds} rounds")
    for name, seconds in taken.items():
        print(f"  {name:32} {median(seconds[1:]) / plain:6.2f} of a step")


def _within(workload: Workload, probe: AbstractContextManager[object]) -> None:
    with probe:
        workload.step()


def _hooked(workload: Workload) -> None:
    loss, _ = saved_in_forward(workload, workload.model)
    workload.backward(loss)
    workload.update()


def _recorded_by_module(workload: Workload) -> None:
    with mark_modules(workload.model), record_allocations():
        workload.step()


def _suite(name: str) -> None:
    from ondevice_bench.record.store import Store

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "ondevice_bench", "run", name, "--quiet", "--out", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - start
        with Store.open(Path(folder) / "results.sqlite") as store:
            (run,) = store.runs()
            records = store.records(run.id)
    inside = sum(record.seconds for record in records)
    timed = sum(
        sum(record.samples.get("step_seconds", []))
        + sum(record.samples.get("inference_seconds", []))
        for record in records
    )
    print(f"suite {name}: {wall:.0f} s of wall time, {len(records)} processes")
    print(f"  in processes that measure   {inside / wall:6.2f} of it")
    print(f"  in samples of the time pass {timed / wall:6.2f} of it")


if __name__ == "__main__":
    main()
