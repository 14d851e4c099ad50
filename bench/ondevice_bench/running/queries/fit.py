"""Whether a step fits a board, by peaks of tensors without content."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from ondevice_bench import units
from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.protocol.job import Reply
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.running.work_folder import work_folder
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.fit import LARGEST, Fit, in_order
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.suite import Suite

PATIENCE = 12  # guesses by lines, before intervals are halved
TIMEOUT = 1800.0
OF_TORCH = "runtime_allocated_bytes"
MOST_OF_TORCH = 512 << 20  # bytes; to measure them, a small batch may allocate as much more


# asks a pass that reads no batch about a cell; the answer is the pass's metrics
Ask = Callable[[str, Cell], Mapping[str, float]]
# runs the memory pass of a cell under the limit
Run = Callable[[Cell], Reply]
# gets a text about each cell before it is computed
Tell = Callable[[str], None]


class Unfit(Exception):
    """No batch of the cell fits, or none can be computed; the text says why."""


def nobody(text: str) -> None:
    """Drop the text."""


def fits(
    host: Host,
    suite: Suite,
    plan: Sequence[PlannedCell],
    limit: int,
    example_seconds: Mapping[str, float],
    *,
    asked: int | None = None,
    confirm: bool = False,
    tell: Tell = nobody,
) -> tuple[Fit, ...]:
    """The largest batch of every cell of the plan, or whether the batch fits that is asked for."""
    results = []
    with _questions(host, suite, limit) as (ask, run):
        for number, item in enumerate(plan, 1):
            model, method, *_ = item.cell.id.split("/")
            place = f"{number}/{len(plan)} · {model} · {method}"
            tell(place)
            fit = Fit(model, method)
            if item.state == "skipped":
                results.append(replace(fit, reason=item.reason))
                continue
            fit = _fit(fit, item.cell, limit, ask, asked)
            fit = replace(fit, example_seconds=example_seconds.get(item.cell.of_any_size))
            if confirm and fit.fits:
                tell(f"{place} · runs under the limit")
                fit = _confirmed(fit, item.cell, run, only=asked)
            results.append(fit)
    return in_order(tuple(results), asked)


def _fit(fit: Fit, cell: Cell, limit: int, ask: Ask, asked: int | None) -> Fit:
    peaks: dict[int, int] = {}
    counts: dict[int, Mapping[str, float]] = {}

    def counts_of(batch: int) -> Mapping[str, float]:
        if batch not in counts:
            counts[batch] = ask("shapes", replace(cell, batch=batch))
            peaks[batch] = int(counts[batch]["peak_bytes"])
        return counts[batch]

    def peak_of(batch: int) -> int:
        if batch not in peaks:
            peaks[batch] = int(ask("live_peak", replace(cell, batch=batch))["peak_bytes"])
        return peaks[batch]

    try:
        if asked is None:
            batch = _largest(counts_of(1), limit, peak_of)
        else:
            batch = asked
            counts_of(asked)
            with suppress(Unfit):  # for example, the network takes no single example
                peak_of(1)  # a second point for the curve
        example = counts_of(batch)
    except Unfit as error:
        return replace(fit, reason=str(error), points=_points(peaks))
    return replace(
        fit,
        batch=batch,
        fits=peaks[batch] <= limit,
        peak_bytes=peaks[batch],
        next_bytes=peaks.get(batch + 1),
        example_flops=example["step_flops"] / batch,
        points=_points(peaks),
    )


def _largest(one: Mapping[str, float], limit: int, peak_of: Callable[[int], int]) -> int:
    """The largest batch within the limit; `one` are the counts of a single example."""
    rest = one["resident_bytes"] - one["batch_bytes"]
    rise = one["activation_bytes"] + one["batch_bytes"]
    return largest(peak_of, limit, rise, rest)[0]


def _points(peaks: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(peaks.items()))


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


def _confirmed(fit: Fit, cell: Cell, run: Run, *, only: int | None) -> Fit:
    """The fit with the status of the memory pass under the cap, at the edge or at one batch."""
    assert fit.batch is not None

    def run_at(batch: int) -> Reply:
        return run(replace(cell, batch=batch))

    replies = edge(run_at, fit.batch) if only is None else {only: run_at(only)}
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
    """Ask for the exact peak of a cell, or run its step under the cap.

    The cap counts what torch itself allocates. The reserve has room for that already, so a process
    may allocate as much more: what a small batch of the cell reports.
    """
    of_torch: dict[str, int] = {}  # by allocator
    tried: set[str] = set()  # what a small batch was asked of, perhaps in vain
    with work_folder("batches") as folder:
        sources = (suite.sampling, suite.data, suite.weight_sources)
        shapes = JobMaker(host, None, *sources)
        real = JobMaker(host, BatchStore(folder), *sources)

        def ask(pass_name: str, cell: Cell) -> Mapping[str, float]:
            reply = shapes.reply(shapes.job(replace(cell, allocator=""), pass_name), TIMEOUT)
            if reply.status != "ok":
                raise Unfit(reply.reason)
            return reply.result.metrics

        def stepped(cell: Cell, cap: int) -> Reply:
            try:
                job = real.job(cell, "memory")
            except NoBatch as error:
                return Reply("failed", reason=str(error))
            return real.reply(replace(job, memory_cap=cap), TIMEOUT)

        def run(cell: Cell) -> Reply:
            if cell.allocator not in of_torch and cell.of_any_size not in tried:
                tried.add(cell.of_any_size)
                small = replace(cell, batch=min(2, cell.batch))  # some cannot train on one example
                found = stepped(small, limit + MOST_OF_TORCH).result.metrics
                if OF_TORCH in found:
                    of_torch[cell.allocator] = int(found[OF_TORCH])
            return stepped(cell, limit + of_torch.get(cell.allocator, 0))

        yield ask, run
