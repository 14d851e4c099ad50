"""The largest batch whose step fits a board, by peaks of tensors without content."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ondevice_bench import units
from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.protocol.job import Reply
from ondevice_bench.run.hosts.host import Host
from ondevice_bench.run.queries.jobs import JobMaker
from ondevice_bench.run.work_folder import work_folder
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.fit import Fit
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.suite import Suite

LARGEST = 1 << 16
PATIENCE = 12  # guesses by lines, before intervals are halved
TIMEOUT = 1800.0


# asks a pass that reads no batch about a cell; the answer is the pass's metrics
Ask = Callable[[str, Cell], Mapping[str, float]]
# runs the memory pass of a cell under the limit
Run = Callable[[Cell], Reply]


class Unfit(Exception):
    """No batch of the cell fits, or none can be computed; the text says why."""


def fits(
    host: Host,
    suite: Suite,
    plan: Sequence[PlannedCell],
    limit: int,
    example_seconds: Mapping[str, float],
    *,
    confirm: bool = False,
) -> tuple[Fit, ...]:
    """The largest batch of every cell of the plan.

    Cells with a measured time per example come first, the fastest before the others. The rest come
    by FLOPs of an example.
    """
    with _questions(host, suite, limit) as (ask, run):
        results = [_fit(item, limit, ask, example_seconds) for item in plan]
        if confirm:
            cells = {item.cell.id: item.cell for item in plan}
            results = [
                _confirmed(fit, cells[item.cell.id], run) if fit.batch else fit
                for fit, item in zip(results, plan, strict=True)
            ]
    return tuple(sorted(results, key=_order))


def _order(fit: Fit) -> tuple[bool, bool, float]:
    seconds = fit.example_seconds
    cost = (fit.example_flops or 0) if seconds is None else seconds
    return fit.batch is None, seconds is None, cost


def _fit(item: PlannedCell, limit: int, ask: Ask, example_seconds: Mapping[str, float]) -> Fit:
    cell = item.cell
    name = cell.id.split("/")[1]
    if item.state == "skipped":
        return Fit(name, reason=item.reason)
    try:
        one = ask("shapes", cell)
        rest = one["resident_bytes"] - one["batch_bytes"]
        rise = one["activation_bytes"] + one["batch_bytes"]
        batch, peak, peak_beyond = largest(
            lambda size: int(ask("live_peak", replace(cell, batch=size))["peak_bytes"]),
            limit,
            rise,
            rest,
        )
    except Unfit as error:
        return Fit(name, reason=str(error))
    return Fit(
        name,
        batch,
        peak,
        peak_beyond,
        ask("shapes", replace(cell, batch=batch))["step_flops"] / batch,
        example_seconds.get(cell.of_any_size),
    )


def largest(
    peak_of: Callable[[int], int], limit: int, rise: float, rest: float
) -> tuple[int, int, int | None]:
    """The largest batch within the limit, its peak, and the peak of the next batch.

    A step holds at least `rest + rise * batch`. Peaks grow in straight pieces, so each guess
    follows the line through the last two answers.
    """
    peaks = {1: peak_of(1)}
    if peaks[1] > limit:
        raise Unfit(f"one example needs {units.mib(peaks[1])}")
    low, high = 1, LARGEST + 1
    guess, before = int((limit - rest) / rise), None
    while high - low > 1:
        if len(peaks) > PATIENCE:
            guess = (low + high) // 2
        guess = min(high - 1, max(low + 1, guess))
        peak = peaks[guess] = peak_of(guess)
        low, high = (guess, high) if peak <= limit else (low, guess)
        slope = (
            (peak - rest) / guess if before is None else (peak - peaks[before]) / (guess - before)
        )
        before, guess = guess, guess + math.floor((limit - peak) / max(1.0, slope))
    return low, peaks[low], peaks.get(high)


def _confirmed(fit: Fit, cell: Cell, run: Run) -> Fit:
    """The fit with the status of the memory pass at the largest batch, under the cap."""
    assert fit.batch is not None
    replies = edge(lambda size: run(replace(cell, batch=size)), fit.batch)
    texts = {str(n): ": ".join(filter(None, (r.status, r.reason))) for n, r in replies.items()}
    return replace(fit, confirmed=texts)


def edge(run: Callable[[int], Reply], batch: int) -> dict[int, Reply]:
    """What happened at `batch` and at the next one.

    Where `batch` is too large: at the largest that ran and the smallest that did not. They are a
    twentieth of the batch or one example apart.
    """
    replies = {batch: run(batch)}
    if replies[batch].status == "ok":
        return replies | {batch + 1: run(batch + 1)}
    low, high = 0, batch
    while replies[high].status == "oom" and high - low > max(1, batch // 20):
        middle = (low + high) // 2
        replies[middle] = run(middle)
        low, high = (middle, high) if replies[middle].status == "ok" else (low, middle)
    return {size: replies[size] for size in (low, high) if size in replies}


@contextmanager
def _questions(host: Host, suite: Suite, limit: int) -> Iterator[tuple[Ask, Run]]:
    """Ask for the exact peak of a cell, or run its step under the cap."""
    with work_folder("batches") as folder:
        sources = (suite.sampling, suite.data, suite.weight_sources)
        shapes = JobMaker(host, None, *sources)
        real = JobMaker(host, BatchStore(folder), *sources, memory_cap=limit)

        def ask(pass_name: str, cell: Cell) -> Mapping[str, float]:
            reply = host.run(shapes.job(cell, pass_name), TIMEOUT).reply
            if reply.status != "ok":
                raise Unfit(reply.reason)
            return reply.result.metrics

        def run(cell: Cell) -> Reply:
            try:
                job = real.job(cell, "memory")
            except NoBatch as error:
                return Reply("failed", reason=str(error))
            return host.run(job, TIMEOUT).reply

        yield ask, run
