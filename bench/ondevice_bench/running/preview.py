"""What a plan can say before anything is measured: exact bytes and FLOPs, and past times."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ondevice_bench.passes import PILOT, rounds_of
from ondevice_bench.record.model import TaskKey
from ondevice_bench.running.budget import Budget
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.preview import plain_steps
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.passes import passes_of
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.preview import CellPreview, PlainStep
from ondevice_bench.suite.suite import Suite

# seconds of a pass by the cell's key and the pass's name
PastSeconds = Mapping[tuple[str, str], float]


def preview(
    host: Host, suite: Suite, board: Board, plan: Sequence[PlannedCell], past: PastSeconds
) -> tuple[CellPreview, ...]:
    """Every cell with its vanilla step, which a worker counts, and its time in earlier runs.

    `board` is the one that the plan is made for. It need not be the host.
    """
    steps = plain_steps(host, suite, plan)
    skipped = PlainStep(None, None, "skipped")
    on_board = suite.on(board.names)
    # without earlier runs no time is known, and the processes need no names
    times = forecasts((_tasks(item, on_board) if past else () for item in plan), past)
    return tuple(
        CellPreview(item, steps.get(item.cell.id, skipped), seconds, is_estimated)
        for item, (seconds, is_estimated) in zip(plan, times, strict=True)
    )


def forecasts(
    cells: Iterable[Sequence[TaskKey]], past: PastSeconds
) -> Iterator[tuple[float | None, bool]]:
    """For each cell the seconds of its processes (None if unknown), and if that is an estimate.

    Earlier runs are read only once: they and the plan may be large.
    """
    budget = Budget()
    for cell, name in sorted(past, key=lambda key: key[1] != PILOT):  # ratios are against pilots
        budget.learn(TaskKey(cell, name, 1), past[cell, name])
    for tasks in cells:
        expected = [budget.expected(task) for task in tasks]
        seconds = [one for one in expected if one is not None]
        if not tasks or len(seconds) < len(tasks):
            yield None, False
        else:
            yield sum(seconds), any((task.cell, task.pass_name) not in past for task in tasks)


def _tasks(item: PlannedCell, suite: Suite) -> tuple[TaskKey, ...]:
    """The processes of a planned cell; they are named by its key."""
    if item.state != "planned":
        return ()
    return tuple(
        TaskKey(item.cell.key, name, number)
        for name in passes_of(item.cell, suite.measure)
        for number in range(1, rounds_of(name, suite.rounds) + 1)
    )
