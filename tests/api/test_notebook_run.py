"""A real notebook: its kernel runs suites, shows a bar and the verdict, and can be stopped."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("nbclient", reason="notebooks need nbclient and ipykernel")
pytest.importorskip("ipykernel", reason="notebooks need nbclient and ipykernel")

EXECUTE = """\
import json, sys
import nbformat
from nbclient import NotebookClient

cells = [nbformat.v4.new_code_cell(text) for text in json.load(sys.stdin)]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=200, allow_errors=True).execute()
print(json.dumps([cell.outputs for cell in notebook.cells]))
"""
# the kernel's workers answer by themselves; the third is stopped as by the button of a notebook
SET_UP = """\
import os, signal, threading
from ondevice_bench import Suite, compare, run
from ondevice_bench.running.hosts import local
from ondevice_bench.running.hosts.fake import FakeHost
from tests.api.conftest import KEYS, well

threading.Thread(target=threading.Event().wait, daemon=True).start()
count = 0


def answer(job):
    global count
    if job.pass_name != "shapes":
        count += 1
        if count == 3:
            os.kill(os.getpid(), signal.SIGINT)
    return well(job)


local.local_host = lambda *_: FakeHost(answer)
suite = Suite(name="mine", **KEYS)
"""


@pytest.fixture
def executed(workplace):
    """Execute the cells of a notebook; the outputs of each cell."""

    def execute(*cells):
        root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), root])
        ended = subprocess.run(
            [sys.executable, "-c", EXECUTE],
            input=json.dumps(cells),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": path, "IPYTHONDIR": str(workplace / "ipython")},
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])

    return execute


def test_a_notebook_runs_a_suite_is_stopped_goes_on_and_compares(executed):
    _, stopped, gone_on, compared, own, typo = executed(
        SET_UP,
        "run(suite)",
        "found = run(suite)\nfound",
        "compare(found, run(suite))",
        "class Net: pass\n\nSuite(models=[Net], methods=['vanilla'])",
        "run('quik')",
    )
    *_, error = stopped
    assert error["ename"] == "Interrupted"
    assert len(error["traceback"]) == 1  # one line
    assert "of 4 measurements are stored in bench-out/mine/results.sqlite" in error["evalue"]
    bar, result = gone_on
    assert bar["output_type"] == "display_data"
    assert "continuing mine-" in bar["data"]["text/html"]  # the note stays, the bar is gone
    assert "<progress" not in bar["data"]["text/html"]
    shown = result["data"]["text/html"]
    assert shown.index("mcunet") < shown.index("<table>")
    assert "report: bench-out/mine/report.html" in shown
    assert "Not worse as far as it was decided" in compared[-1]["data"]["text/html"]
    assert [each["output_type"] for each in (*own, *typo)] == ["error", "error"]
    assert "put it into a file, such as net.py" in own[0]["evalue"]
    assert typo[0]["traceback"][0].startswith("BadInput: unknown suite 'quik'")
