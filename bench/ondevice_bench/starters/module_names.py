"""The names that a file of Python defines, without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path


def names_of_module(file: Path) -> frozenset[str] | None:
    """The names at the top of the file; None if only running it would show them all."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    names = frozenset(_names(tree))
    return None if names & {"*", "__getattr__", "globals", "exec", "vars"} else names


def _names(tree: ast.Module) -> Iterator[str]:
    """Each name that the file writes anywhere: a branch or a loop may define it, too."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.alias():
                yield (node.asname or node.name).partition(".")[0]
            case ast.Name():
                yield node.id
