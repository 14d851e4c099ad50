"""The file of a suite in each of two trees. A suite that only one of them has is new, or gone."""

from pathlib import Path

from ondevice_bench.ab.worktree import Tree
from ondevice_bench.declare.folders import SUFFIXES, builtin, locate
from ondevice_bench.declare.inherit import read_resolved
from ondevice_bench.errors import BadInput
from ondevice_bench.specs import registry
from ondevice_bench.suite.suite import Suite

SUITES = "suites"


def suite_files(base: Tree, new: Tree, suite: str) -> tuple[Path | None, Path | None]:
    """The suite's file for each side, by name or path; None for the side that has none.

    A tree comes first, then the built-in suites. If neither has the suite, the file in the working
    directory is used for both sides.
    """
    of_base, of_new = _in_tree(base, suite), _in_tree(new, suite)
    if of_base is None and of_new is None:
        here = locate(SUITES, suite)
        return here, here
    return of_base or _ours(base, suite), of_new or _ours(new, suite)


def require_own_code(tree: Tree, suite: Suite) -> None:
    """Refuse code of the user that is not in the tree: both sides would run the same code."""
    own = [model.name for model in suite.models if registry.is_own_model(model.name)]
    own += [method.name for method in suite.methods if registry.is_own(method.name)]
    if own and not suite.path.resolve().is_relative_to(tree.root.resolve()):
        raise BadInput(
            f"{suite.path}: {tree.ref} has no such suite, so {own[0]} would be the same file on "
            "both sides: commit the suite"
        )


def require_own_bases(tree: Tree, suite: Path, folder: Path | None) -> None:
    """Refuse a suite of a ref that extends one of the working tree, which the ref does not have."""
    root, top, packaged = (each.resolve() for each in (tree.root, tree.top, builtin(SUITES)))
    if root == top or not suite.resolve().is_relative_to(root):
        return
    for base in read_resolved(SUITES, suite, folder)[1:]:
        path = base.path.resolve()
        is_packaged = path.parent == packaged != top / SUITES
        if path.is_relative_to(top) and not path.is_relative_to(root) and not is_packaged:
            raise BadInput(
                f"{suite.name}: in {tree.ref} it extends {base.path}, which is a file of the "
                "working tree alone: commit it, or give it another name"
            )


def _in_tree(tree: Tree, suite: str) -> Path | None:
    for folder in dict.fromkeys((tree.here, tree.root)):
        if (folder / suite).is_file():
            return folder / suite
        named = _named(folder / SUITES, suite)
        if named is not None:
            return named
    return None


def _ours(tree: Tree, suite: str) -> Path | None:
    """Our own suite of this name. In our own repository, each ref has the suites of its commit."""
    folder = builtin(SUITES)
    is_of_repository = folder.resolve() == (tree.top / SUITES).resolve()
    return None if is_of_repository else _named(folder, suite)


def _named(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    return next((path for path in paths if path.is_file()), None)
