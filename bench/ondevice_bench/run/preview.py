"""What a plan can say before anything is measured: exact bytes and FLOPs, and past times."""

from collections.abc import Mapping, Sequence

from ondevice_bench.passes import PILOT
from ondevice_bench.record.model import TaskKey
from ondevice_bench.run.budget import Budget
from ondevice_bench.run.hosts.host import Host
from ondevice_bench.run.queries.preview import plain_steps
from ondevice_bench.run.schedule import schedule
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.passes import passes_of
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.preview import CellPreview, PlainStep
from ondevice_bench.suite.suite import Suite

# seconds of a pass by the cell's fingerprint and the pass's name
PastSeconds = Mapping[tuple[str, str], float]


def preview(
    host: Host, suite: Suite, board: Board, plan: Sequence[PlannedCell], past: PastSeconds
) -> tuple[CellPreview, ...]:
    """Every cell with its vanilla step, which a worker counts, and its time in earlier runs.

    `board` is the one that the plan is made for. It need not be the host.
    """
    steps = plain_steps(host, suite, plan)
    skipped = PlainStep(None, None, "skipped")
    previews = []
    for item in plan:
        seconds, is_estimated = forecast(_tasks(item, suite.on(board.names)), past)
        step = steps.get(item.cell.id, skipped)
        previews.append(CellPreview(item, step, seconds, is_estimated))
    return tuple(previews)


def forecast(tasks: Sequence[TaskKey], past: PastSeconds) -> tuple[float | None, bool]:
    """The seconds that processes will take, and whether that is an estimate; None if unknown."""
    budget = Budget()
    for cell, name in sorted(past, key=lambda key: key[1] != PILOT):  # ratios are against pilots
        budget.learn(TaskKey(cell, name, 1), past[cell, name])
    expected = [budget.expected(task) for task in tasks]
    seconds = [one for one in expected if one is not None]
    if not tasks or len(seconds) < len(tasks):
        return None, False
    return sum(seconds), any((task.cell, task.pass_name) not in past for task in tasks)


def _tasks(item: PlannedCell, suite: Suite) -> tuple[TaskKey, ...]:
    """The processes of a planned cell; they are named by its fingerprint."""
    if item.state != "planned":
        return ()
    passes = passes_of(item.cell.method, suite.measure)
    return schedule({item.cell.fingerprint: passes}, suite.rounds, seed="")
