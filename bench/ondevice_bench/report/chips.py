"""The context of the page in a few words: board, data, weights, rounds, and how calm it was."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ondevice_bench import units
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.analyse.usable_memory import usable_memory
from ondevice_bench.analyse.verdict import first
from ondevice_bench.passes import BY_NAME, rounds_of
from ondevice_bench.record.origin import NO_COMMIT
from ondevice_bench.report.calm import SPREAD, disturbed_cells, spread_of_steps, which
from ondevice_bench.report.history_text import short_commit


@dataclass(frozen=True)
class Chip:
    """One fact."""

    name: str
    text: str
    tone: Literal["plain", "good", "warning"] = "plain"


def chips(
    boards: Sequence[RunSummary], names: Sequence[str], workloads: Sequence[str]
) -> tuple[Chip, ...]:
    """The facts that a reader needs to trust the page. Several workloads have tabs.

    `boards` has a run of each board. The page is about the first one.
    """
    cells = [cell.planned.cell for one in boards for cell in one.cells]
    is_alone = len(boards) == 1
    named = list(zip(names, boards, strict=True))
    return (
        *(chip for name, one in named for chip in _board(one, name, is_alone=is_alone)),
        *([Chip("workload", workloads[0])] if len(workloads) == 1 else []),
        Chip("data", first(sorted({cell.data for cell in cells}))),
        Chip("weights", first(sorted({cell.weights for cell in cells}))),
        Chip("processes for each method", _of_each([(name, _rounds(one)) for name, one in named])),
        *([Chip("when", _when(boards[0]))] if is_alone else []),
        *(_calm(one, "" if is_alone else f" {name}") for name, one in named),
    )


def _of_each(texts: Sequence[tuple[str, str]]) -> str:
    """A fact of each board; once, if it is the same on all of them."""
    if len({text for _, text in texts}) == 1:
        return texts[0][1]
    return "; ".join(f"{text} on {name}" for name, text in texts)


def _board(summary: RunSummary, board: str, *, is_alone: bool) -> Iterable[Chip]:
    """The machine, and the memory that a step may use there."""
    run, limit = summary.run, usable_memory(summary)
    machine = run.machine
    name = f"{board} ({machine['board'] or machine['cpu'] or machine['arch']})"
    if is_alone:
        yield Chip("measured on", name)
        if limit:
            yield Chip("a step may use", units.size(limit))
    else:
        yield Chip("board", f"{name}, a step may use {units.size(limit)}" if limit else name)


def _rounds(summary: RunSummary) -> str:
    settings = summary.run.settings
    counts = {
        name: rounds_of(name, settings["rounds"])
        for name in settings["measure"]
        if BY_NAME[name].rounds is not None
    }
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "1"


def _when(summary: RunSummary) -> str:
    """The day, how long the run took, and the commit of the code if there is one."""
    run = summary.run
    took = (
        f"took {units.about(units.seconds_between(run.created, run.finished))}"
        if run.finished
        else "unfinished"
    )
    commit = f", commit {short_commit(run.commit)}" if run.commit != NO_COMMIT else ""
    return f"{units.day(run.created)}, {took}{commit}"


def _calm(summary: RunSummary, board: str) -> Chip:
    """Whether the measurement was disturbed, as far as the records say; the caveats have each."""
    name = f"machine{board}"
    measured = [cell for cell in summary.cells if cell.estimates]
    disturbed = disturbed_cells(summary)
    before = len(summary.notes)
    imprecise = [cell for cell in measured if cell.is_imprecise]
    spread = spread_of_steps(summary)
    said = [
        *([f"{disturbed} disturbed"] if disturbed else []),
        *([f"{units.number_of(before, 'warning')} before it measured"] if before else []),
        *([] if summary.is_interleaved else ["not interleaved"]),
        *([f"step times of {which(imprecise, measured)} imprecise"] if imprecise else []),
    ]
    uneven = f"step times vary by {units.ratio(spread)}"
    is_uneven = spread > SPREAD and not disturbed
    if said:
        said += ["disturbances not recorded"] if summary.unwatched else []
        said += [uneven] if is_uneven else []
        return Chip(name, ", ".join(said), "warning")
    if not measured:
        return Chip(name, "nothing measured yet")
    seen = "no disturbance seen" if summary.is_watched else "disturbances not recorded"
    if is_uneven:
        return Chip(name, f"{seen}, but {uneven}", "warning")
    return Chip(name, seen, "good" if summary.is_watched else "plain")
