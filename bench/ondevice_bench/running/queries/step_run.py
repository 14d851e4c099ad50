"""Steps of the user's own as a run: each call of `bench_step` is a cell.

The version of the step's file is in the name of the cell, as for a model in a file. So an edit of
the step is a new version of the same workload.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import ondevice_bench
from ondevice_bench.errors import BadInput
from ondevice_bench.record.model import Record, Run, TaskKey
from ondevice_bench.record.origin import PYTEST
from ondevice_bench.record.run_json import RunContent, check_record
from ondevice_bench.running.commit import current_commit
from ondevice_bench.running.hosts.host import Host
from ondevice_bench.running.queries.user_step import (
    SAMPLING,
    TIMEOUT,
    StepFailed,
    StepResult,
    UserStep,
)
from ondevice_bench.specs.sources import digest
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.planned_cell import PlannedCell

SUITE = "steps"
MEASURE = ["trace", "time", "memory"]
_DATA = "setup()"  # of the cell of a step


def step_cell(host: Host, step: UserStep, test: str) -> PlannedCell:
    """The cell of a step in a test; `test` is the test's name for pytest."""
    function = step.step
    file = Path(function.file)
    model = f"{file.name}:{function.name}@{digest(file)}"
    allocator = host.profile.allocator
    path, colons, name = test.partition("::")
    # an id has no other slash; `test[a/b]` and `test[a.b]` are two tests
    shown = f"{path.replace('/', '.')}{colons}{name.replace('/', '%2F')}"
    parts = [f"{model}(test={shown})", "vanilla", "all", "b1", allocator, "s0"]
    cell = Cell(
        id="/".join(filter(None, parts)),
        model=model,
        model_options=(("test", test),),
        method="vanilla",
        batch=1,
        data=_DATA,
        allocator=allocator,
    )
    return PlannedCell(cell, host.profile.name, "planned", "")


def file_of(cell: Cell) -> str:
    """The file of the step's test, as pytest names it; empty for a cell that is not a step."""
    test = str(dict(cell.model_options).get("test", "")) if cell.data == _DATA else ""
    return test.partition("::")[0]


def step_run(host: Host, command: str) -> Run:
    """A run of steps on this host that begins now."""
    now, commit = datetime.now(UTC), current_commit(Path.cwd())
    return Run(
        id=f"{SUITE}-{now:%Y%m%dT%H%M%S%fZ}-{commit}",
        suite=SUITE,
        suite_text="",
        title="Steps of tests",
        definition="",
        origin=PYTEST,
        created=now.isoformat(timespec="seconds"),
        commit=commit,
        profile=host.profile.name,
        profile_text=host.profile.text,
        machine=host.identity,
        software={"bench": ondevice_bench.__version__, **host.software()},
        settings={
            "measure": MEASURE,
            "rounds": {"time": 1, "memory": 1},  # the fewest of all calls
            "time": asdict(SAMPLING),
            "timeout": TIMEOUT,
            "baseline": "vanilla",
            "cpus": list(host.cpus),
            "memory_cap_bytes": host.memory_cap,
            "peaks": host.profile.peaks,
            "examples": None,
            "budget_seconds": None,
            "emulated": host.profile.declared.emulated,
            "interleaved": False,
            "doctor": [],
        },
        command=command,
    )


def step_records(run: Run, cell: Cell, result: StepResult) -> tuple[Record, ...]:
    """What the processes of a step measured; StepFailed if it cannot be stored."""
    records = tuple(
        Record(
            run=run.id,
            key=TaskKey(cell.id, process.pass_name, process.round),
            status="ok",
            reason="",
            launch=process.launch,
            started=process.started,
            seconds=process.seconds,
            metrics=process.result.metrics,
            samples=process.result.samples,
            unavailable=process.result.unavailable,
            details=process.result.details,
            state_before=process.before,
            state_after=process.after,
        )
        for process in result.processes
    )
    try:
        for record in records:
            check_record(record)
    except BadInput as error:  # the user's code may have written the reply
        raise StepFailed(f"what the worker replied cannot be stored: {str(error)[:200]}") from None
    return records


def finished_run(run: Run, cells: Sequence[PlannedCell], records: Sequence[Record]) -> RunContent:
    """The whole run, finished now."""
    text = json.dumps([item.cell.key for item in cells])
    definition = hashlib.sha256(text.encode()).hexdigest()[:16]
    finished = datetime.now(UTC).isoformat(timespec="milliseconds")
    done = replace(run, definition=definition, finished=finished)
    return RunContent(done, tuple(cells), tuple(records))
