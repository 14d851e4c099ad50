"""Where declarations are looked for: a folder that is named, the working directory's, then ours."""

from collections.abc import Iterator
from pathlib import Path

from ondevice_bench.errors import BadInput, unknown

SUFFIXES = (".yaml", ".yml")


def builtin(kind: str) -> Path:
    """The folder of that kind that this distribution carries."""
    package = Path(__file__).parents[1]
    packaged = package / "builtin" / kind
    return packaged if packaged.is_dir() else package.parents[1] / kind


def search_path(kind: str, extra: Path | None = None) -> tuple[Path, ...]:
    """The folders of that kind, first match first; each folder once."""
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
    """Every declaration of that kind by its name (the file's stem); the nearer folder wins."""
    found: dict[str, Path] = {}
    for folder in search_path(kind, extra):
        for path in _files(folder):
            found.setdefault(path.stem, path)
    return found


def locate(kind: str, name: str, extra: Path | None = None) -> Path:
    """The file that `name` (a stem or a path) stands for."""
    found = declared(kind, extra)
    if name in found:
        return found[name]
    path, one = Path(name), Path(kind).name.rstrip("s")
    if path.is_file():
        return path
    if path.is_dir():
        raise BadInput(f"{name}: is a folder, not a {one} file")
    if "/" in name or name.endswith(SUFFIXES):
        raise BadInput(f"{name}: no such file")
    raise BadInput(unknown(one, name, found))


def resource(name: str) -> Path:
    """A file of the report's room (`templates/page.html.j2`), the working directory's first."""
    for folder in search_path("reports"):
        path = folder / name
        if path.is_file():
            return path
    raise BadInput(f"reports/{name}: no such file")


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES and p.is_file())
