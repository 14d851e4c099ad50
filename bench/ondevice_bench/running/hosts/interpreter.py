"""The Python in which workers run, and what they inherit."""

import os
import site
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ondevice_bench
from ondevice_bench.hardware.allocator_libraries import variables_of

_ROOT = Path(ondevice_bench.__file__).resolve().parent.parent

# the variables that a worker may inherit; the profile gives the threads; all others are left out
ALLOWED_ENVIRONMENT = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PYTHONPATH",
)


@dataclass(frozen=True)
class Interpreter:
    """A Python in which workers run, and the folders from which it imports first.

    `hidden` is the tree that a Python with an environment of its own must not import from.
    """

    program: str = sys.executable
    sources: tuple[Path, ...] = ()
    hidden: Path | None = None


OURS = Interpreter()


def python_path(hidden: Path | None = None) -> list[str]:
    """The entries of PYTHONPATH, without those below the hidden tree."""
    inherited = os.environ.get("PYTHONPATH")
    entries = inherited.split(os.pathsep) if inherited else []
    if hidden is None:
        return entries
    tree = hidden.resolve()
    return [entry for entry in entries if not Path(entry).resolve().is_relative_to(tree)]


def worker_environment(
    threads: int,
    sources: Sequence[Path] = (),
    allocator: str = "",
    hidden: Path | None = None,
) -> dict[str, str]:
    """The environment of a worker: allowed variables, the profile's threads, and the allocator.

    Python imports from `sources` first, and then from this very `bench`. Another `bench` may be
    installed. An environment of its own (`hidden`) has its own `bench`.
    """
    inherited = {name: os.environ[name] for name in ALLOWED_ENVIRONMENT if name in os.environ}
    installed = {*site.getsitepackages(), site.getusersitepackages()}
    ours = [] if hidden is not None or str(_ROOT) in installed else [_ROOT]
    inherited.pop("PYTHONPATH", None)
    path = [*map(str, [*sources, *ours]), *python_path(hidden)]
    return {
        **inherited,
        **({"PYTHONPATH": os.pathsep.join(path)} if path else {}),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONHASHSEED": "0",
        **variables_of(allocator),
    }


def python_command(program: str, module: str, *arguments: object) -> list[str]:
    """The command that runs one of our modules in a Python."""
    # -P: nothing in the working directory may take the place of a module that a worker imports
    return [program, "-P", "-m", module, *map(str, arguments)]
