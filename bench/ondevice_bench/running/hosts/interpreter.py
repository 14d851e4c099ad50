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
    """A Python in which workers run, and the folders from which it imports first."""

    program: str = sys.executable
    sources: tuple[Path, ...] = ()


OURS = Interpreter()


def worker_environment(
    threads: int, sources: Sequence[Path] = (), allocator: str = ""
) -> dict[str, str]:
    """The environment of a worker: allowed variables, the profile's threads, and the allocator.

    Python imports from `sources` first, and then from this very `bench`. Another `bench` may be
    installed.
    """
    inherited = {name: os.environ[name] for name in ALLOWED_ENVIRONMENT if name in os.environ}
    installed = {*site.getsitepackages(), site.getusersitepackages()}
    ours = [] if str(_ROOT) in installed else [_ROOT]
    path = [*map(str, [*sources, *ours]), *filter(None, [inherited.get("PYTHONPATH")])]
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
