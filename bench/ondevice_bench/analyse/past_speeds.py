"""The speed of a board, from earlier runs."""

from collections.abc import Collection, Mapping
from functools import partial
from statistics import median
from typing import Any

from ondevice_bench.analyse.find_runs import from_each_store
from ondevice_bench.record.store import Store


def seconds_of_an_example(boards: Collection[str]) -> Mapping[str, float]:
    """The median step time of one example on these boards. A workload has any batch and seed.

    Times under emulation say nothing about a board, so they do not count.
    """
    seconds_by_workload: dict[str, list[float]] = {}
    for _, speeds in from_each_store(partial(_speeds, boards)):
        for workload, seconds in speeds:
            seconds_by_workload.setdefault(workload, []).append(seconds)
    return {workload: median(values) for workload, values in seconds_by_workload.items()}


def seconds_of_passes(machine: Mapping[str, Any]) -> Mapping[tuple[str, str], float]:
    """The seconds of each pass over each workload on this machine, by fingerprint and pass."""
    seconds: dict[tuple[str, str], float] = {}
    for _, found in from_each_store(lambda store: store.seconds_by_fingerprint(machine)):
        seconds |= found
    return seconds


def _speeds(boards: Collection[str], store: Store) -> list[tuple[str, float]]:
    """The workload (of any batch and seed) and the step time of one example, for each record."""
    speeds = []
    for run in store.runs():
        if run.profile not in boards or run.settings.get("emulated"):
            continue
        cells = {item.cell.id: item.cell for item in store.cells(run.id)}
        for record in store.records(run.id):
            seconds = record.metrics.get("step_seconds")
            cell = cells.get(record.key.cell)
            if seconds is not None and cell is not None:
                speeds.append((cell.of_any_size, seconds / cell.batch))
    return speeds
