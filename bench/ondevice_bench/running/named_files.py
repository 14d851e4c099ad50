"""The user's files behind the hashes in a cell's names, and whether they have changed since.

A worker loads a file as it is then. So another version would be measured under the old name.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeAlias

from ondevice_bench.errors import BadInput
from ondevice_bench.specs import code_version, composition, registry, sources
from ondevice_bench.specs import data as data_sources
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.method import MethodSpec
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite.cell import Cell

_Look: TypeAlias = dict[Path, tuple[int, int, int]]  # inode, time of the last change, and size


class NamedFiles:
    """The files of a run. A file that looks as when it had its hash is not read again."""

    def __init__(self, data: DataSource, weights: Mapping[str, WeightSource]) -> None:
        self._data = data
        self._weights = weights
        self._looks: dict[Path, _Look] = {}  # of each file and what it imports, with its hash

    def require_unchanged(self, cell: Cell) -> None:
        """BadInput if a file of the cell's code or weights is not the one that was named."""
        for file, digest in _code_of(cell):
            self._require(file, digest, sources.digest, sources.files)
        self._require_unchanged_package(cell)
        source = self._weights.get(cell.weights, WeightSource())
        if source.path is not None and source.digest:
            self._require(source.path, source.digest, _digest, lambda file: [file])

    def require_unchanged_data(self) -> None:
        """BadInput if the data are not those that were named."""
        path, digest = self._data.path, self._data.digest
        if path is None or not digest:
            return
        try:
            found = data_sources.parse({self._data.kind: str(path)}, path.parent).digest
        except (OSError, ValueError):
            _refuse(path)
        if found != digest:
            _refuse(path)

    def _require_unchanged_package(self, cell: Cell) -> None:
        """The same for a network of an installed package, if it is measured on this machine."""
        spec = registry.model(cell.model)
        module, file = code_version.file_of(spec.name), Path(spec.code_file)
        digest_of = partial(sources.digest_of_module, module)
        if not cell.code or not (file in self._looks or _is_here(file, cell.code, digest_of)):
            return
        self._require(file, cell.code, digest_of, partial(sources.files_of_module, module))

    def _require(
        self,
        file: Path,
        digest: str,
        digest_of: Callable[[Path], str],
        files_of: Callable[[Path], list[Path]],
    ) -> None:
        known = self._looks.get(file, {})
        try:
            if known and _look(known) == known:
                return
            look = _look(files_of(file))
            found = digest_of(file)
        except OSError:
            _refuse(file)
        if found != digest:
            _refuse(file, len(look) > 1)
        self._looks[file] = look


def _code_of(cell: Cell) -> Iterator[tuple[Path, str]]:
    """The user's file behind the model and each method, with the hash in its name."""
    specs: tuple[ModelSpec | MethodSpec, ...] = (
        registry.model(cell.model),
        *composition.specs(cell.method),
    )
    for spec in specs:
        _, digest = code_version.split(spec.name)
        if digest:
            yield Path(code_version.file_of(spec.implementation)), digest


def _is_here(file: Path, digest: str, digest_of: Callable[[Path], str]) -> bool:
    """Whether the described file is one of this machine: a board has files of its own."""
    try:
        return file.is_file() and digest_of(file) == digest
    except OSError:
        return False


def _look(files: Iterable[Path]) -> _Look:
    found = ((file, file.stat()) for file in files)
    return {file: (each.st_ino, each.st_mtime_ns, each.st_size) for file, each in found}


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:8]


def _refuse(file: Path, imports_others: bool = False) -> NoReturn:
    what = f"{file} or a file that it imports" if imports_others else str(file)
    raise BadInput(
        f"{what} changed since the run began: stored results stay; run the command again to "
        "measure the new version"
    )
