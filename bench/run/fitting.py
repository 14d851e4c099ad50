"""The largest batch whose step fits a board, by exact peaks of tensors without content."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.data.batch import BatchStore, NoBatch
from bench.hardware.state import allowed_cpus
from bench.run.job import Reply
from bench.run.jobs import JobMaker
from bench.run.launch import PassLauncher, SpawnLauncher, ZygoteLauncher, worker_environment
from bench.suite.cell import Cell
from bench.suite.fit import Fit
from bench.suite.plan import PlannedCell
from bench.suite.suite import Suite

LARGEST = 1 << 16
TIMEOUT = 1800.0


@dataclass(frozen=True)
class _Step:
    peak: int
    flops: float


class Unfit(Exception):
    """Nothing can be said of the cell; the text says why."""


def fits(
    suite: Suite,
    plan: Sequence[PlannedCell],
    limit: int,
    known: Mapping[str, float],
    *,
    confirm: bool = False,
) -> tuple[Fit, ...]:
    """Every cell of the plan: those known to be fastest first, then by FLOPs of an example."""
    with _asked(suite, limit) as (ask, run):
        found = [_fit(item, limit, ask, known) for item in plan]
        if confirm:
            cells = {item.cell.id: item.cell for item in plan}
            found = [
                _confirmed(fit, cells[item.cell.id], run) if fit.batch else fit
                for fit, item in zip(found, plan, strict=True)
            ]
    return tuple(sorted(found, key=_order))


def seedless(cell: Cell) -> str:
    """The workload whatever its batch and seed: what a known time is known of."""
    return replace(cell, batch=0, seed=0).fingerprint


def _order(fit: Fit) -> tuple[bool, bool, float]:
    known = fit.example_seconds
    return fit.batch is None, known is None, known if known is not None else fit.example_flops or 0


def _fit(
    item: PlannedCell, limit: int, ask: Callable[[Cell], _Step], known: Mapping[str, float]
) -> Fit:
    cell = item.cell
    name = cell.id.split("/")[1]
    if item.state == "skipped":
        return Fit(name, reason=item.reason)
    try:
        batch, step, beyond = largest(lambda size: ask(replace(cell, batch=size)), limit)
    except Unfit as error:
        return Fit(name, reason=str(error))
    return Fit(
        name,
        batch,
        step.peak,
        None if beyond is None else beyond.peak,
        step.flops / batch,
        known.get(seedless(cell)),
    )


def largest(ask: Callable[[int], _Step], limit: int) -> tuple[int, _Step, _Step | None]:
    """The largest batch within the limit, its step, and the step of one example more.

    Peaks grow in straight pieces, so each guess follows the line through what is known.
    """
    low, fits_low = 1, ask(1)
    if fits_low.peak > limit:
        raise Unfit(f"one example needs {fits_low.peak / 2**20:.2f} MiB")
    high, over = 2, ask(2)
    while over.peak <= limit:
        low, fits_low, before = high, over, (low, fits_low)
        if low >= LARGEST:
            return low, fits_low, None
        rise = max(1.0, (fits_low.peak - before[1].peak) / (low - before[0]))
        high = min(LARGEST, max(low + 1, int(low + (limit - fits_low.peak) / rise) + 1))
        over = ask(high)
    while high - low > 1:
        share = (limit - fits_low.peak) / (over.peak - fits_low.peak)
        guess = min(high - 1, max(low + 1, low + int(share * (high - low))))
        step = ask(guess)
        if step.peak <= limit:
            low, fits_low = guess, step
            if guess + 1 < high:  # most often the edge itself
                edge = ask(guess + 1)
                if edge.peak > limit:
                    return low, fits_low, edge
                low, fits_low = guess + 1, edge
        else:
            high, over = guess, step
    return low, fits_low, over


def _confirmed(fit: Fit, cell: Cell, run: Callable[[Cell], Reply]) -> Fit:
    """The memory pass at the edge and beyond it, under the cap."""
    assert fit.batch is not None
    said = {}
    for size in (fit.batch, fit.batch + 1):
        reply = run(replace(cell, batch=size))
        said[str(size)] = ": ".join(filter(None, (reply.status, reply.reason)))
    return replace(fit, confirmed=said)


@contextmanager
def _asked(
    suite: Suite, limit: int
) -> Iterator[tuple[Callable[[Cell], _Step], Callable[[Cell], Reply]]]:
    """Ways to ask for a cell's exact peak, and to run its step under the cap."""
    environment = worker_environment(len(allowed_cpus()))
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        ZygoteLauncher(environment) as zygote,
    ):
        launcher = PassLauncher(SpawnLauncher(environment), zygote)
        sources = (suite.sampling, suite.data, suite.weight_sources)
        shapes = JobMaker(None, *sources)
        real = JobMaker(BatchStore(Path(folder)), *sources, memory_cap=limit)

        def ask(cell: Cell) -> _Step:
            reply = launcher.launch(shapes.job(cell, "shapes"), TIMEOUT, lambda: None).reply
            if reply.status != "ok":
                raise Unfit(reply.reason)
            counted = reply.findings.metrics
            return _Step(int(counted["peak_bytes"]), float(counted["step_flops"]))

        def run(cell: Cell) -> Reply:
            try:
                job = real.job(cell, "memory")
            except NoBatch as error:
                return Reply("failed", reason=str(error))
            return launcher.launch(job, TIMEOUT, lambda: None).reply

        yield ask, run
