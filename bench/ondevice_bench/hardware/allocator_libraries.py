"""Where the libraries of allocators lie on this machine, and how a process gets one.

All files are looked up below `root`, so that a folder can replace another machine.
"""

import os
import re
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from ondevice_bench import allocators
from ondevice_bench.allocators import Allocator

PRELOAD = "LD_PRELOAD"


def missing_allocators(
    environment: Mapping[str, str] = os.environ, root: Path = Path("/")
) -> dict[str, str]:
    """Why a worker cannot have an allocator, by its name; those that it can have are left out."""
    reasons = {
        each.name: _why_missing(each, environment, root) or _why_in_conflict(each, environment)
        for each in allocators.ALL
    }
    return {name: reason for name, reason in reasons.items() if reason}


def variables_of(allocator: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables with which a process gets the allocator; none if no allocator is named.

    What the user preloads stays, behind the library of the allocator.
    """
    if not allocator:
        return {}
    chosen = allocators.BY_NAME[allocator]
    library = library_of(chosen, environment)
    if library is None:
        return dict(chosen.environment)
    return {
        **chosen.environment,
        PRELOAD: ":".join([str(library), *preloaded(environment)]),
    }


def library_of(
    allocator: Allocator, environment: Mapping[str, str] = os.environ, root: Path = Path("/")
) -> Path | None:
    """The file of the allocator's library; None if there is none, or if it needs none."""
    found = (
        folder / name for name in allocator.libraries for folder in _folders(environment, root)
    )
    return next((path for path in found if path.is_file()), None)


def preloaded(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What the user preloads into every process."""
    return tuple(filter(None, re.split(r"[:\s]+", environment.get(PRELOAD, ""))))


def _why_missing(allocator: Allocator, environment: Mapping[str, str], root: Path) -> str:
    if not allocator.libraries or library_of(allocator, environment, root):
        return ""
    first, *others = allocator.packages
    newer = f" (in newer releases {', '.join(others)})" if others else ""
    return f"{allocator.name} is not installed here: sudo apt-get install {first}{newer}"


def _why_in_conflict(allocator: Allocator, environment: Mapping[str, str]) -> str:
    own = [path for path in preloaded(environment) if allocators.replaces_malloc(Path(path).name)]
    if not own:
        return ""
    return (
        f"{PRELOAD} of your environment has an allocator already ({own[0]}), so a process cannot "
        f"have {allocator.name}: unset {PRELOAD}, or name no allocator"
    )


def _folders(environment: Mapping[str, str], root: Path) -> tuple[Path, ...]:
    """Where the system's loader finds libraries: the user's folders, then its own."""
    users = filter(None, environment.get("LD_LIBRARY_PATH", "").split(":"))
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    own = ("usr/local/lib", f"lib/{multiarch}", f"usr/lib/{multiarch}", "usr/lib64", "usr/lib")
    return (*map(Path, users), *(root / folder for folder in own))
