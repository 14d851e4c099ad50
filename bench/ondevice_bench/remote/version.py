"""Which `bench` and which torch a machine has, without importing torch."""

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import InvalidVersion

import ondevice_bench

DISTRIBUTION = "ondevice-bench"
ROOT = Path(ondevice_bench.__file__).resolve().parent
# suites, profiles and layouts are the desk's: a board reads none of them
_NOT_CODE = ("builtin", "__pycache__")


@cache
def code_digest() -> str:
    """A hash of every file of this package, equal wherever the same `bench` is installed."""
    found = hashlib.sha256()
    for path in code_files():
        name, content = path.relative_to(ROOT).as_posix(), path.read_bytes()
        found.update(f"{name}\n{len(content)}\n".encode() + content)
    return found.hexdigest()[:16]


def code_files() -> list[Path]:
    """The files of this package, in order."""
    files = (path for path in ROOT.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return sorted(path for path in files if not {*_NOT_CODE} & {*path.relative_to(ROOT).parts})


def torch_version() -> str:
    """The version of the installed torch; empty if there is none."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""


def why_no_torch(theirs: str, arch: str) -> str:
    """Why a board with this torch is not measured; empty if it may be.

    A board of the desk's architecture must have the desk's release. Another architecture has
    releases of its own: there it must be one that this `bench` asks for.
    """
    if not theirs:
        return "has no torch"
    ours = torch_version()
    if arch == platform.machine():
        is_equal = theirs.partition("+")[0] == ours.partition("+")[0]
        return "" if is_equal else f"has torch {theirs}, here it is {ours}"
    wanted = torch_requirement(arch)
    if wanted and not _satisfies(theirs, wanted):
        return f"has torch {theirs}, this bench needs {wanted} there"
    return ""


def _satisfies(theirs: str, wanted: str) -> bool:
    try:
        return Requirement(wanted).specifier.contains(theirs, prereleases=True)
    except InvalidVersion:
        return False


def torch_requirement(arch: str) -> str:
    """The torch that this `bench` asks for on an architecture."""
    for text in requires(DISTRIBUTION) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if requirement.name == "torch" and (
            marker is None or marker.evaluate({"platform_machine": arch, "extra": ""})
        ):
            return f"torch{requirement.specifier}"
    return ""
