"""The boards that measured the run together: whether they are alike, and what each measured."""

from collections.abc import Mapping
from typing import Any

from ondevice_bench.analyse.family import (
    METRIC,
    MOST_PROCESSES,
    TOLERANCE,
    BoardInFamily,
    boards_in_family,
)
from ondevice_bench.report.quantities import Quantity, dash, quantity_of_estimate
from ondevice_bench.report.sections.section import ReportData, Section
from ondevice_bench.units import percent, ratio


def content(data: ReportData) -> Mapping[str, Any] | None:
    """A row for each board of each run."""
    rows = [
        (one.run.profile, each, _quantities(each))
        for one in (data.summary, *data.others)
        for each in boards_in_family(one.cells)
    ]
    if not rows:
        return None
    return {"rows": rows, "outside": [row[1].unit for row in rows if row[1].is_outside]}


def _quantities(board: BoardInFamily) -> tuple[Quantity, Quantity]:
    if board.step is None or board.ratio is None:
        missing = dash("this board has not measured the shared cell")
        return missing, missing
    meaning = "the board's step of the shared cell over the median of the boards"
    return (
        quantity_of_estimate(METRIC, board.step),
        Quantity(ratio(board.ratio), "", meaning, board.ratio),
    )


SECTION = Section(
    name="fleet",
    title="The boards of this run",
    text="Several boards of one profile measured the run. Every board first timed the same cell. "
    f"If the step of a board differs by more than {percent(TOLERANCE)} from the median of the "
    f"boards, all of them time it again, up to {MOST_PROCESSES} times in all. If it differs each "
    "time, the board is out of family, and measures nothing else. If half of the boards differ, "
    "it is unknown which ones are unusual, and all of them measure. Of two boards, each is "
    "compared with the other one. In each round, one board measures a baseline and its methods. A "
    "ratio is the median of the ratios of all rounds. So differences between boards are in no "
    "ratio. They are in the intervals of all other numbers.",
    content=content,
    about="the page",
)
