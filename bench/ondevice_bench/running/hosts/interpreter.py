"""The Python that workers run in, and what they inherit."""

import os
import site
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ondevice_bench
from ondevice_bench.hardware.allocator_libraries import variables_of

_ROOT = Path(ondevice_bench.__file__).resolve().parent.parent

# what a worker may inherit; threads come from the profile, everything else is left behind
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
    """What workers run in: a Python, and where it imports from before all else."""

    program: str = sys.executable
    sources: tuple[Path, ...] = ()


OURS = Interpreter()


def worker_environment(
    threads: int, sources: Sequence[Path] = (), allocator: str = ""
) -> dict[str, str]:
    """The environment of every worker: what is allowed, the profile's threads, and the allocator.

    `sources` are where it imports from before all else; then comes this very `bench`, which may be
    another than the one that is installed.
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
    """The command that runs one of our modules in that Python."""
    # -P: nothing in the working directory may take the place of a module that a worker imports
    return [program, "-P", "-m", module, *map(str, arguments)]
