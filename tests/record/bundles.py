"""Bundles made by hand: what one holds, and the same file with other members."""

import hashlib
import json
import zipfile

from ondevice_bench.record import bundle, run_json
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned


def content(**what):
    """A run with two records, and a cell that another board shall measure."""
    records = (
        make_record(
            metrics={"step_seconds": 0.1 + 0.2, "activation_bytes": 2**40 + 1},
            samples={"step_seconds": [0.1, 1 / 3]},
            details={"precision": {"asked": 0.02, "reached": None, "ended_by": "x"}, "more": [1]},
            state_before={"load_1min": 0.5},
        ),
        make_record(pass_name="trace", status="oom", reason="<b>no</b> \u202e", output="x\ny"),
    )
    cells = (*planned(CELL), PlannedCell(SECOND, "pi5", "pending", "pending on pi5"))
    return run_json.RunContent(make_run(**what), cells, records)


def packed(path, change):
    """The bundle again, its run changed, its sums right."""
    with zipfile.ZipFile(path) as old:
        run = json.loads(old.read("runs/1.json"))
    changed = change(run)
    data = json.dumps(run if changed is None else changed).encode()
    return repacked(path, {"runs/1.json": data})


def repacked(path, packed, **manifest):
    """A bundle of these members, its sums right."""
    said = {
        "format": bundle.FORMAT,
        "version": 1,
        "bench": "0",
        "members": {name: hashlib.sha256(data).hexdigest() for name, data in packed.items()},
        **manifest,
    }
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("manifest.json", json.dumps(said))
        for name, data in packed.items():
            new.writestr(name, data)
    return path


def members(path):
    """The bytes of each member but the manifest."""
    with zipfile.ZipFile(path) as old:
        return {name: old.read(name) for name in old.namelist() if name != "manifest.json"}
