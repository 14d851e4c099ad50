"""The speed of a board, from earlier runs."""

from collections.abc import Collection, Mapping
from statistics import median
from typing import Any

from ondevice_bench.analyse.find_runs import store_paths
from ondevice_bench.record.store import Store


def seconds_of_an_example(boards: Collection[str]) -> Mapping[str, float]:
    """The median step time of one example on these boards, by workload of any batch and seed."""
    seconds_by_workload: dict[str, list[float]] = {}
    for path in store_paths():
        with Store.open(path) as store:
            for run in store.runs():
                if run.profile not in boards:
                    continue
                cells = {item.cell.id: item.cell for item in store.cells(run.id)}
                for record in store.records(run.id):
                    seconds = record.metrics.get("step_seconds")
                    cell = cells.get(record.key.cell)
                    if seconds is not None and cell is not None:
                        seconds_by_workload.setdefault(cell.of_any_size, []).append(
                            seconds / cell.batch
                        )
    return {workload: median(values) for workload, values in seconds_by_workload.items()}


def seconds_of_passes(machine: Mapping[str, Any]) -> Mapping[tuple[str, str], float]:
    """The seconds of each pass over each workload on this machine, by fingerprint and pass."""
    seconds: dict[tuple[str, str], float] = {}
    for path in store_paths():
        with Store.open(path) as store:
            seconds |= store.seconds_by_fingerprint(machine)
    return seconds
