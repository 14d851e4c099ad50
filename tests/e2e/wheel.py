"""An environment that holds the wheel and the packages that it declares, and nothing else.

The packages are links to those of the environment that runs the tests. So an environment takes
seconds, and a package that the wheel does not declare is missing from it.
"""

import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def build_wheel(checkout: Path, folder: Path) -> Path:
    """Build the wheel of a checkout into a folder."""
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, checkout)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> None:
    """Make the environment, install the wheel there, and link what the wheel needs."""
    venv.create(environment, with_pip=False)
    python = environment / "bin/python"
    words = ("install", "-q", "--no-deps", "--no-compile", wheel)
    _run(sys.executable, "-m", "pip", "--python", python, *words)
    (packages,) = environment.glob("lib/python*/site-packages")
    (metadata,) = packages.glob("ondevice_bench-*.dist-info")
    for needed in _needed(Distribution.at(metadata), "", {}).values():
        for name in _top_level(needed):
            link = packages / name
            if not link.exists():
                link.symlink_to(str(needed.locate_file(name)))


def _needed(
    package: Distribution, extra: str, seen: dict[tuple[str, str], Distribution]
) -> dict[tuple[str, str], Distribution]:
    """What a package requires on this machine, and what that requires."""
    for line in package.requires or ():
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *sorted(requirement.extras)):
            if (requirement.name, wanted) not in seen:
                found = distribution(requirement.name)
                seen[requirement.name, wanted] = found
                _needed(found, wanted, seen)
    return seen


def _top_level(package: Distribution) -> Iterator[str]:
    """The folders and modules that a package puts next to others."""
    parts = {file.parts[0] for file in package.files or ()}
    yield from sorted(parts - {"..", "__pycache__"})


def _run(*words: object) -> None:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
