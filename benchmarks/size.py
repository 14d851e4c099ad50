"""The time and the memory that large suites and stores take.

python -m benchmarks.size [--cells 100000] [--records 100000] [--runs 2000] [--copies-of STORE]

The stores hold a run that is made by hand. With --copies-of they hold copies of the latest run of a
store: its cells with other seeds, or its first cell in many runs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

from ondevice_bench.analyse.resolve_run import stored_content
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import Store
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
from ondevice_bench.report.terminal.plan import plan_tables, plan_total
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.preview import preview
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from ondevice_bench.terminal import print_tables
counts = {"activation_bytes": 1.0, "step_flops": 1.0, "peak_bytes": 1.0}
host = FakeHost(lambda _: Reply("ok", result=PassResult(metrics=counts)))
suite = load_suite(sys.argv[1])
previews = preview(host, suite, host.board, plan(suite, host.board), {})
print_tables(*plan_tables(previews))
print(plan_total(previews))
"""


def main() -> None:
    """Print the seconds and the peak of memory of each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--copies-of", metavar="STORE")
    chosen = parser.parse_args()
    run = _synthetic() if chosen.copies_of is None else stored_content(chosen.copies_of)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = list(range(chosen.cells // 4))
        (folder / "many.yaml").write_text(SUITE.format(seeds=seeds), encoding="utf-8")
        _measured(
            f"plan of {chosen.cells:,} cells", [sys.executable, "-c", PLAN, "many.yaml"], folder
        )

        large = many_cells(run, chosen.records)
        store(folder / "bench-out" / "large", [large])
        what = f"of {len(large.records):,} records of {len(large.cells):,} cells"
        _measured(f"CSV {what}", [BENCH, "report", "large", "--format", "csv"], folder)
        _measured(f"page {what}", [BENCH, "report", "large"], folder)

        store(folder / "bench-out" / "long", islice(many_runs(run), chosen.runs))
        _measured(f"history of {chosen.runs:,} runs", [BENCH, "history", "long"], folder)


def many_cells(content: RunContent, most: int) -> RunContent:
    """The run with the copies of its cells that have so many records, each with other seeds."""
    apart = 1 + max(item.cell.seed for item in content.cells)
    copies = [
        _with_seeds(content, number * apart) for number in range(most // len(content.records))
    ]
    return RunContent(
        content.run,
        tuple(item for each in copies for item in each.cells),
        tuple(record for each in copies for record in each.records),
    )


def many_runs(content: RunContent) -> Iterator[RunContent]:
    """Runs of the first cell that was measured, without end."""
    first = content.records[0].key.cell
    cells = tuple(item for item in content.cells if item.cell.id == first)
    records = tuple(record for record in content.records if record.key.cell == first)
    for number in count():
        run = replace(content.run, id=f"r{number:05}", commit=f"{number:010x}")
        yield RunContent(run, cells, tuple(replace(each, run=run.id) for each in records))


def store(folder: Path, contents: Iterable[RunContent]) -> None:
    """Fill a store with these runs."""
    folder.mkdir(parents=True)
    with Store.create(folder / "results.sqlite") as into:
        for each in contents:
            into.merge(each.run, each.cells, each.records)


def _synthetic() -> RunContent:
    cells = synthetic.cells()
    return RunContent(
        synthetic.run_of(), tuple(synthetic.planned(cells)), tuple(synthetic.records(cells))
    )


def _with_seeds(content: RunContent, more: int) -> RunContent:
    def moved(name: str) -> str:
        rest, _, seed = name.rpartition("/s")
        return f"{rest}/s{int(seed) + more}"

    cells = tuple(
        replace(item, cell=replace(item.cell, id=moved(item.cell.id), seed=item.cell.seed + more))
        for item in content.cells
    )
    records = tuple(
        replace(record, key=replace(record.key, cell=moved(record.key.cell)))
        for record in content.records
    )
    return RunContent(content.run, cells, records)


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
