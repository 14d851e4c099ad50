"""The largest batch whose step fits a board, by peaks of tensors without content."""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ondevice_bench import units
from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.protocol.job import Reply
from ondevice_bench.run.hosts.host import Host
from ondevice_bench.run.queries.jobs import JobMaker
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.fit import Fit
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.suite import Suite

LARGEST = 1 << 16
PATIENCE = 12  # guesses by lines, before intervals are halved
TIMEOUT = 1800.0


# a pass that reads no batch, over a cell: its figures
Ask = Callable[[str, Cell], Mapping[str, float]]


class Unfit(Exception):
    """Nothing can be said of the cell; the text says why."""


def fits(
    host: Host,
    suite: Suite,
    plan: Sequence[PlannedCell],
    limit: int,
    known: Mapping[str, float],
    *,
    confirm: bool = False,
) -> tuple[Fit, ...]:
    """Every cell of the plan: those known to be fastest first, then by FLOPs of an example."""
    with _asked(host, suite, limit) as (ask, run):
        found = [_fit(item, limit, ask, known) for item in plan]
        if confirm:
            cells = {item.cell.id: item.cell for item in plan}
            found = [
                _confirmed(fit, cells[item.cell.id], run) if fit.batch else fit
                for fit, item in zip(found, plan, strict=True)
            ]
    return tuple(sorted(found, key=_order))


def _order(fit: Fit) -> tuple[bool, bool, float]:
    known = fit.example_seconds
    return fit.batch is None, known is None, known if known is not None else fit.example_flops or 0


def _fit(item: PlannedCell, limit: int, ask: Ask, known: Mapping[str, float]) -> Fit:
    cell = item.cell
    name = cell.id.split("/")[1]
    if item.state == "skipped":
        return Fit(name, reason=item.reason)
    try:
        one = ask("shapes", cell)
        rest = one["resident_bytes"] - one["batch_bytes"]
        rise = one["activation_bytes"] + one["batch_bytes"]
        batch, found, beyond = largest(
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
        found,
        beyond,
        ask("shapes", replace(cell, batch=batch))["step_flops"] / batch,
        known.get(cell.of_any_size),
    )


def largest(
    peak: Callable[[int], int], limit: int, rise: float, rest: float
) -> tuple[int, int, int | None]:
    """The largest batch within the limit, its peak, and the peak of one example more.

    A step holds at least `rest + rise * batch`. Peaks grow in straight pieces, so each guess
    follows the line through the last two answers.
    """
    known = {1: peak(1)}
    if known[1] > limit:
        raise Unfit(f"one example needs {units.mib(known[1])}")
    low, high = 1, LARGEST + 1
    guess, before = int((limit - rest) / rise), None
    while high - low > 1:
        if len(known) > PATIENCE:
            guess = (low + high) // 2
        guess = min(high - 1, max(low + 1, guess))
        found = known[guess] = peak(guess)
        low, high = (guess, high) if found <= limit else (low, guess)
        slope = (
            (found - rest) / guess if before is None else (found - known[before]) / (guess - before)
        )
        before, guess = guess, guess + math.floor((limit - found) / max(1.0, slope))
    return low, known[low], known.get(high)


def _confirmed(fit: Fit, cell: Cell, run: Callable[[Cell], Reply]) -> Fit:
    """What the memory pass says at the edge, under the cap."""
    assert fit.batch is not None
    found = edge(lambda size: run(replace(cell, batch=size)), fit.batch)
    said = {str(size): ": ".join(filter(None, (r.status, r.reason))) for size, r in found.items()}
    return replace(fit, confirmed=said)


def edge(run: Callable[[int], Reply], batch: int) -> dict[int, Reply]:
    """What happened at `batch` and at one example more.

    Where `batch` is too large: at the largest that was not and the smallest that was, a twentieth
    of it or one example apart.
    """
    said = {batch: run(batch)}
    if said[batch].status == "ok":
        return said | {batch + 1: run(batch + 1)}
    low, high = 0, batch
    while said[high].status == "oom" and high - low > max(1, batch // 20):
        middle = (low + high) // 2
        said[middle] = run(middle)
        low, high = (middle, high) if said[middle].status == "ok" else (low, middle)
    return {size: said[size] for size in (low, high) if size in said}


@contextmanager
def _asked(host: Host, suite: Suite, limit: int) -> Iterator[tuple[Ask, Callable[[Cell], Reply]]]:
    """Ways to ask for a cell's exact peak, and to run its step under the cap."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sources = (suite.sampling, suite.data, suite.weight_sources)
        shapes = JobMaker(host, None, *sources)
        real = JobMaker(host, BatchStore(Path(folder)), *sources, memory_cap=limit)

        def ask(pass_name: str, cell: Cell) -> Mapping[str, float]:
            reply = host.run(shapes.job(cell, pass_name), TIMEOUT).reply
            if reply.status != "ok":
                raise Unfit(reply.reason)
            return reply.findings.metrics

        def run(cell: Cell) -> Reply:
            try:
                job = real.job(cell, "memory")
            except NoBatch as error:
                return Reply("failed", reason=str(error))
            return host.run(job, TIMEOUT).reply

        yield ask, run
