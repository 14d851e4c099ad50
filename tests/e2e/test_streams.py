"""A terminal that has only ASCII, closed and full streams, readers that go away, and Ctrl-C."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from ondevice_bench.record.store import FILE_NAME, OUT, Store
from tests.conftest import BENCH
from tests.report import synthetic

UNFINISHED = "bench: r1 is unfinished\nbench: r2 is unfinished\n"


def shell(line, folder, **environment):
    return subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BENCH": str(BENCH), **environment},
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with two runs, of which the second is worse."""
    folder = tmp_path_factory.mktemp("streams")
    cells = synthetic.cells()[:2]
    (folder / OUT / "quick").mkdir(parents=True)
    with Store.create(folder / OUT / "quick" / FILE_NAME) as store:
        for name, more in (("r1", 0), ("r2", 4096)):
            store.add_run(synthetic.run_of(name), synthetic.planned(cells))
            for record in synthetic.records(cells, name):
                metrics = {**record.metrics}
                if "activation_bytes" in metrics:
                    metrics["activation_bytes"] += more
                store.add_record(replace(record, metrics=metrics))
    return folder


def test_a_terminal_without_our_signs_gets_others(runs):
    for environment in (
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""},
    ):
        done = shell("$BENCH compare r1 r2", runs, PYTHONCOERCECLOCALE="0", **environment)
        assert done.returncode == 4, done.stderr
        assert "---" in done.stdout  # for a line of the table
        assert done.stdout.isascii()


def test_a_reader_that_goes_away_changes_nothing(runs):
    for redirection in ("", "2>&1"):
        # the reader is gone before anything is written
        line = f"{{ $BENCH compare r1 r2 {redirection}; echo $? >code; }} | true"
        assert shell(line, runs).stderr in ("", UNFINISHED)
        assert (runs / "code").read_text() == "4\n"


def test_closed_and_full_streams(runs):
    for line in ("$BENCH compare r1 r2 >&-", "$BENCH compare r1 r2 >&- 2>&- <&-"):
        assert shell(line, runs).returncode == 4
    full = shell("$BENCH compare r1 r2 >/dev/full", runs)
    assert full.returncode == 2
    assert full.stderr == "bench: standard output: cannot be written: No space left on device\n"
    assert shell("$BENCH --help >/dev/full", runs).stderr == full.stderr
    assert shell("$BENCH compare r1 r2 2>/dev/full", runs).returncode == 4


INTERRUPTED = """\
import os, signal, sys, time
from ondevice_bench.cli import main

class Finder:
    def find_spec(self, name, *_):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
            if is_swallowed:
                try:
                    time.sleep(10)
                except BaseException:
                    pass

module, is_swallowed = sys.argv.pop(1), sys.argv.pop(1) == "True"
sys.meta_path.insert(0, Finder())
main()
"""


@pytest.mark.parametrize(
    ("module", "is_swallowed"),
    [("ondevice_bench.cli.entry", False), ("typer", True), ("sqlite3", False), ("pydantic", True)],
)
def test_ctrl_c_while_modules_load_ends_with_one_line(runs, module, is_swallowed):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            INTERRUPTED,
            module,
            str(is_swallowed),
            "report",
            "r1",
            "--format",
            "csv",
        ],
        cwd=runs,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "bench: interrupted\n")


INTERRUPTED_BEFORE_THE_VERB = """\
import os, signal, time, typer.main
from ondevice_bench.cli import main

def interrupted(_):
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(10)

typer.main.get_command = interrupted
main()
"""


def test_a_signal_before_the_verb_begins_ends_with_one_line(runs):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_BEFORE_THE_VERB, "list", "runs"],
        cwd=runs,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "bench: interrupted\n")
