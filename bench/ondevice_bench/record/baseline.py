"""A run as a small JSON file for a repository: its metrics, without samples and states.

Equal runs give equal bytes. Each number has a line of its own, so a diff shows what changed.
"""

import json
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from ondevice_bench.errors import BadInput
from ondevice_bench.files import atomic_write, require_regular
from ondevice_bench.record.bundle import MAX_FILE
from ondevice_bench.record.model import Record
from ondevice_bench.record.run_json import RunContent, read_run, require_small

FORMAT, VERSION = "ondevice-bench baseline", 1
FOLDER, SUFFIX = Path("baselines"), ".json"


def write(content: RunContent, path: Path) -> None:
    """Write the run's baseline, completely or not at all."""
    records = tuple(_small(record) for record in content.records)
    run = replace(content.run, settings={**content.run.settings, "doctor": []})
    values = {
        "format": FORMAT,
        "version": VERSION,
        **RunContent(run, content.cells, records).to_dict(),
    }
    with atomic_write(path) as file:
        file.write(f"{json.dumps(values, sort_keys=True, indent=1)}\n".encode())


def read(path: Path) -> RunContent:
    """The run of a baseline, checked; BadInput if the file is no baseline."""
    require_regular(path)
    try:
        if path.stat().st_size > MAX_FILE:
            raise BadInput(f"{path}: larger than {MAX_FILE >> 20} MiB, not a baseline")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    return read_run(str(path), _body(path, data))


def _body(path: Path, data: bytes) -> bytes:
    """The run in the file, without its format and version; BadInput if these are not ours."""
    require_small(str(path), data)
    try:
        values: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise BadInput(f"{path}: not JSON, so not a baseline") from None
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise BadInput(f"{path}: JSON of something else, not a baseline")
    version = values.pop("version", None)
    if not isinstance(version, int) or version > VERSION:
        raise BadInput(
            f"{path}: written by a newer bench (baseline version {version!r}, this one knows up to "
            f"{VERSION}): upgrade ondevice-bench"
        )
    return json.dumps(values).encode()


def _small(record: Record) -> Record:
    """The record with one reading for each metric, and only the details that notes need."""
    return replace(
        record,
        samples={name: [median(values)] for name, values in record.samples.items() if values},
        details={k: v for k, v in record.details.items() if k in ("notes", "foreign_cpu_share")},
        state_before={},
        state_after={},
        output="",
    )
