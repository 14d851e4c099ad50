"""The rules of docs/architecture.md: who may import whom, and what a process carries."""

import ast
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ondevice_bench

PACKAGE = Path(ondevice_bench.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)

ROW = re.compile(r"^\| `([\w/]+)` \| (both|parent|worker) \|([^|]*)\|", re.MULTILINE)
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"


@dataclass(frozen=True)
class Room:
    """A row of the table in docs/architecture.md."""

    process: str
    may_import: frozenset[str]


ROOMS = {
    name.replace("/", "."): Room(process, frozenset(re.findall(r"`(\w+)`", allowed)))
    for name, process, allowed in ROW.findall(ARCHITECTURE.read_text())
}
OPEN = {
    "errors",
    "units",
    "bounded_json",
    "strict_json",
    "stats",
    "metrics",
    "passes",
    "allocators",
    "notebook",
}  # they import nothing
HEAVY = {
    "torch",
    "pandas",
    "scipy",
    "ruptures",
    "sklearn",
    "plotly",
    "jinja2",
    "dask",
    "distributed",
}
ENGINE = "ondevice_bench.fleet.engine"  # what `bench fleet run` loads, and nobody else
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


def room_of(module: str) -> str:
    """The room of a module; the package itself is the public face and belongs to none."""
    name = module.removeprefix("ondevice_bench").removeprefix(".")
    rooms = [room for room in ROOMS if name == room or name.startswith(f"{room}.")]
    return max(rooms, key=len, default=name)


IN_ROOMS = [name for name in MODULES if name != "ondevice_bench"]
WORKER_MODULES = [name for name in IN_ROOMS if ROOMS[room_of(name)].process == "worker"]
PARENT_MODULES = [
    name
    for name in IN_ROOMS
    if ROOMS[room_of(name)].process != "worker" and name not in ("ondevice_bench.__main__", ENGINE)
]


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


def test_the_table_and_the_folders_tell_the_same_story():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert {name.partition(".")[0] for name in ROOMS} == folders | files


@pytest.mark.parametrize("module", IN_ROOMS)
def test_a_module_imports_only_what_its_room_may(module):
    room = room_of(module)
    allowed = {room, "", *OPEN, *ROOMS[room].may_import}
    rooms = {room_of(name) for name in _imports(module)}
    assert rooms <= allowed, f"{module} imports from {sorted(rooms - allowed)}"


def test_the_table_allows_nothing_that_no_module_needs():
    for name, room in ROOMS.items():
        used = {
            room_of(other) for each in IN_ROOMS if room_of(each) == name for other in _imports(each)
        }
        assert room.may_import <= used, f"{name} needs no {sorted(room.may_import - used)}"
        assert not OPEN & room.may_import
    assert all(not ROOMS[name].may_import for name in OPEN)


def test_no_two_rooms_import_each_other():
    order = TopologicalSorter({name: room.may_import for name, room in ROOMS.items()})
    order.prepare()


def test_no_module_of_the_parent_brings_torch_or_what_only_reports_need():
    # all in one interpreter: what none of them brings, no single one brings
    script = (
        "import importlib, json, sys\n"
        "modules, heavy = json.loads(sys.argv[1])\n"
        "for name in modules:\n"
        "    importlib.import_module(name)\n"
        "    loaded = {each.partition('.')[0] for each in sys.modules}\n"
        "    assert not loaded & set(heavy), f'{name} brings {loaded & set(heavy)}'\n"
    )
    arguments = json.dumps([PARENT_MODULES, sorted(HEAVY)])
    done = subprocess.run(
        [sys.executable, "-c", script, arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


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
