"""The virtual environment of a source tree: its own installation comes before ours.

Everything else comes from the environment that runs us, so that torch is not downloaded twice. The
workers of the tree find this package there, too.
"""

import contextlib
import os
import shlex
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import ondevice_bench
from ondevice_bench.ab.worktree import Tree
from ondevice_bench.errors import BadInput
from ondevice_bench.running.hosts.interpreter import Interpreter, python_path
from ondevice_bench.running.hosts.processes import finished
from ondevice_bench.running.work_folder import work_folder


@contextlib.contextmanager
def environment_of(tree: Tree, install: str, note: Callable[[str], None]) -> Iterator[Interpreter]:
    """Make the environment and run the command in the tree; it is gone when this ends."""
    words = _words(install)
    with work_folder("env") as folder:
        root = folder / "env"
        _run([sys.executable, "-m", "venv", str(root)], tree, dict(os.environ), "an environment")
        _see_ours(root)
        own = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONHOME"},
            "PYTHONPATH": os.pathsep.join(python_path(hidden=tree.top)),
            "VIRTUAL_ENV": str(root),
            "PATH": os.pathsep.join([str(root / "bin"), os.environ.get("PATH", os.defpath)]),
        }
        note(f"{tree.ref}: {install}")
        _run(words, tree, own, f"--install {install!r}")
        # without the tree's sources: what was installed may be more than they are
        yield Interpreter(str(root / "bin" / "python"), hidden=tree.top)


def _words(install: str) -> list[str]:
    try:
        words = shlex.split(install)
    except ValueError as error:
        raise BadInput(f"--install {install!r}: {error}") from None
    if not words:
        raise BadInput("--install: must be a command, such as 'pip install -e .'")
    return words


def _see_ours(root: Path) -> None:
    """Let the environment import what is installed here, after what is installed there."""
    (theirs,) = root.glob("lib/python*/site-packages")
    ours = sysconfig.get_paths()["purelib"]
    # addsitedir also follows the paths that editable installations leave there; files like this
    # one are read by their names, and the tree's own installation must come first
    package = Path(ondevice_bench.__file__).parents[1]
    lines = [f"import site; site.addsitedir({ours!r})", str(package)]
    (theirs / "zzzz_bench.pth").write_text("\n".join(lines) + "\n")


def _run(words: list[str], tree: Tree, environment: dict[str, str], what: str) -> None:
    """Run a command in the tree; BadInput with the last line that it printed if it fails."""
    try:
        ended = finished(words, cwd=tree.root, env=environment)
    except OSError as error:
        raise BadInput(f"{tree.ref}: {what}: {words[0]}: {error.strerror}") from None
    if ended.status:
        raise BadInput(f"{tree.ref}: {what} ended with {ended.status}: {ended.last_line}")
