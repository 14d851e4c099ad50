"""The files behind a user's file: what it imports from its folder. None of them runs for this."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path


def digest(file: Path) -> str:
    """A hash of the file and of the files that it imports from its folder; OSError if unreadable.

    A file that imports none has the hash of its content.
    """
    content = file.read_bytes()
    found = hashlib.sha256(content)
    if file.suffix == ".py":
        for other in _beside(file):
            name, content = other.relative_to(file.parent), other.read_bytes()
            found.update(f"\n{name} {len(content)}\n".encode() + content)
    return found.hexdigest()[:8]


def files(file: Path) -> list[Path]:
    """The file, and those that it imports from its folder."""
    return [file, *(_beside(file) if file.suffix == ".py" else ())]


def digest_of_module(name: str, file: Path) -> str:
    """A hash of a module and of what it imports from its package; OSError if unreadable.

    The files are named as seen from the folder of the package, so the hash is equal everywhere.
    """
    found, root = hashlib.sha256(), _root_of_package(name, file)
    for each in files_of_module(name, file):
        content = each.read_bytes()
        found.update(f"\n{each.relative_to(root)} {len(content)}\n".encode() + content)
    return found.hexdigest()[:8]


def files_of_module(name: str, file: Path) -> list[Path]:
    """The file of a module, and those that it imports from its package."""
    if file.suffix != ".py":
        return [file]
    root, words = _root_of_package(name, file), name.split(".")
    start = {file, *(each for each in _files(root, words) if each.name == "__init__.py")}
    return sorted(_reached(start, root, words[0]))


def classes(file: Path) -> list[str]:
    """The classes that a file defines, by its syntax."""
    tree = _parsed(file)
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)] if tree else []


def may_have(file: Path, name: str) -> bool:
    """Whether a file may give an object this name, by its syntax."""
    tree = _parsed(file)
    return tree is None or bool({name, "*", "__getattr__"} & set(_names(tree)))


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name


def _parsed(file: Path) -> ast.Module | None:
    """The syntax of a file. If it has none, the process that loads it says so."""
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return None


def _beside(file: Path) -> list[Path]:
    """The other files of its folder that the file imports, and those that these import."""
    return sorted(_reached({file}, file.parent) - {file})


def _root_of_package(name: str, file: Path) -> Path:
    """The folder that holds the outermost package of a module."""
    depth = name.count(".") + (file.name == "__init__.py")
    return file.parents[min(depth, len(file.parents) - 1)]


def _reached(start: set[Path], folder: Path, package: str = "") -> set[Path]:
    """These files and what they import from the folder, or from one package there."""
    known, new = set(start), list(start)
    while new:
        imported = set(_imported(new.pop(), folder, package)) - known
        known |= imported
        new += imported
    return known


def _imported(file: Path, folder: Path, package_alone: str) -> Iterator[Path]:
    tree = _parsed(file)
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Import(names=names):
                dotted = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), names=names, level=0):
                dotted = [f"{module}.{alias.name}" for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                # relative to the package of the file
                package = file.relative_to(folder).parts[:-level]
                dotted = [".".join(filter(None, (*package, module, alias.name))) for alias in names]
            case _:
                continue
        for name in dotted:
            words = name.split(".")
            if package_alone in ("", words[0]):
                yield from _files(folder, words)


def _files(folder: Path, words: list[str]) -> Iterator[Path]:
    """The files of a dotted name: those of its packages, and its own."""
    if words[0] in sys.stdlib_module_names:
        return
    place = folder
    for word in words:
        place /= word
        for file in (place.with_name(f"{word}.py"), place / "__init__.py"):
            if file.is_file():
                yield file
