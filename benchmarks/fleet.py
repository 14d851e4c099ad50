"""A fleet of simulated boards: 50 boards and 10,000 cells by default.

The boards only wait. Durations, results, lost connections, reboots and lost boards are random. The
program itself is real: dask, lanes, desk and store. The time is scaled, so that the work takes
about 80 s. It prints the wall time, the share of the boards' time that was work, and the memory of
this process as the records grow.

    python benchmarks/fleet.py [--boards 50] [--cells 10000] [--seconds 80]
"""

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

from ondevice_bench.fleet.campaign import Campaign

sys.path.append(str(Path(__file__).parents[1]))
from tests.fleet.simulation import METHODS, Rules, simulate, write_suite

GOAL = 0.9
MEAN = 60.0  # simulated seconds for a cell


def main() -> int:
    """Print the figures; exit status 1 if a cell is missing or the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boards", type=int, default=50)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=80.0)
    arguments = parser.parse_args()
    boards, cells = arguments.boards, arguments.cells
    rules = Rules(
        scale=arguments.seconds * boards / cells / MEAN,
        mean=MEAN,
        losing=0.002,
        reboots=0.002,
        deaths={1: cells // boards // 3, 2: cells // boards // 2},
    )
    with tempfile.TemporaryDirectory() as folder, Memory() as memory:
        suite = write_suite(Path(folder), cells // len(METHODS))
        found, (records,) = simulate(suite, Path(folder) / "out", boards, rules)
    of_cells = [record for record in records if record.key.pass_name != "family"]
    once = set(Counter(record.key for record in of_cells).values()) == {1}
    share = found.efficiency(of_cells)
    print(f"{boards} boards, {len(of_cells)} cells: {found.wall:.1f} s")
    print(f"every cell once: {once}; results: {dict(Counter(r.status for r in of_cells))}")
    print(f"work, as a share of the boards' time: {share:.1%} (goal {GOAL:.0%})")
    print("records, MiB of this process:")
    for count, mib in memory.readings():
        print(f"  {count:6} {mib:8.0f}")
    return 0 if once and len(of_cells) == cells and share >= GOAL else 1


class Memory:
    """Reads the resident memory twice a second, together with the number of records."""

    def __init__(self) -> None:
        self._found: list[tuple[int, float]] = []
        self._records = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._add = Campaign.add

    def __enter__(self) -> Self:
        def add(campaign: Campaign, record: object) -> None:
            self._records += 1
            self._add(campaign, record)  # type: ignore[arg-type]  # passed on as it is

        Campaign.add = add  # type: ignore[method-assign]  # to count the records
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        Campaign.add = self._add  # type: ignore[method-assign]  # as before
        self._is_over.set()
        self._thread.join()

    def readings(self) -> list[tuple[int, float]]:
        """About ten of the readings."""
        step = max(1, len(self._found) // 10)
        return self._found[::step]

    def _look(self) -> None:
        while not self._is_over.wait(0.5):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self._found.append((self._records, pages * 4096 / (1 << 20)))


if __name__ == "__main__":
    began = time.monotonic()
    status = main()
    print(f"whole: {time.monotonic() - began:.0f} s")
    sys.exit(status)
