"""A run as a small JSON file for a repository: its metrics, without samples and states.

Equal runs give equal bytes. Each metric of a cell has one line, in a stable order, so a diff shows
what changed. So has each change that somebody accepted since.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from ondevice_bench.errors import BadInput
from ondevice_bench.files import atomic_write, require_regular
from ondevice_bench.record.baseline_json import read_body
from ondevice_bench.record.model import BEGUN_WITH, Record
from ondevice_bench.record.run_json import RunContent, require_small
from ondevice_bench.suite.planned_cell import PlannedCell

FORMAT, VERSION = "ondevice-bench baseline", 2
FOLDER, SUFFIX = Path("baselines"), ".json"
MAX_FILE = 64 << 20  # a run of 1,000 cells has 8 to 12 MiB
# details that notes need, the board of a fleet (numbers of other boards are not compared), and what
# says that a training has diverged
_KEPT = ("notes", "foreign_cpu_share", "unit", "learned", "tried_rates")


def write(content: RunContent, path: Path) -> None:
    """Write the run's baseline, completely or not at all; BadInput if `read` would refuse it."""
    data = "".join(f"{line}\n" for line in _lines(content)).encode()
    where = f"{path}: cannot be written"
    read_body(where, *_values(where, data))
    with atomic_write(path) as file:
        file.write(data)


def read(path: Path) -> RunContent:
    """The run of a baseline, checked; BadInput if the file is not a baseline."""
    require_regular(path)
    try:
        _require_not_large(str(path), path.stat().st_size)
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    return read_body(str(path), *_values(str(path), data))


def _require_not_large(path: str, size: int) -> None:
    if size > MAX_FILE:
        raise BadInput(f"{path}: larger than {MAX_FILE >> 20} MiB, not a baseline")


def _values(path: str, data: bytes) -> tuple[int, dict[str, Any]]:
    """The version and the rest of the file; BadInput if these are not ours."""
    _require_not_large(path, len(data))
    require_small(path, data)
    try:
        values: Any = json.loads(data)
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}:{error.lineno}: not JSON, so not a baseline: {error.msg}") from None
    except (ValueError, RecursionError):
        raise BadInput(f"{path}: not JSON, so not a baseline") from None
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise BadInput(f"{path}: JSON of something else, not a baseline")
    version = values.pop("version", None)
    if not isinstance(version, int) or isinstance(version, bool) or not 0 < version <= VERSION:
        raise BadInput(
            f"{path}: written by a newer bench (baseline version {version!r}, this one knows up to "
            f"{VERSION}): upgrade ondevice-bench"
        )
    return version, values


def _lines(content: RunContent) -> Iterator[str]:
    """The lines of the file."""
    kept = {name: each for name, each in content.run.settings.items() if name != BEGUN_WITH}
    run = {**asdict(content.run), "settings": {**kept, "doctor": []}}
    yield "{"
    yield f' "format": {json.dumps(FORMAT)},'
    yield f' "version": {VERSION},'
    yield ' "run": {'
    yield from _items((f"{json.dumps(key)}: {_one(run[key])}" for key in sorted(run)), "  ")
    yield " },"
    yield ' "accepted": ['
    order = sorted(content.accepted, key=lambda each: (each.cell, each.metric))
    yield from _items((_one(asdict(each)) for each in order), "  ")
    yield " ],"
    yield ' "cells": ['
    by_cell: dict[str, list[Record]] = {}
    for record in content.records:
        by_cell.setdefault(record.key.cell, []).append(record)
    cells = sorted(content.cells, key=lambda item: (item.cell.id, item.profile))
    for place, item in enumerate(cells):
        is_measured = item.state == "planned"
        yield from _cell(item, by_cell.get(item.cell.id, []) if is_measured else [])
        yield "  }," if place < len(cells) - 1 else "  }"
    yield " ]"
    yield "}"


def _cell(item: PlannedCell, records: Sequence[Record]) -> Iterator[str]:
    """A cell without its last bracket: its plan, its metrics, and the processes behind them."""
    ordered = sorted(records, key=lambda each: (each.key.pass_name, each.key.round))
    planned = {"profile": item.profile, "state": item.state, "reason": item.reason}
    yield "  {"
    yield f'   "definition": {_one(item.cell.to_dict())},'
    yield f'   "planned": {_one(planned)},'
    yield '   "metrics": {'
    by_pass: dict[str, list[Record]] = {}
    for record in ordered:
        by_pass.setdefault(record.key.pass_name, []).append(record)
    yield from _items(
        (line for name, each in by_pass.items() for line in _metrics(name, each)), "    "
    )
    yield "   },"
    yield '   "processes": ['
    yield from _items((_one(_process(record)) for record in ordered), "    ")
    yield "   ]"


def _metrics(pass_name: str, records: Sequence[Record]) -> Iterator[str]:
    """A line for each metric: its value in each process of the pass, and the median of samples."""
    names = {name for record in records for name in (*record.metrics, *record.samples)}
    for name in sorted(names):
        values = [record.metrics.get(name) for record in records]
        sampled = [
            median(record.samples[name]) if record.samples.get(name) else None for record in records
        ]
        line: dict[str, Any] = {"values": values}
        if any(each is not None for each in sampled):
            line["medians"] = sampled
        yield f"{json.dumps(f'{pass_name}/{name}')}: {_one(line)}"


def _process(record: Record) -> Mapping[str, Any]:
    """What is stored of a process beside its metrics."""
    return {
        "pass": record.key.pass_name,
        "round": record.key.round,
        "status": record.status,
        "reason": record.reason,
        "launch": record.launch,
        "started": record.started,
        "seconds": record.seconds,
        "unavailable": dict(record.unavailable),
        "details": {key: value for key, value in record.details.items() if key in _KEPT},
    }


def _items(texts: Iterator[str], indent: str) -> Iterator[str]:
    """The items of a list or an object, one a line."""
    before: str | None = None
    for text in texts:
        if before is not None:
            yield f"{indent}{before},"
        before = text
    if before is not None:
        yield f"{indent}{before}"


def _one(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)
