"""The user's whole way, one test a step, from the wheel in an empty environment."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class User:
    """Somebody with an environment, a folder, and nothing of this checkout."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bin = home / "env" / "bin"

    def does(self, *words: object, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        command, *arguments = words
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TOX"))}
        return subprocess.run(
            [self.bin / str(command), *map(str, arguments)],
            cwd=self.home / "work",
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def writes(self, name: str, text: str) -> None:
        path = self.home / "work" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """Build the wheel, make an empty environment, install the wheel there."""
    home = tmp_path_factory.mktemp("user")
    (home / "work").mkdir()
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", home, ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = home.glob("*.whl")
    venv.create(home / "env", with_pip=True)
    person = User(home)
    installed = person.does("pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel)
    assert installed.returncode == 0, installed.stderr
    return person


def test_install(user):
    where = user.does(
        "python", "-c", "import ondevice_bench; print(ondevice_bench.__file__)"
    ).stdout.strip()
    assert where.startswith(str(user.home))
    assert user.does("bench", "--version").returncode == 0
    suites = json.loads(user.does("bench", "list", "suites", "--json").stdout)
    assert "quick" in {suite["name"] for suite in suites}
    assert user.does("bench", "list", "hardware").returncode == 0


def test_first_report(user):
    # a part of it: what it shows is the same, and it is over in a quarter of the time
    ended = user.does(
        "bench", "run", "quick", "--filter", "vanilla", "--filter", "wasi(fraction=0.125"
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "report: bench-out/quick/report.html"
    page = (user.home / "work" / "bench-out/quick/report.html").read_text()
    assert "vit_b_32(depth=2)/vanilla/all/b8/s0" in page


def test_pytest_finds_the_cells(user):
    ended = user.does("pytest", "--benchmark", "--collect-only", "-q")
    assert ended.returncode == 0, ended.stdout
    assert "quick.yaml::mcunet/vanilla/all/b8/s0" in ended.stdout


def test_own_model(user):
    user.writes(
        "mynet.py",
        "from torch import nn\n\n"
        "def net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 224 * 224, 10))\n",
    )
    ended = user.does("bench", "run", "--model", "./mynet.py:net", "--method", "vanilla")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "report: bench-out/mynet-net/report.html"


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
    ended = user.does("bench", "run", "mine", "--json")
    assert ended.returncode == 0, ended.stderr
    cells = json.loads(ended.stdout)["cells"]
    assert [cell["status"] for cell in cells] == ["ok", "ok"]


def test_export_here_and_import_there(user):
    exported = user.does("bench", "export", "mine", "-o", "board.bundle")
    assert exported.returncode == 0, exported.stderr
    imported = user.does("bench", "import", "board.bundle", "--out", "there")
    assert imported.returncode == 0, imported.stderr
    reported = user.does("bench", "report", "there/results.sqlite")
    assert reported.stdout == "report: there/report.html\n"


def test_hardware_comparison(user):
    held = user.does(
        "bench", "run", "quick", "--hardware", "x86-1core-2g", "--filter", "mcunet/vanilla",
        "--filter", "mcunet/checkpoint",
    )  # fmt: skip
    assert held.returncode == 0, held.stderr
    ended = user.does("bench", "report", "quick", "--compare-hardware", "-o", "boards.html")
    assert ended.returncode == 0, ended.stderr
    page = (user.home / "work" / "boards.html").read_text()
    assert "Board by board" in page
    assert "x86 / x86-1core-2g" in page


def test_gate_in_ci(user):
    """Two commits of a network of one's own: green against itself, red where it keeps more."""

    def git(*words):
        name = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", *name, *words]
        subprocess.run(command, cwd=user.home / "work", check=True, capture_output=True)

    user.writes(".gitignore", "bench-out\nthere\n")
    user.writes(
        "suites/gate.yaml",
        "schema: 1\ntitle: Gate\nmodels: [./net.py:net: {batch: 4}]\nmethods: [vanilla]\n",
    )
    git("init", "-q")
    for tag, more in {"before": "", "after": ", nn.Sigmoid()"}.items():
        layers = f"nn.Flatten(), nn.Linear(3 * 224 * 224, 10){more}"
        user.writes(
            "suites/net.py",
            f"from torch import nn\n\ndef net():\n    return nn.Sequential({layers})\n",
        )
        git("add", "-A")
        git("commit", "-qm", tag)
        git("tag", tag)
    asked = ("--suite", "gate", "--budget", "1s")
    same = user.does("bench", "ab", ".", ".", *asked)
    assert same.returncode == 0, same.stderr
    fat = user.does("bench", "ab", "before", "after", *asked)
    assert fat.returncode == 4, fat.stderr
    assert "regressed: net.py:net/vanilla/all/b4/s0: activation_bytes:" in fat.stdout
