"""A run whose every text ends in something hostile, wherever a bundle may have it."""

import json
from collections.abc import Iterator
from typing import Any

from ondevice_bench.errors import BadInput
from ondevice_bench.record import run_json
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import make_record
from tests.report import synthetic

# what refers to something else: a baseline, a metric, a time
KEPT = {"baseline", "created", "started", "finished", "minimise"}
LAYERS = ("blocks.0.conv", "blocks.1.conv")


def hostile_run(text: str, run_id: str = "r1") -> RunContent:
    """A run with every kind of figure, and with a failed and a skipped cell."""
    cells = synthetic.cells()
    run = synthetic.run_of(run_id, commit=f"c-{run_id}", title="Title")
    last, skipped = cells[-1], PlannedCell(cells[-2], "pi5", "skipped", "a reason")
    records = [each for each in synthetic.records(cells, run_id) if each.key.cell != last.id]
    records.append(synthetic.sustained(cells[0], run_id))
    records.append(make_record(run_id, last, status="failed", reason="a reason", output="printed"))
    plan = (*synthetic.planned([*cells[:-2], last, cells[-2]]), skipped)
    written = json.dumps(RunContent(run, plan, tuple(records)).to_dict())
    # names that other parts refer to change everywhere
    for name in LAYERS:
        written = written.replace(json.dumps(name), json.dumps(name + text))
    for cell in cells:
        model, method, *rest = cell.id.split("/")
        name = "/".join([model, method + text, *rest])
        written = written.replace(json.dumps(cell.id), json.dumps(name))
    values = json.loads(written)
    for pattern in sorted({_pattern(path) for path in _texts(values)}):
        changed = json.loads(json.dumps(values))
        for path in _texts(values):
            if _pattern(path) == pattern:
                _append(changed, path, text)
        try:
            run_json.read_run("x", json.dumps(changed).encode())
        except BadInput:
            continue  # an identifier, or a word of ours
        values = changed
    return run_json.read_run("x", json.dumps(values).encode())


def _texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every text within."""
    if isinstance(value, str) and not KEPT & set(path):
        yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(item, (*path, key))


def _pattern(path: tuple[Any, ...]) -> str:
    """The same for all members of a list."""
    return "/".join("*" if isinstance(step, int) else step for step in path)


def _append(values: Any, path: tuple[Any, ...], text: str) -> None:
    *way, last = path
    for step in way:
        values = values[step]
    if values[last].endswith(text) or (last == "method" and values[last] == "vanilla"):
        return  # it was changed everywhere, or is the baseline
    if last == "method":
        values[last] += ".py:Own"  # any name may be that of a user's method
    values[last] += text
