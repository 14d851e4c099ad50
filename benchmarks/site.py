"""The cost of a published history: seconds, peak memory and size, for all runs and for one more.

The runs are synthetic: one suite on one board, in one store. One more run comes as a bundle, and
then another one in the store.

    python -m benchmarks.site [--runs 200 2000] [--cells 24]
"""

import argparse
import dataclasses
import random
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ondevice_bench.record import bundle
from ondevice_bench.record.model import Record
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import Store
from ondevice_bench.suite.cell import Cell
from tests.report import synthetic

NOISE = 0.01
SLOWER, SLOWER_FROM = 1.05, 0.6  # all cells become slower by this factor, at this share of the runs
PUBLISH = """
import resource, sys, time
began = time.perf_counter()
from pathlib import Path
from ondevice_bench.site.publish import publish
done = publish([Path(sys.argv[1])], Path(sys.argv[2]), lambda _: {})
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
      done.written)
"""


def main() -> None:
    """Print the lines of each number of runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--cells", type=int, default=24)
    arguments = parser.parse_args()
    for count in arguments.runs:
        with tempfile.TemporaryDirectory() as name:
            _measure(Path(name), count, arguments.cells)


def _measure(folder: Path, count: int, cells: int) -> None:
    store, site, one = folder / "results.sqlite", folder / "site", folder / "one.bundle"
    makes = _Maker(cells, count)
    with Store.create(store) as made:
        for number in range(count):
            content = makes.run(number)
            made.add_finished(content.run, content.cells, content.records)
    bundle.write([makes.run(count)], one)
    _published(f"{count} runs", store, site)
    pages = [path.stat().st_size for path in site.rglob("*.html")]
    whole = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    print(
        f"  {len(pages)} pages, the largest {max(pages) / 1e6:.2f} MB; "
        f"{whole / 1e6:.0f} MB in all, of which {sum(pages) / 1e6:.0f} MB are pages",
        flush=True,
    )
    _published("  one more, in a bundle", one, site)
    with Store.create(store) as made:
        content = makes.run(count + 1)
        made.add_finished(content.run, content.cells, content.records)
    _published("  one more, in the store", store, site)
    _published("  nothing new", store, site)


def _published(what: str, source: Path, site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PUBLISH, source, site], capture_output=True, text=True, check=True
    )
    seconds, peak, written = map(float, done.stdout.split())
    print(f"{what}: {seconds:.2f} s, peak {peak:.0f} MiB, {written:.0f} pages written", flush=True)


class _Maker:
    """Makes runs with the same cells. No two runs have the same times."""

    def __init__(self, cells: int, runs: int) -> None:
        self.cells = _cells(cells)
        self.records = synthetic.records(self.cells)
        self.slower_from = SLOWER_FROM * runs

    def run(self, number: int) -> RunContent:
        """The run of this number, an hour after the one before it."""
        dice = random.Random(number)
        pace = dice.lognormvariate(0, NOISE) * (SLOWER if number >= self.slower_from else 1)
        when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
        run = synthetic.run_of(
            f"run-{number:05}",
            commit=f"{dice.getrandbits(40):010x}",
            created=when.isoformat(),
            finished=(when + timedelta(minutes=9)).isoformat(),
        )
        records = tuple(_paced(record, run.id, pace, dice) for record in self.records)
        return RunContent(run, tuple(synthetic.planned(self.cells)), records)


def _cells(count: int) -> list[Cell]:
    """As many cells as asked, six methods for each batch."""
    batches = -(-count // len(synthetic.METHODS))
    return [cell for batch in range(batches) for cell in synthetic.cells(8 * (batch + 1))][:count]


def _paced(record: Record, run: str, pace: float, dice: random.Random) -> Record:
    """The record for another run: with other times and memory, but the same exact metrics."""
    if record.key.pass_name not in ("time", "memory"):
        return dataclasses.replace(record, run=run)
    share = pace * dice.lognormvariate(0, NOISE / 2)
    return dataclasses.replace(
        record,
        run=run,
        metrics={name: value * share for name, value in record.metrics.items()},
        samples={name: [v * share for v in each] for name, each in record.samples.items()},
    )


if __name__ == "__main__":
    main()
