"""What a report costs: seconds to draw it, peak memory, file size, seconds until it is open.

Results made by hand, every kind of figure for each cell. Opening is measured in headless Chromium,
if there is one: until the first screen is complete, and until the last figure of the chosen
workload is drawn. The page waits a quarter of a second between the two.

    python -m benchmarks.report [--cells 1000 2000 20000]
"""

import argparse
import dataclasses
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ondevice_bench.record.model import Record
from ondevice_bench.record.store import Store
from tests.report import synthetic

DRAWN = "[...document.querySelectorAll('.plot')].every(p => p.hidden || p._fullData)"
FIRST = (
    "[...document.querySelectorAll('.plot')].every(p => p.hidden || p._fullData"
    " || p.getBoundingClientRect().top > innerHeight)"
)
DRAW = """
import resource, sys, time
from pathlib import Path
from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.record.store import Store
from ondevice_bench.report.page import write_report
began = time.perf_counter()
with Store.open(Path(sys.argv[1])) as store:
    summary = summarise(store, store.runs()[0])
write_report([summary], Path(sys.argv[2]))
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[1000, 2000, 20000])
    for count in parser.parse_args().cells:
        with tempfile.TemporaryDirectory() as name:
            store, page = Path(name) / "results.sqlite", Path(name) / "report.html"
            records = _fill(store, count)
            done = subprocess.run(
                [sys.executable, "-c", DRAW, store, page],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds, peak = map(float, done.stdout.split())
            size = page.stat().st_size / 2**20
            opened = _opened(page)
            print(
                f"{count} cells, {records} records: drawn in {seconds:.1f} s, peak {peak:.0f} MiB, "
                f"{size:.1f} MiB, {opened}",
                flush=True,
            )


def _fill(path: Path, count: int) -> int:
    """As many cells as asked, six methods for each workload, and their records.

    No two workloads have a number in common: a page stores equal numbers only once.
    """
    workloads = -(-count // len(synthetic.METHODS))
    cells = [
        dataclasses.replace(cell, model=f"net{place}", id=cell.id.replace("mcunet", f"net{place}"))
        for place in range(workloads)
        for cell in synthetic.cells()
    ][:count]
    count_of_methods = len(synthetic.METHODS)
    factors = {cell.id: 1 + place // count_of_methods / 1000 for place, cell in enumerate(cells)}
    records = [_scaled(record, factors[record.key.cell]) for record in synthetic.records(cells)]
    with Store.create(path) as store:
        store.add_run(synthetic.run_of(), synthetic.planned(cells))
        for record in records:
            store.add_record(record)
    return len(records)


def _scaled(record: Record, factor: float) -> Record:
    return dataclasses.replace(
        record,
        metrics={
            name: min(value * factor, 1.0) if "cosine" in name else value * factor
            for name, value in record.metrics.items()
        },
        samples={name: [v * factor for v in values] for name, values in record.samples.items()},
    )


def _opened(page: Path) -> str:
    chromium = shutil.which("chromium")
    if chromium is None:
        return "not opened: no chromium here"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page()
        began = time.perf_counter()
        tab.goto(page.as_uri())
        loaded = time.perf_counter() - began
        complete = []
        for condition in (FIRST, DRAWN):
            while not tab.evaluate(condition):  # the policy of the page allows no script that waits
                tab.wait_for_timeout(20)
            complete.append(time.perf_counter() - began)
        browser.close()
    first, drawn = complete
    return f"open in {loaded:.1f} s, first screen in {first:.1f} s, all figures in {drawn:.1f} s"


if __name__ == "__main__":
    main()
