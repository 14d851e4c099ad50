"""The rules of docs/architecture.md: who may import whom, and what a process carries."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import ondevice_bench

PACKAGE = Path(ondevice_bench.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)

BOTTOM = {"errors", "files", "units", "stats", "terminal", "declare", "specs", "suite", "hardware"}
# a room imports from itself, from the bottom, and from these
ABOVE = {
    "data": set(),
    "methods": {"models", "measure"},
    "models": {"data"},
    "measure": set(),
    "record": set(),
    "run": {"record", "measure", "methods", "models", "data"},
    "analyse": {"record"},
    "report": {"analyse", "record"},
    "cli": {"report", "analyse", "record", "run"},
    "testing": {"report", "analyse", "record", "run"},
    "pytest_plugin": {"testing"},
    "__main__": {"cli"},
}
# within the bottom: lower rooms first
LOWER = {
    "errors": set(),
    "files": {"errors"},
    "units": set(),
    "stats": set(),
    "terminal": set(),
    "declare": {"errors"},
    "specs": {"errors"},
    "suite": {"errors", "units", "declare", "specs"},
    "hardware": {"errors", "units", "declare"},
}
HEAVY = {"torch", "pandas", "scipy", "ruptures", "sklearn", "plotly", "jinja2"}
PARENT_ONLY = {
    "pydantic",
    "pandas",
    "scipy",
    "ruptures",
    "sklearn",
    "plotly",
    "typer",
    "rich",
    "ruamel",
}
# these modules are loaded inside a worker, and in none of the parent's own
WORKER_MODULES = [
    name
    for name in MODULES
    if name.startswith(
        (
            "ondevice_bench.measure.",
            "ondevice_bench.models.",
            "ondevice_bench.methods.",
            "ondevice_bench.worker.passes.",
        )
    )
    or name
    in {
        "ondevice_bench.worker.describe",
        "ondevice_bench.worker.fake_workload",
        "ondevice_bench.worker.user_step",
        "ondevice_bench.worker.worker",
        "ondevice_bench.worker.zygote",
        "ondevice_bench.worker.workload",
        "ondevice_bench.worker.runtime",
    }
]
TORCH_MODULES = (
    {name for name in WORKER_MODULES if not name.startswith("ondevice_bench.run.")}
    | {name for name in MODULES if name.startswith("ondevice_bench.worker.passes.")}
    | {
        "ondevice_bench.worker.workload",
        "ondevice_bench.worker.fake_workload",
        "ondevice_bench.worker.user_step",
    }
    | {"ondevice_bench.worker.describe"}
)


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "bench"


def _imports(module: str) -> set[str]:
    """The modules of bench that a module names in any import statement, wherever it stands."""
    base = PACKAGE.parent / Path(*module.split("."))
    path = base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module} imports relatively"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name in MODULES}


@pytest.mark.parametrize("module", [name for name in MODULES if name != "bench"])
def test_imports_point_one_way(module):
    room = _room(module)
    allowed = {room, "bench"} | (LOWER[room] if room in LOWER else BOTTOM | ABOVE[room])
    rooms = {_room(name) for name in _imports(module)}
    assert rooms <= allowed, f"{module} imports from {sorted(rooms - allowed)}"


def _loaded_by(modules: list[str]) -> dict[str, list[str]]:
    """Import each module in a fresh interpreter; the top-level packages that each one brings."""
    script = (
        "import importlib, json, os, sys\n"
        "result = {}\n"
        "for name in json.loads(sys.argv[1]):\n"
        "    read, write = os.pipe()\n"
        "    if os.fork() == 0:\n"
        "        importlib.import_module(name)\n"
        "        tops = sorted({m.partition('.')[0] for m in sys.modules})\n"
        "        os.write(write, json.dumps(tops).encode())\n"
        "        os._exit(0)\n"
        "    os.close(write)\n"
        "    with open(read) as pipe:\n"
        "        result[name] = json.loads(pipe.read())\n"
        "    os.wait()\n"
        "print(json.dumps(result))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(modules)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_no_module_of_the_parent_brings_torch_or_what_only_reports_need():
    # each import runs in a child forked from an interpreter that has imported nothing
    parents = [
        name for name in MODULES if name not in TORCH_MODULES and name != "ondevice_bench.__main__"
    ]
    for name, tops in _loaded_by(parents).items():
        assert not HEAVY & set(tops), f"{name} brings {sorted(HEAVY & set(tops))}"


def test_no_module_of_a_worker_brings_what_the_parent_works_with():
    # all in one interpreter: importing torch takes a second
    script = "import sys\n" + "".join(f"import {name}\n" for name in WORKER_MODULES)
    script += "print(*{name.partition('.')[0] for name in sys.modules})\n"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert not PARENT_ONLY & loaded


def test_help_brings_neither_torch_nor_pandas_nor_plotly_nor_pydantic():
    script = (
        "import sys\n"
        "from ondevice_bench.cli import main\n"
        "sys.argv = ['bench', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print('LOADED', *sorted({m.partition('.')[0] for m in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.partition("LOADED")[2].split())
    assert not loaded & {"torch", "numpy", "pandas", "plotly", "pydantic", "ruamel", "jinja2"}
