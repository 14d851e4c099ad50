"""Finding what a plan can say beforehand: exact bytes and FLOPs, and known times."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.record.model import TaskKey
from bench.run.jobs import JobMaker
from bench.run.launch import PassLauncher, SpawnLauncher, ZygoteLauncher, worker_environment
from bench.run.schedule import schedule
from bench.suite.board import Board
from bench.suite.cell import Cell
from bench.suite.layers import freezes
from bench.suite.outline import Outline, Vanilla
from bench.suite.passes import passes_of
from bench.suite.plan import PlannedCell
from bench.suite.suite import Suite

SHAPES_TIMEOUT = 300.0


def outline(
    suite: Suite,
    here: Board,
    plan: Sequence[PlannedCell],
    threads: int,
    known: Mapping[tuple[str, str], float],
) -> tuple[Outline, ...]:
    """Every cell with its vanilla step (asked of a worker) and its time (from earlier runs)."""
    cells = {item.cell.id: as_vanilla(item.cell) for item in plan if item.state != "skipped"}
    found = _vanilla_steps(list(dict.fromkeys(cells.values())), suite, threads)
    skipped = Vanilla(None, None, "skipped")
    return tuple(
        Outline(
            item=item,
            vanilla=found[cells[item.cell.id]] if item.cell.id in cells else skipped,
            seconds=_known_seconds(item, suite.on(here.names), known),
        )
        for item in plan
    )


def as_vanilla(cell: Cell) -> Cell:
    """The cell that a method is weighed against; the seed does not matter to its shapes."""
    layers = cell.layers if freezes(cell.layers) else "all"
    return replace(cell, id="vanilla", method="vanilla", method_options=(), layers=layers, seed=0)


def _vanilla_steps(cells: Sequence[Cell], suite: Suite, threads: int) -> dict[Cell, Vanilla]:
    environment = worker_environment(threads)
    jobs = JobMaker(None, suite.sampling, suite.data, suite.weight_sources)
    found: dict[Cell, Vanilla] = {}
    with ZygoteLauncher(environment) as zygote:
        launcher = PassLauncher(SpawnLauncher(environment), zygote)
        for cell in cells:
            outcome = launcher.launch(jobs.job(cell, "shapes"), SHAPES_TIMEOUT, lambda: None)
            reply = outcome.reply
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
    return found


def _known_seconds(
    item: PlannedCell, suite: Suite, known: Mapping[tuple[str, str], float]
) -> float | None:
    """The sum over the cell's processes, if an earlier run on this machine knows them all."""
    if item.state != "planned":
        return None
    passes = passes_of(item.cell.method, suite.measure)
    tasks: tuple[TaskKey, ...] = schedule({item.cell.id: passes}, suite.rounds, seed="")
    taken = [known.get((item.cell.fingerprint, task.pass_name)) for task in tasks]
    return sum(s for s in taken if s is not None) if None not in taken else None
