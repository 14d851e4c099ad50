"""Finding what a plan can say beforehand: exact bytes and FLOPs, and known times."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ondevice_bench.record.model import TaskKey
from ondevice_bench.run.budget import Budget
from ondevice_bench.run.hosts.launch import (
    Launcher,
    PassLauncher,
    SpawnLauncher,
    ZygoteLauncher,
    worker_environment,
)
from ondevice_bench.run.queries.jobs import JobMaker
from ondevice_bench.run.schedule import schedule
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.layers import freezes
from ondevice_bench.suite.passes import PILOT, passes_of
from ondevice_bench.suite.planned_cell import PlannedCell
from ondevice_bench.suite.preview import Outline, Vanilla
from ondevice_bench.suite.suite import Suite

SHAPES_TIMEOUT = 300.0


def outline(
    suite: Suite,
    here: Board,
    plan: Sequence[PlannedCell],
    threads: int,
    known: Mapping[tuple[str, str], float],
) -> tuple[Outline, ...]:
    """Every cell with its vanilla step (asked of a worker) and its time (from earlier runs)."""
    environment = worker_environment(threads)
    with ZygoteLauncher(environment) as zygote:
        found = vanilla_steps(plan, suite, PassLauncher(SpawnLauncher(environment), zygote))
    skipped = Vanilla(None, None, "skipped")
    outlined = []
    for item in plan:
        seconds, is_estimated = foretold(_tasks(item, suite.on(here.names)), known)
        outlined.append(Outline(item, found.get(item.cell.id, skipped), seconds, is_estimated))
    return tuple(outlined)


def as_vanilla(cell: Cell) -> Cell:
    """The cell that a method is weighed against; the seed does not matter to its shapes."""
    layers = cell.layers if freezes(cell.layers) else "all"
    return replace(cell, id="vanilla", method="vanilla", method_options=(), layers=layers, seed=0)


def vanilla_steps(
    plan: Sequence[PlannedCell], suite: Suite, launcher: Launcher
) -> dict[str, Vanilla]:
    """The vanilla step that each cell is weighed against, by the cell's id; from shapes alone."""
    jobs = JobMaker(None, suite.sampling, suite.data, suite.weight_sources)
    cells = {item.cell.id: as_vanilla(item.cell) for item in plan if item.state != "skipped"}
    found: dict[Cell, Vanilla] = {}
    for cell in dict.fromkeys(cells.values()):
        reply = launcher.launch(jobs.job(cell, "shapes"), SHAPES_TIMEOUT, lambda: None).reply
        counted = reply.findings.metrics
        found[cell] = (
            Vanilla(
                int(counted["activation_bytes"]),
                int(counted["step_flops"]),
                peak_bytes=int(counted["peak_bytes"]),
            )
            if counted
            else Vanilla(None, None, reply.reason)
        )
    return {name: found[cell] for name, cell in cells.items()}


def _tasks(item: PlannedCell, suite: Suite) -> tuple[TaskKey, ...]:
    """The processes that a planned cell takes, by its fingerprint."""
    if item.state != "planned":
        return ()
    passes = passes_of(item.cell.method, suite.measure)
    return schedule({item.cell.fingerprint: passes}, suite.rounds, seed="")


def foretold(
    tasks: Sequence[TaskKey], known: Mapping[tuple[str, str], float]
) -> tuple[float | None, bool]:
    """The seconds that processes will take, and whether that is an estimate; None if unknown."""
    taken = Budget()
    for cell, name in sorted(known, key=lambda key: key[1] != PILOT):  # ratios are against pilots
        taken.learn(TaskKey(cell, name, 1), known[cell, name])
    expected = [taken.expected(task) for task in tasks]
    seconds = [one for one in expected if one is not None]
    if not tasks or len(seconds) < len(tasks):
        return None, False
    return sum(seconds), any((task.cell, task.pass_name) not in known for task in tasks)
