"""The search path of declarations: a named folder, then the working directory's, then ours."""

import os
from collections.abc import Iterator
from pathlib import Path

from ondevice_bench.errors import BadInput, unknown

SUFFIXES = (".yaml", ".yml")
LONGEST_NAME = 1_000  # of characters; longer ones are no paths


def builtin(kind: str) -> Path:
    """This distribution's own folder of this kind."""
    package = Path(__file__).parents[1]
    packaged = package / "builtin" / kind
    return packaged if packaged.is_dir() else package.parents[1] / kind


def search_path(kind: str, extra: Path | None = None) -> tuple[Path, ...]:
    """The folders of this kind, the first match first, each folder only once."""
    if extra is not None and not extra.is_dir():
        raise BadInput(f"{extra}: not a folder of {kind}")
    candidates = [extra] if extra is not None else []
    candidates += [Path(kind), builtin(kind)]
    unique: dict[Path, Path] = {}
    for folder in candidates:
        if folder.is_dir():
            unique.setdefault(folder.resolve(), folder)
    return tuple(unique.values())


def declared(kind: str, extra: Path | None = None) -> dict[str, Path]:
    """The declarations of this kind by name, the stem of the file. The nearer folder wins."""
    paths: dict[str, Path] = {}
    for folder in search_path(kind, extra):
        for path in _files(folder):
            paths.setdefault(path.stem, path)
    return paths


def locate(kind: str, name: str | Path, extra: Path | None = None) -> Path:
    """The file of a declaration, by its stem or its path."""
    name = str(name)
    paths = declared(kind, extra)
    if name in paths:
        return paths[name]
    path, kind_of_file = Path(name), Path(kind).name.rstrip("s")
    if not name:
        raise BadInput(f"the name of a {kind_of_file} is empty")
    if len(name) > LONGEST_NAME:
        raise BadInput(f"a {kind_of_file}'s name has {len(name):,} characters: {name[:40]}…")
    if os.path.isfile(path):  # unlike `is_file`, it takes any name
        return path
    if os.path.isdir(path):
        raise BadInput(f"{name}: is a folder, not a {kind_of_file} file")
    if "/" in name or name.endswith(SUFFIXES):
        raise BadInput(f"{name}: no such file")
    raise BadInput(unknown(kind_of_file, name, paths))


def resource(name: str) -> Path:
    """A file of the reports folder (`theme/theme.css`), the working directory's first."""
    for folder in search_path("reports"):
        path = folder / name
        if path.is_file():
            return path
    raise BadInput(f"reports/{name}: no such file")


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES and p.is_file())
