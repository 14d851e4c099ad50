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
    known, new = {file}, [file]
    while new:
        imported = set(_imported(new.pop(), file.parent)) - known
        known |= imported
        new += imported
    return sorted(known - {file})


def _imported(file: Path, folder: Path) -> Iterator[Path]:
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
            yield from _files(folder, name.split("."))


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
