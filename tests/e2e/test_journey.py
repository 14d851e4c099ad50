"""The user's whole way, one test a step, with the wheel in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.wheel import build_wheel, install
from tests.git import git

ROOT = Path(__file__).parents[2]
NET = "from torch import nn\n\ndef net():\n    return nn.Sequential({layers})\n"
LAYERS = "nn.Flatten(), nn.Linear(3 * 224 * 224, 10)"
GATE = """\
schema: 1
title: Gate
models: [./net.py:net: {batch: 4}]
methods: [vanilla]
measure: [trace, time]
time: {warmup: 1, min_samples: 3, max_samples: 3, max_seconds: 1}
"""


class User:
    """Somebody with an environment, a folder, and nothing of this checkout."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.work = home / "work"
        self.bin = home / "env" / "bin"

    def does(self, *words: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        command, *arguments = words
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TOX"))}
        return subprocess.run(
            [self.bin / str(command), *map(str, arguments)],
            cwd=self.work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def writes(self, name: str, text: str) -> None:
        path = self.work / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """Build the wheel and install it where only what it declares is."""
    person = User(tmp_path_factory.mktemp("user"))
    person.work.mkdir()
    install(build_wheel(ROOT, person.home), person.home / "env")
    return person


def test_install(user):
    where = user.does(
        "python", "-c", "import ondevice_bench; print(ondevice_bench.__file__)"
    ).stdout.strip()
    assert where.startswith(str(user.home))
    assert user.does("bench", "--version").returncode == 0
    assert user.does("python", "-c", "import mypy").returncode == 1  # which no user needs
    suites = json.loads(user.does("bench", "list", "suites", "--json").stdout)
    assert "quick" in {suite["name"] for suite in suites}
    assert user.does("bench", "list", "hardware").returncode == 0
    assert user.does("bench", "--help").returncode == 0
    plan = user.does("bench", "plan", "quick")
    assert plan.returncode == 0, plan.stderr
    assert "21 planned, 1 skipped" in plan.stdout
    python = "from ondevice_bench import Suite, compare, run; Suite(extends='quick')"
    assert user.does("python", "-c", python).returncode == 0


def test_first_report(user):
    # one cell of the suite: all that a report needs is in the wheel, or it is not
    ended = user.does("bench", "run", "quick", "--filter", "mcunet/vanilla")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "report: bench-out/quick/report.html"
    page = (user.work / "bench-out/quick/report.html").read_text()
    assert "mcunet/vanilla/all/b8/s0" in page


def test_pytest_finds_the_cells(user):
    ended = user.does("python", "-m", "pytest", "--benchmark", "--collect-only", "-q")
    assert ended.returncode == 0, ended.stdout
    assert "quick.yaml::mcunet/vanilla/all/b8/s0" in ended.stdout


def test_own_method(user):
    user.writes("suites/mine.py", (ROOT / "tests/methods/samples/mine.py").read_text())
    ended = user.does("bench", "check-method", "./suites/mine.py:Mine")
    assert ended.returncode == 0, ended.stdout
    assert "stored bytes" in ended.stdout
    user.writes(
        "suites/mine.yaml",
        "schema: 1\ntitle: Mine beside ASI\nmodels: [vit_b_32: {batch: 2, depth: 1}]\n"
        "methods: [asi: {fraction: 0.25}, ./mine.py:Mine]\nlayers: mlp\nmeasure: trace\n",
    )
    short = user.does("bench", "run", "mine", "--budget", "0.1s")  # enough for one process
    assert short.returncode == 6, short.stderr
    assert user.does("bench", "export", "mine", "-o", "early.bundle").returncode == 0
    ended = user.does("bench", "run", "mine", "--json")
    assert ended.returncode == 0, ended.stderr
    cells = json.loads(ended.stdout)["cells"]
    assert [cell["status"] for cell in cells] == ["ok", "ok"]


def test_export_here_and_import_there(user):
    """Bundles come again and again: of a run that goes on, and the same one twice."""
    for suite in ("mine", "quick"):
        exported = user.does("bench", "export", suite, "-o", f"{suite}.bundle")
        assert exported.returncode == 0, exported.stderr

    def imported(name):
        ended = user.does("bench", "import", name, "--out", "there", "--json")
        assert ended.returncode == 0, ended.stderr
        (run,) = json.loads(ended.stdout)["runs"]
        return run["new"], bool(run["finished"])

    bundles = ("early.bundle", "mine.bundle", "quick.bundle")  # quick has a memory curve
    first = [imported(name) for name in bundles]
    assert all(new > 0 for new, _ in first)
    assert [is_finished for _, is_finished in first] == [False, True, True]
    assert [imported(name)[0] for name in bundles] == [0, 0, 0]
    reported = user.does("bench", "report", "there/results.sqlite")
    assert reported.stdout == "report: there/report.html\n"


def test_own_model_behind_a_gate_in_ci(user):
    """Two commits of a network of one's own: the second keeps more for its backward pass."""

    user.writes(".gitignore", "bench-out\nthere\n")
    user.writes("suites/gate.yaml", GATE)
    git("init", "-q", cwd=user.work)
    for tag, more in {"before": "", "after": ", nn.Sigmoid()"}.items():
        user.writes("suites/net.py", NET.format(layers=f"{LAYERS}{more}"))
        git("add", "-A", cwd=user.work)
        git("commit", "-qm", tag, cwd=user.work)
        git("tag", tag, cwd=user.work)
    fat = user.does("bench", "ab", "before", "after", "--suite", "gate", "--budget", "0.1s")
    assert fat.returncode == 4, fat.stderr
    assert "regressed: vanilla: activation_bytes:" in fat.stdout
