"""The keyword arguments of a class in a user's file, by its syntax: the file does not run."""

import ast
from pathlib import Path

from ondevice_bench.specs.rank_rules import ACTIVATION, WEIGHT, rank_options

_RANK_RULES = frozenset(option.name for option in rank_options({ACTIVATION, WEIGHT}))
_PLAIN_BASES = {"Method", "LayerMethod"}  # ours: they have no ranks


def options_of_method(file: Path, name: str) -> frozenset[str] | None:
    """The options of a method in a file, with the rank rules if it may have ranks.

    None if the file alone does not say it: the class inherits its `__init__`, or takes any keyword.
    """
    node = _class(file, name)
    known = None if node is None else _of_init(node)
    if node is None or known is None:
        return None
    return known if _has_no_ranks(node) else known | _RANK_RULES


def _class(file: Path, name: str) -> ast.ClassDef | None:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None  # the process that loads it says so
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name and not node.decorator_list:
            return node
    return None


def _has_no_ranks(node: ast.ClassDef) -> bool:
    """Whether the class neither sets `ranked` nor inherits it."""
    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    words = {each.id for item in node.body for each in ast.walk(item) if isinstance(each, ast.Name)}
    return set() < bases <= _PLAIN_BASES and not node.keywords and "ranked" not in words


def _of_init(node: ast.ClassDef) -> frozenset[str] | None:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            taken = item.args
            if taken.kwarg is not None:
                return None
            return frozenset(each.arg for each in (*taken.args[1:], *taken.kwonlyargs))
    return None
