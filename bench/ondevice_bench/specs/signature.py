"""The keyword arguments of a class in a user's file, by its syntax: the file does not run."""

import ast
from pathlib import Path

from ondevice_bench.specs.rank_rules import ACTIVATION, WEIGHT, rank_options

_RANK_RULES = frozenset(option.name for option in rank_options({ACTIVATION, WEIGHT}))


def options_of_method(file: Path, name: str) -> frozenset[str] | None:
    """The options of a method in a file: it may have any rank rule. None: its file hides them."""
    known = keywords(file, name)
    return None if known is None else known | _RANK_RULES


def keywords(file: Path, name: str) -> frozenset[str] | None:
    """The names that `name(...)` takes; None if the file alone does not say it.

    That is so if the class inherits its `__init__`, or takes any keyword.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None  # the process that loads it says so
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name and not node.decorator_list:
            return _of_init(node)
    return None


def _of_init(node: ast.ClassDef) -> frozenset[str] | None:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            taken = item.args
            if taken.kwarg is not None:
                return None
            return frozenset(each.arg for each in (*taken.args[1:], *taken.kwonlyargs))
    return None
