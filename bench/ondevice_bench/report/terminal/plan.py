"""A plan in the terminal: its cells, what does not fit the board, and how long it takes."""

from collections import Counter
from collections.abc import Sequence

from ondevice_bench.report.folding import unmeasured_lines
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.labels import labelled
from ondevice_bench.suite.preview import CellPreview
from ondevice_bench.terminal import Table
from ondevice_bench.units import GIB, clock, flops, mib


def plan_tables(previews: Sequence[CellPreview]) -> list[Table]:
    """The cells to measure here by workload, and the numbers that exist before they run.

    If plain training needs the same for all cells of a workload, the heading shows it. If layers
    freeze others, it differs, and each row shows it.
    """
    planned = {
        preview.item.cell: preview for preview in previews if preview.item.state == "planned"
    }
    tables = []
    for group in labelled(planned):
        steps = [_plain_step(planned[cell]) for cell in group.cells]
        is_same = len(set(steps)) == 1
        has_times = any(planned[cell].seconds is not None for cell in group.cells)
        titles = ["method", *([] if is_same else ["a step of vanilla"])]
        titles += ["time"] if has_times else []
        heading = f"{group.heading}; a step of vanilla takes {steps[0]}"
        table = Table(*titles, heading=heading if is_same else group.heading)
        for label, cell, step in zip(group.labels, group.cells, steps, strict=True):
            times = [_time(planned[cell])] if has_times else []
            table.add_row(label, *([] if is_same else [step]), *times)
        tables.append(table)
    return tables


def _plain_step(preview: CellPreview) -> str:
    """What a step of plain training needs, computed without running it."""
    step = preview.plain_step
    if step.activation_bytes is None:
        return f"an unknown amount: {step.reason}"
    work = "" if step.step_flops is None else f" and {flops(step.step_flops)}"
    return f"{mib(step.activation_bytes)} of activations{work}"


def plan_lines(previews: Sequence[CellPreview]) -> list[str]:
    """The cells that are not measured here: a line for each board and for each reason."""
    return unmeasured_lines(preview.item for preview in previews)


def plan_misfits(previews: Sequence[CellPreview], board: Board) -> list[str]:
    """The cells of plain training that cannot fit the board, with the size of their tensors."""
    if board.memory_gib is None:
        return []
    return [
        f"does not fit {board.name} ({board.memory_gib:g} GiB): {preview.item.cell.id}: "
        f"its tensors alone take {mib(preview.plain_step.peak_bytes)}"
        for preview in previews
        if preview.item.cell.method == "vanilla"
        and preview.item.profile == board.name
        and preview.plain_step.peak_bytes is not None
        and preview.plain_step.peak_bytes > board.memory_gib * GIB
    ]


def plan_total(previews: Sequence[CellPreview], expected: float | None = None) -> str:
    """The number of cells in each state, and their time if there are earlier runs.

    Before the first run, `expected` is the time that the suite itself gives for such a board.
    """
    states = Counter(preview.item.state for preview in previews)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    planned = [preview for preview in previews if preview.item.state == "planned"]
    seconds = [preview.seconds for preview in planned if preview.seconds is not None]
    if not seconds:
        by_suite = f" (the suite expects {clock(expected)} on such a board)" if expected else ""
        return f"{counts}; time unknown until a first run{by_suite}"
    estimates = sum(preview.is_estimated for preview in planned)
    pilots = f", {estimates} of them estimated from their pilots" if estimates else ""
    if len(seconds) < len(planned):
        return (
            f"{counts}; {clock(sum(seconds))} for {len(seconds)} of {len(planned)} cells, from "
            f"earlier runs{pilots}; the rest is unknown"
        )
    return f"{counts}; about {clock(sum(seconds))}, from earlier runs{pilots}"


def _time(preview: CellPreview) -> str:
    if preview.seconds is None:
        return "unknown"
    return f"{'estimated' if preview.is_estimated else 'known'}: {clock(preview.seconds)}"
