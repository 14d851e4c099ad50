"""Which file a suite's name means in each of two trees."""

from dataclasses import replace

import pytest

from ondevice_bench.ab.find_suite import suite_files
from ondevice_bench.ab.worktree import Tree
from ondevice_bench.declare.folders import builtin
from ondevice_bench.errors import BadInput


@pytest.fixture
def trees(workplace):
    """Two trees, worked in from their folder `sub`."""

    def make(*sides):
        found = []
        for name, paths in zip(("base", "new"), sides, strict=True):
            root = workplace / name
            (root / "sub").mkdir(parents=True)
            for path in paths:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text("schema: 1\n")
            found.append(Tree(name, root, "c", root / "sub", root))
        return found

    return make


@pytest.mark.parametrize(
    ("base", "new", "suite", "expected"),
    [
        (["suites/a.yaml"], ["suites/a.yml"], "a", ("suites/a.yaml", "suites/a.yml")),
        (["sub/suites/a.yaml", "suites/a.yaml"], ["suites/a.yaml"], "a",
         ("sub/suites/a.yaml", "suites/a.yaml")),
        (["sub/b.yaml"], ["b.yaml"], "b.yaml", ("sub/b.yaml", "b.yaml")),
        ([], ["suites/a.yaml"], "a", (None, "suites/a.yaml")),
        (["suites/a.yaml"], [], "a", ("suites/a.yaml", None)),
    ],
)  # fmt: skip
def test_a_side_has_the_file_of_its_own_tree_or_none(trees, base, new, suite, expected):
    found = trees(base, new)
    files = suite_files(*found, suite)
    assert files == tuple(
        path and tree.root / path for tree, path in zip(found, expected, strict=True)
    )


def test_a_side_without_a_file_has_the_suite_of_ours_with_that_name(trees):
    base, new = trees([], ["suites/quick.yaml"])
    assert suite_files(base, new, "quick") == (
        builtin("suites") / "quick.yaml",
        new.root / "suites/quick.yaml",
    )


def test_a_ref_of_our_own_repository_has_only_the_suites_of_its_commit(trees):
    """There, our own suites are those of the working tree."""
    top = builtin("suites").parent
    base, new = (replace(tree, top=top) for tree in trees([], ["suites/quick.yaml"]))
    assert suite_files(base, new, "quick") == (None, new.root / "suites/quick.yaml")


def test_a_suite_that_neither_has_is_the_same_for_both_and_must_be_here(trees, workplace):
    base, new = trees([], [])
    (workplace / "suites").mkdir()
    (workplace / "suites/a.yaml").write_text("schema: 1\n")
    here = suite_files(base, new, "a")
    assert here[0] == here[1]
    assert here[0].samefile(workplace / "suites/a.yaml")
    with pytest.raises(BadInput, match="unknown suite 'nine'"):
        suite_files(base, new, "nine")
