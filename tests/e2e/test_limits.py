"""Few open files, and paths that are too long: one clear line, and nothing is written."""

import os
import subprocess

import pytest

from ondevice_bench.record.store import FILE_NAME, OUT, Store
from ondevice_bench.run.workspace import locked
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
        "plan {}",
        "plan ./{}.yaml",
        "plan quick --hardware ./{}.yaml",
        "plan quick --suites {}",
        "run quick --out {}",
        "run --model ./{}.py:net --method vanilla",
        "run --model mcunet --method ./{}.py:M",
        "run --model mcunet --method vanilla --weights ./{}.pt",
        "run --model mcunet --method vanilla --data npz=./{}.npz",
        "report {}",
        "report ./{}.sqlite@r1",
        "report quick --out {}/x.html",
        "report quick --layout ./{}.yaml",
        "report quick --templates {}",
        "export quick --out {}.bundle",
        "import {}.bundle",
        "compare {}.bundle quick",
        "compare quick {}.json",
        "history ./{}.sqlite",
        "baseline save {} quick",
        "claims ./{}.yaml",
        "init {}",
    ],
)
@pytest.mark.parametrize("path", [LONG, DEEP], ids=["long", "deep"])
def test_a_path_that_is_too_long(bench, stored, line, path):
    before = files(stored)
    ended = bench(*line.format(path).split())
    assert ended.code == 2
    (said,) = ended.err.splitlines()
    assert len(said) < 1_100
    assert "internal error" not in said
    assert files(stored) == before


def test_a_folder_with_two_names_by_a_bind_mount_is_one_folder(stored, suite_file):
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs root and mount namespaces")
    suite_file()
    (stored / "other").mkdir()
    script = f"mount --bind bench-out other && exec {BENCH} run tiny --quiet --out other/tiny"
    with locked(OUT / "tiny"):
        ended = subprocess.run(
            ["unshare", "-m", "sh", "-c", script],
            cwd=stored,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert (
        ended.stderr
        == f"bench: other/tiny: bench (process {os.getpid()}) is measuring into this folder\n"
    )
