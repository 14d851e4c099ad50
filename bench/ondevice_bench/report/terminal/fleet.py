"""The boards of a fleet in the terminal: a line for each board."""

from ondevice_bench.analyse.family import TOLERANCE, BoardInFamily, boards_in_family
from ondevice_bench.analyse.summary import RunSummary
from ondevice_bench.units import number_of, percent, ratio, seconds


def fleet_lines(summary: RunSummary) -> list[str]:
    """What each board has measured, and whether it is like the others."""
    boards = boards_in_family(summary.cells)
    return [f"board {each.unit}: {board_sentence(each)}" for each in boards]


def board_sentence(board: BoardInFamily) -> str:
    """What a board has measured, and whether it is like the others."""
    work = number_of(board.processes, "measurement")
    if board.step is None or board.ratio is None:
        return f"{work}; not compared with other boards"
    step = f"the shared cell's step takes {seconds(board.step.estimate)}"
    text = f"{work}; {step}, {ratio(board.ratio)} the median of the boards"
    if board.is_outside:
        each = "in its process" if board.compared == 1 else f"in each of {board.compared} processes"
        return f"{text}: out of family (beyond {percent(TOLERANCE)} {each})"
    return text
