"""What each side of `bench ab` measures: its own files, also where both trees have equal ones."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ondevice_bench.ab.measure_pairs import measure_pairs
from ondevice_bench.ab.pair_cells import pair_cells
from ondevice_bench.ab.short_request import short_request, short_requests
from ondevice_bench.ab.worktree import Tree
from ondevice_bench.errors import BadInput, NothingRan
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.progress import Silent
from tests.running.conftest import well

OWN = "schema: 1\ntitle: t\nmodels: [./net.py:net: {batch: 1}]\nmethods: [./mine.py:Mine]\n"
PLAIN = "schema: 1\ntitle: t\nmodels: [{mcunet: {batch: %s}}]\nmethods: [vanilla]\n"


def described(question, request):
    """What a network says of itself: it reads the size of its images beside its file."""
    size = json.loads(Path(request["model"].rpartition("/")[0], "cfg.json").read_text())
    inputs = {"kind": "images", "channels": 3, "size": size, "classes": 10}
    return {
        "inputs": inputs,
        "kinds": ["linear"],
        "layout": {},
        "missing_parts": [],  # as an earlier commit says it, without `missing_modules` and others
        "has_own_loss": False,
        "completes_layout": False,
    }


def tree_with(folder, text, name="mine", here=""):
    (folder / here / "suites").mkdir(parents=True, exist_ok=True)
    (folder / here / "suites" / f"{name}.yaml").write_text(text)
    return Tree(folder.name, folder, "c", folder / here, folder)


@pytest.fixture
def sides(workplace):
    """Two trees of one suite with equal code; what the network reads beside it differs."""
    trees = []
    for name, size in {"base": 8, "new": 16}.items():
        trees.append(tree_with(workplace / name, OWN))
        beside = workplace / name / "suites"
        (beside / "net.py").write_text("def net():\n    pass\n")
        (beside / "mine.py").write_text("class Mine:\n    pass\n")
        (beside / "cfg.json").write_text(str(size))
    return trees


def test_each_side_runs_its_own_files_even_if_they_are_equal(sides, workplace):
    hosts = [FakeHost(well, described) for _ in sides]
    files = [tree.root / "suites/mine.yaml" for tree in sides]
    requests = short_requests(sides, hosts, files, "", ())
    cells = pair_cells(*([item.cell for item in each.planned] for each in requests))
    ((base, new),) = cells.pairs.values()
    assert base == new
    measure_pairs(requests, cells, workplace / "out", 0.02, 1.0, Silent())
    for tree, host, size in zip(sides, hosts, (8, 16), strict=True):
        folder = tree.root / "suites"
        assert {job.model for job in host.jobs} == {f"{folder}/net.py:net"}
        assert {job.methods[0][0] for job in host.jobs} == {f"{folder}/mine.py:Mine"}
        assert {job.inputs["size"] for job in host.jobs} == {size}


@pytest.mark.parametrize("here", ["", "sub"])
def test_a_suite_extends_that_of_its_own_tree(workplace, monkeypatch, here):
    tree = tree_with(workplace / "tree", "schema: 1\nextends: common\n", here=here)
    tree_with(workplace / "tree", PLAIN % "[2]", "common", here)
    tree_with(workplace, PLAIN % "[1]", "common", here)  # the working tree
    tree_with(workplace / "tree", PLAIN % "[4]", "other")  # so the root has suites, too
    monkeypatch.chdir(workplace / here)
    made = short_request(tree, FakeHost(), tree.here / "suites/mine.yaml", "")
    assert [item.cell.batch for item in made.plan] == [2]


@pytest.mark.parametrize(
    ("name", "says"),
    [("common", "mine.yaml: in base it extends suites/common.yaml"), ("quick", None)],
)
def test_a_suite_of_a_ref_extends_no_file_of_the_working_tree(workplace, monkeypatch, name, says):
    made = tree_with(workplace / "base", f"schema: 1\nextends: {name}\n")
    tree = replace(made, top=workplace)
    tree_with(workplace, PLAIN % "[1]", "common")
    monkeypatch.chdir(workplace)
    with pytest.raises(BadInput, match=says) if says else contextlib.nullcontext():
        short_request(tree, FakeHost(), tree.root / "suites/mine.yaml", "")
    short_request(tree, FakeHost(), Path("suites/common.yaml"), "")  # the same for both sides


def test_a_filter_that_matches_the_cells_of_one_side_leaves_the_other_empty(workplace):
    trees = [
        tree_with(workplace / name, PLAIN % batches)
        for name, batches in {"base": "[1]", "new": "[1, 2]"}.items()
    ]
    hosts = [FakeHost(), FakeHost()]
    files = [tree.root / "suites/mine.yaml" for tree in trees]
    base, new = short_requests(trees, hosts, files, "", ["*b2*"])
    assert base is None
    assert [item.cell.batch for item in new.plan] == [2]
    both = short_requests(trees, hosts, files, "", ["*b1*", "*b2*"])
    assert [[item.cell.batch for item in each.plan] for each in both] == [[1], [1, 2]]
    with pytest.raises(NothingRan, match="--filter"):
        short_requests(trees, hosts, files, "", ["*b3*"])
    with pytest.raises(NothingRan, match="--filter"):
        short_requests(trees, hosts, [None, files[1]], "", ["*b3*"])


def test_the_reason_is_said_if_no_cell_is_planned(workplace):
    needs = 'when: [{cells: "*", memory_gib: 1000000}]\n'
    trees = [tree_with(workplace / name, PLAIN % "[1]" + needs) for name in ("base", "new")]
    files = [tree.root / "suites/mine.yaml" for tree in trees]
    requests = short_requests(trees, [FakeHost(), FakeHost()], files, "", ())
    cells = pair_cells(*([item.cell for item in each.planned] for each in requests))
    with pytest.raises(NothingRan, match=r"1 × .*GiB"):
        measure_pairs(requests, cells, workplace / "out", 0.02, 1.0, Silent())
