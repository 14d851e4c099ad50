"""The time and the memory that large suites and stores take.

python -m benchmarks.size [--cells 100000] [--records 100000] [--runs 2000]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ondevice_bench.record.model import Record, Run
from ondevice_bench.record.store import Store
from ondevice_bench.suite.cell import Cell
from tests.report import synthetic

BENCH = Path(sys.executable).parent / "bench"
SUITE = """\
schema: 1
title: many cells
models: [{{mcunet: {{batch: [1, 2]}}}}]
methods: [vanilla, checkpoint]
seeds: {seeds}
measure: [memory, time]
"""
# what `bench plan` does, without the workers that count a vanilla step
PLAN = """\
import sys
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.report.terminal.plan import plan_table, plan_total
from ondevice_bench.run.hosts.fake import FakeHost
from ondevice_bench.run.preview import preview
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from ondevice_bench.terminal import print_table
counts = {"activation_bytes": 1.0, "step_flops": 1.0, "peak_bytes": 1.0}
host = FakeHost(lambda _: Reply("ok", result=PassResult(metrics=counts)))
suite = load_suite(sys.argv[1])
previews = preview(host, suite, host.board, plan(suite, host.board), {})
print_table(plan_table(previews))
print(plan_total(previews))
"""
RECORDS_OF_A_CELL = 10  # of the synthetic run: rounds of the time pass, of memory, and one trace


def main() -> None:
    """Print the seconds and the peak of memory of each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=2_000)
    chosen = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = list(range(chosen.cells // 4))
        (folder / "many.yaml").write_text(SUITE.format(seeds=seeds), encoding="utf-8")
        _measured(
            f"plan of {chosen.cells:,} cells", [sys.executable, "-c", PLAN, "many.yaml"], folder
        )

        cells = synthetic.cells(seeds=tuple(range(chosen.records // RECORDS_OF_A_CELL // 6)))
        count = _store(folder / "bench-out" / "large", [(synthetic.run_of(), cells)])
        what = f"of {count:,} records of {len(cells):,} cells"
        _measured(f"CSV {what}", [BENCH, "report", "large", "--format", "csv"], folder)
        _measured(f"page {what}", [BENCH, "report", "large"], folder)

        runs = [
            (synthetic.run_of(f"r{n:05}", commit=f"{n:010x}"), synthetic.cells()[:1])
            for n in range(chosen.runs)
        ]
        count = _store(folder / "bench-out" / "long", runs)
        what = f"of {chosen.runs:,} runs with {count:,} records"
        _measured(f"history {what}", [BENCH, "history", "long"], folder)


def _store(folder: Path, runs: Iterable[tuple[Run, Sequence[Cell]]]) -> int:
    """Fill a store with synthetic runs; the number of its records."""
    folder.mkdir(parents=True)
    count = 0
    with Store.create(folder / "results.sqlite") as store:
        for run, cells in runs:
            records: list[Record] = synthetic.records(list(cells), run.id)
            store.merge(run, synthetic.planned(list(cells)), records)
            count += len(records)
    return count


def _measured(what: str, command: Sequence[str | Path], folder: Path) -> None:
    began = time.perf_counter()
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    ended = "" if status == 0 else f", ended with {os.waitstatus_to_exitcode(status)}"
    cpu = used.ru_utime + used.ru_stime
    peak = used.ru_maxrss / 1024
    print(f"{what}: {seconds:.1f} s ({cpu:.1f} s of a processor), at most {peak:.0f} MiB{ended}")


if __name__ == "__main__":
    main()
