"""The line of a file that belongs to a row of a gate.

It is in the code that changed, or else in the baseline, or else it is the line of the suite that
names the model. Only files in the repository have a place.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ondevice_bench.record.baseline import SUFFIX
from ondevice_bench.report.gate.outcome import Place
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.code import code_of

LONGEST_FOLDER = 200  # characters of a path before the name of its file
LARGEST = 16 << 20  # bytes of a file that is searched


@dataclass(frozen=True)
class Sources:
    """A suite's text, its file if that is known, and the root of the repository."""

    text: str
    file: Path | None
    root: Path

    def names(self, cell: Cell) -> bool:
        """Whether the suite names the model of the cell."""
        files = [each.file for each in code_of(cell)]
        return any(_names(self.text, name) for name in (*files, cell.model))

    def place_of(self, cell: Cell, changed: Iterable[str] = ()) -> Place | None:
        """The place of a cell. `changed` has the files of its code that have another version."""
        names = [*changed]
        for name in names:
            found = self._code(name)
            if found is not None:
                return found
        return self._in_suite([*names, *(each.file for each in code_of(cell)), cell.model])

    def _code(self, name: str) -> Place | None:
        """The file of the user's code, which the suite names relative to its own folder."""
        if self.file is None:
            return None
        for found in re.finditer(re.escape(name), self.text):
            before = self.text[max(0, found.start() - LONGEST_FOLDER) : found.start()]
            folder = re.search(r"[\w./-]*$", before)
            path = self._below_root(self.file.parent / f"{folder[0] if folder else ''}{name}")
            if path is not None:
                return Place(path, 1)
        return None

    def _in_suite(self, names: Iterable[str]) -> Place | None:
        path = None if self.file is None else self._below_root(self.file)
        if path is None:
            return None
        # comments quote the suites that it extends, and these lines are in other files
        lines = [(n, line) for n, line in enumerate(self.text.splitlines(), 1) if line[:1] != "#"]
        found = (n for name in names for n, line in lines if _names(line, name))
        return Place(path, next(found, 1))

    def _below_root(self, path: Path) -> str | None:
        """The path relative to the root; None if no such file is below it."""
        resolved, root = Path(os.path.normpath(self.root / path)), self.root.resolve()
        if not resolved.is_file() or not resolved.resolve().is_relative_to(root):
            return None
        return str(resolved.resolve().relative_to(root))


def _names(line: str, name: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", line) is not None


def repository_root(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder to which paths on GitHub are relative, or else the working directory."""
    return Path(environment.get("GITHUB_WORKSPACE") or Path.cwd())


def first_line_of(path: Path) -> Place | None:
    """The first line of a file; None if there is no such file in the repository."""
    resolved, root = path.resolve(), repository_root().resolve()
    if not resolved.is_file() or not resolved.is_relative_to(root):
        return None
    return Place(str(resolved.relative_to(root)), 1)


def suite_file(name: str) -> Path | None:
    """The file of a suite in the working directory; None if it is not there."""
    path = Path.cwd() / "suites" / f"{name}.yaml"
    return path if path.is_file() else None


def lines_of_baseline(reference: str, root: Path) -> dict[tuple[str, str], Place]:
    """The line of each metric in the file of a baseline, by cell and metric."""
    path = Path(reference).resolve()
    is_below = path.is_relative_to(root.resolve())
    if not reference.endswith(SUFFIX) or not is_below or path.stat().st_size > LARGEST:
        return {}
    file, places, cell = str(path.relative_to(root.resolve())), {}, ""
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if line.lstrip().startswith('"definition": {'):
            found = re.search(r'"id": "((?:[^"\\]|\\.)*)"', line)
            cell = json.loads(f'"{found[1]}"') if found else ""
        elif found := re.match(r'\s*"[^"/]+/([^"/]+)": {"', line):
            places[cell, found[1]] = Place(file, number)
    return places
