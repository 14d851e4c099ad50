"""Results in the terminal."""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ondevice_bench.analyse.compare import DRIFT, Comparison, Difference
from ondevice_bench.analyse.judgement import Verdict
from ondevice_bench.analyse.learning import Learning
from ondevice_bench.analyse.summary import NOT_INTERLEAVED, CellSummary, RunSummary
from ondevice_bench.record import metrics
from ondevice_bench.report.quantities import (
    HEADLINES,
    LESSONS,
    Measured,
    exact,
    figure,
    learned,
    rank_basis,
)
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.preview import Outline
from ondevice_bench.units import GIB, clock, flops, mib, quantity, ratio

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 160
NAMED = 2  # cells that a note names before it only counts them


def console() -> "Console":
    """Standard output, wide enough for whole ids where it is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, highlight=False, markup=False)


def table(*titles: str) -> "Table":
    """A plain table; long words are cut only where there is no room."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        made.add_column(title, overflow="fold")
    return made


def run_table(summary: RunSummary) -> "Table":
    """The headline figures of each cell, and why some have none."""
    shown = [metrics.BY_NAME[name] for name in HEADLINES]
    made = table("cell", *(metric.label for metric in shown), "status")
    for cell in summary.cells:
        status = ": ".join([cell.status, *cell.problems[:1]])
        made.add_row(cell.id, *_texts(cell, shown), status)
    return made


def cell_table(cell: CellSummary) -> "Table":
    """Every figure of a cell."""
    made = table("metric", "estimate", "interval", "scope", "basis")
    for name, found in cell.estimates.items():
        metric, shown = metrics.described(name), figure(cell, name)
        made.add_row(metric.label, shown.estimate, shown.interval, metric.scope, found.basis)
    return made


def cell_lines(cell: CellSummary) -> list[str]:
    """What a cell is, what went wrong, and what to know of it."""
    basis = rank_basis(cell.planned.cell)
    treated = cell.details_of("trace").treated
    return [
        f"cell: {cell.id}",
        f"fingerprint: {cell.planned.cell.fingerprint}",
        f"status: {cell.status}",
        *([basis] if basis else []),
        *(f"problem: {text}" for text in cell.problems),
        *(f"note: {text}" for text in cell.notes),
        *(
            f"treated: {name}: input {list(layer.shape or ())}, "
            f"ranks {list(layer.activation_ranks or ())}"
            + (f", weight rank {layer.weight_rank}" if layer.weight_rank else "")
            for name, layer in treated.items()
        ),
    ]


def learning_table(lines: Sequence[Learning]) -> "Table":
    """What methods do to learning, a line for each workload whatever its seed."""
    shown = [metric for metric in learned(lines) if metric.name in LESSONS]
    made = table("cells", *(metric.label for metric in shown), "seeds")
    for line in lines:
        made.add_row(line.id, *_texts(line, shown), str(len(line.seeds)))
    return made


def _texts(measured: Measured, shown: Sequence[metrics.Metric]) -> list[str]:
    figures = [figure(measured, metric.name) for metric in shown]
    return [f"{found.estimate}\n{found.interval}".strip() for found in figures]


def run_notes(summary: RunSummary) -> list[str]:
    """What the table's figures are of, and what a reader must know before trusting them."""
    shown = [metrics.BY_NAME[name] for name in HEADLINES]
    scopes = [f"{metric.label}: {metric.title} ({metric.scope})" for metric in shown]
    bases = dict.fromkeys(rank_basis(cell.planned.cell) for cell in summary.cells)
    scopes += [basis for basis in bases if basis]
    by_note: dict[str, list[str]] = {}
    for cell in summary.cells:
        for note in cell.notes:
            by_note.setdefault(note, []).append(cell.id)
    machine = [f"note: this machine: {note}; see `bench doctor`" for note in summary.notes]
    order = [] if summary.is_interleaved else [f"note: this run: {NOT_INTERLEAVED}"]
    return [
        *scopes,
        *machine,
        *order,
        *(f"note: {_listed(cells)}: {note}" for note, cells in by_note.items()),
    ]


def _listed(cells: Sequence[str]) -> str:
    first = ", ".join(cells[:NAMED])
    return first if len(cells) <= NAMED else f"{first} and {len(cells) - NAMED} more"


VERDICTS: tuple[Verdict, ...] = ("regressed", "improved", "missing", "inconclusive", "unchanged")


def comparison_lines(comparison: Comparison) -> list[str]:
    """What changed, then what could not be compared, then the verdict."""
    lines = [difference_line(item) for verdict in VERDICTS[:-1] for item in comparison.of(verdict)]
    lines += [f"only in {comparison.base}: {cell}" for cell in comparison.only_in_base]
    lines += [f"only in {comparison.new}: {cell}" for cell in comparison.only_in_new]
    lines += [f"unlike: {text}" for text in comparison.unlike]
    lines += [f"not compared: {comparison.not_compared}"] if comparison.not_compared else []
    lines += [
        f"not interleaved: {run}: its rounds do not show the machine's drift, so thresholds of "
        f"noisy metrics are {DRIFT} times as high"
        for run in comparison.not_interleaved
    ]
    counts = ", ".join(f"{len(comparison.of(verdict))} {verdict}" for verdict in VERDICTS)
    return [*lines, f"base {comparison.base}, new {comparison.new}: {counts}"]


def difference_line(item: Difference) -> str:
    """What became of a metric: before, after, and by how much."""
    before, after = (_shown(item.metric, value) for value in (item.base, item.new))
    return f"{item.verdict}: {item.cell}: {item.metric}: {before} → {after}{_interval(item)}"


def _interval(item: Difference) -> str:
    if item.lower is not None and item.upper is not None and item.new is not None:
        return f" ({ratio(item.new / item.base)}, {ratio(item.lower)} … {ratio(item.upper)})"
    return f" ({item.reason})" if item.reason else ""


def _shown(metric: str, value: float | None) -> str:
    if value is None:
        return "not measured"
    described = metrics.BY_NAME[metric]
    return quantity(value, described.unit) if described.kind == "noisy" else exact(metric, value)


def plan_table(outlined: Sequence[Outline]) -> "Table":
    """The plan's cells, with what is known before anything is measured."""
    made = table("cell", "state", "vanilla's activations", "vanilla's step", "time")
    for item in outlined:
        vanilla = item.vanilla
        counted, computed = vanilla.activation_bytes, vanilla.step_flops
        shown = f"unknown: {vanilla.reason}" if counted is None else mib(counted)
        work = "" if computed is None else flops(computed)
        basis = "estimated" if item.is_estimated else "known"
        known = "unknown" if item.seconds is None else f"{basis}: {clock(item.seconds)}"
        state = item.item.reason or item.item.state
        made.add_row(
            item.item.cell.id, state, shown, work, known if item.item.state == "planned" else ""
        )
    return made


def plan_misfits(outlined: Sequence[Outline], board: Board) -> list[str]:
    """The vanilla cells that cannot fit the board, and what they need at the least."""
    if board.memory_gib is None:
        return []
    return [
        f"does not fit {board.name} ({board.memory_gib:g} GiB): {item.item.cell.id}: "
        f"its tensors alone take {mib(item.vanilla.peak_bytes)}"
        for item in outlined
        if item.item.cell.method == "vanilla"
        and item.item.profile == board.name
        and item.vanilla.peak_bytes is not None
        and item.vanilla.peak_bytes > board.memory_gib * GIB
    ]


def plan_total(outlined: Sequence[Outline], expected: float | None = None) -> str:
    """How many cells there are of each state, and how long they take if that is known.

    Before a first run, what the suite itself expects of such a board.
    """
    states = Counter(item.item.state for item in outlined)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    planned = [item for item in outlined if item.item.state == "planned"]
    known = [item.seconds for item in planned if item.seconds is not None]
    estimated = sum(item.is_estimated for item in planned)
    if not known:
        said = "" if expected is None else f" (the suite expects {clock(expected)} on such a board)"
        return f"{counts}; time unknown until a first run{said}"
    pilots = f", {estimated} of them estimated by their pilots" if estimated else ""
    if len(known) < len(planned):
        some = f"{len(known)} of {len(planned)} cells"
        return (
            f"{counts}; {clock(sum(known))} for {some} by earlier runs{pilots}, the rest is unknown"
        )
    return f"{counts}; about {clock(sum(known))} by earlier runs{pilots}"
