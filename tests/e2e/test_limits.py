"""Few open files, and paths that are too long: one clear line, and nothing is written."""

import os
import subprocess
import sys

import pytest

from ondevice_bench.record.store import FILE_NAME, OUT, Store
from ondevice_bench.running.workspace import locked
from tests.conftest import BENCH
from tests.record.conftest import CELL, make_record, make_run, planned

LONG = "a" * 300  # a name may have 255 bytes
DEEP = "/".join(["a" * 200] * 25)  # a path may have 4,096


@pytest.fixture
def stored(workplace):
    """A folder with one run."""
    (workplace / OUT / "quick").mkdir(parents=True)
    with Store.create(workplace / OUT / "quick" / FILE_NAME) as store:
        store.add_run(make_run(suite="quick"), planned(CELL))
        store.add_record(make_record(metrics={"step_seconds": 1.0}))
    return workplace


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("line", ["run tiny --quiet", "report quick"])
def test_few_open_files(stored, suite_file, line):
    suite_file()
    line = f"ulimit -n 5; exec {BENCH} {line}"
    ended = subprocess.run(
        ["sh", "-c", line], cwd=stored, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    (said,) = ended.stderr.splitlines()
    assert "internal error" not in said


@pytest.mark.parametrize(
    "line",
    [
        f"plan {LONG}",
        f"plan ./{LONG}.yaml",
        f"plan quick --hardware ./{LONG}.yaml",
        f"plan quick --suites {LONG}",
        f"run quick --out {LONG}",
        f"run --model ./{LONG}.py:net --method vanilla",
        f"run --model mcunet --method ./{LONG}.py:M",
        f"run --model mcunet --method vanilla --weights ./{LONG}.pt",
        f"run --model mcunet --method vanilla --data npz=./{LONG}.npz",
        f"report {LONG}",
        f"report ./{LONG}.sqlite@r1",
        f"report quick --out {LONG}/x.html",
        f"report quick --layout ./{LONG}.yaml",
        f"report quick --templates {LONG}",
        f"export quick --out {LONG}.bundle",
        f"import {LONG}.bundle",
        f"compare {LONG}.bundle quick",
        f"compare quick {LONG}.json",
        f"history ./{LONG}.sqlite",
        f"baseline save {LONG} quick",
        f"claims ./{LONG}.yaml",
        f"init {LONG}",
        f"plan {DEEP}",
        f"report {DEEP}",
        f"run quick --out {DEEP}",
        f"import {DEEP}.bundle",
    ],
    ids=range(26),
)
def test_a_path_that_is_too_long(bench, stored, line):
    before = files(stored)
    ended = bench(*line.split())
    assert ended.code == 2
    (said,) = ended.err.splitlines()
    assert len(said) < 1_100
    assert "internal error" not in said
    assert files(stored) == before


def test_a_folder_with_two_names_by_a_bind_mount_is_one_folder(workplace):
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs root and mount namespaces")
    (workplace / "other").mkdir()
    program = "from ondevice_bench.running.workspace import locked; locked(Path('other/tiny')).__enter__()"
    script = f"mount --bind bench-out other && exec {sys.executable} -c"
    with locked(OUT / "tiny"):
        ended = subprocess.run(
            ["unshare", "-m", "sh", "-c", f'{script} "from pathlib import Path; {program}"'],
            capture_output=True,
            text=True,
            check=False,
        )
    said = f"other/tiny: bench (process {os.getpid()}) is measuring into this folder"
    assert ended.stderr.endswith(f"BadInput: {said}\n")
