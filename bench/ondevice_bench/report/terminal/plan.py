"""A plan in the terminal: its cells, what does not fit the board, and how long it takes."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ondevice_bench.suite.board import Board
from ondevice_bench.suite.preview import Outline
from ondevice_bench.terminal import table
from ondevice_bench.units import GIB, clock, flops, mib

if TYPE_CHECKING:
    from rich.table import Table


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
