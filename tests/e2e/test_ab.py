"""`bench ab` on a user's own repository: two commits of a network, measured in turn."""

import os
import subprocess

import pytest

from tests.git import git

NET = """\
import time

import torch
from torch import nn

torch.set_num_threads(1)  # on a busy machine, two threads wait long for each other


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(3 * 32 * 32, 64)
        self.two = nn.Linear(64, 10)

    def forward(self, x):
        {wait}
        return self.two(self.one(x.flatten(1)))


def net(image_size=32):
    return Net()
"""
WAIT = "end = time.perf_counter() + 0.003\n        while time.perf_counter() < end: pass"
SUITE = """\
schema: 1
title: Mine
models: [./net.py:net: {batch: 4}]
methods: [vanilla]
time: {warmup: 1, min_samples: 3, max_samples: 5, max_seconds: 1}
"""


@pytest.fixture
def repository(workplace):
    """Two commits: as it was, and slow."""
    (workplace / "suites").mkdir()
    (workplace / "suites/mine.yaml").write_text(SUITE)
    (workplace / ".gitignore").write_text("bench-out\n")
    git("init", "-q")
    for tag, wait in {
        "plain": "pass",
        "slow": WAIT,
    }.items():
        (workplace / "suites/net.py").write_text(NET.format(wait=wait))
        git("add", "-A")
        git("commit", "-qm", tag)
        git("tag", tag)
    return workplace


def test_a_slow_commit_is_found(bench, repository):
    ended = bench("ab", "plain", "slow", "--suite", "mine", "--budget", "180s", "--json")
    assert ended.code == 4, ended.err
    (pair,) = ended.json()["pairs"]
    assert (pair["cell"], pair["verdict"]) == ("net.py:net/vanilla/all/b4/s0", "regressed")
    assert pair["lower"] > 1.02
    assert pair["exact"] == []
    # nothing is left of the trees, and both sides are runs like any other
    listed = subprocess.run(["git", "worktree", "list"], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == 1
    assert bench("report", "ab-new", "--format", "csv").out.count("step_seconds") == 1


def test_a_tree_against_itself_is_green(bench, repository):
    ended = bench("ab", ".", ".", "--suite", "mine", "--budget", "0.1s")
    assert ended.code == 0, ended.out + ended.err
    assert "exact metrics: 0 of 1 cell differ" in ended.out
    assert "1 cell had too few rounds for an interval: give more --budget" in ended.out


INSTALL = """\
import sys
import sysconfig
from pathlib import Path

assert Path(sys.prefix, "pip").exists()
text = Path("kept.py").read_text()
Path(sysconfig.get_paths()["purelib"], "kept_here.py").write_text(text)
"""
# Python's own, but pip, which takes most of its time, is only marked
VENV = """\
import sys
from pathlib import Path

sys.path.remove({folder!r})
import venv

venv.EnvBuilder._setup_pip = lambda _, place: Path(place.env_dir, "pip").touch()
venv.main()
"""


@pytest.fixture
def installing(repository, tmp_path_factory, monkeypatch):
    """Two more commits of a network that needs what only its own environment has."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "venv.py").write_text(VENV.format(folder=str(folder)))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    (repository / "install.py").write_text(INSTALL)
    (repository / "suites/mine.yaml").write_text(f"{SUITE}measure: [trace]\n")
    text = NET.format(wait="pass").replace("import time", "import kept_here")
    text = text.replace("self.one(x.flatten(1))", "kept_here.kept(self.one(x.flatten(1)))")
    (repository / "suites/net.py").write_text(text)
    for tag, body in {"thin": "x", "more": "x.sin()"}.items():
        (repository / "kept.py").write_text(f"def kept(x):\n    return {body}\n")
        git("add", "-A")
        git("commit", "-qm", tag)
        git("tag", tag)
    return repository


def test_each_ref_is_measured_in_an_environment_of_its_own(bench, installing):
    """What differs is not in the network's file, and not on the path without an installation."""
    words = ("ab", "thin", "more", "--suite", "mine", "--budget", "0.1s")
    ended = bench(*words, "--isolated", "--install", "python install.py", "--json")
    assert ended.code == 4, ended.err
    ((found),) = [
        each for each in ended.json()["pairs"][0]["exact"] if each["metric"] == "activation_bytes"
    ]
    assert found["new"] - found["base"] == 4 * 64 * 4  # what `sin` keeps of four examples
    shared = bench(*words)
    assert shared.code == 2
    assert "No module named 'kept_here'" in shared.err


def test_a_suite_of_the_branch_alone_is_new_and_one_of_the_base_alone_is_gone(bench, repository):
    (repository / "suites/mine.yaml").rename(repository / "suites/other.yaml")
    git("add", "-A")
    git("commit", "-qm", "another name")
    new = bench("ab", "slow", "HEAD", "--suite", "other", "--format", "md")
    assert new.code == 0, new.err
    assert new.out.startswith("## ✅ Nothing to compare with: 1 new cell")
    assert "- new: net.py:net/vanilla/all/b4/s0" in new.out
    gone = bench("ab", "slow", "HEAD", "--suite", "mine", "--format", "md")
    assert gone.code == 5, gone.err
    assert gone.out.startswith("## ⚠️ Not decided: 1 cell of the base is gone")
    by_path = bench("ab", "slow", "HEAD", "--suite", "suites/other.yaml", "--json")
    assert by_path.code == 0
    assert by_path.json()["only_on_one_side"] == ["net.py:net/vanilla/all/b4/s0"]
    # a suite of neither commit would give both sides the code of the working tree
    git("rm", "-q", "--cached", "-r", "suites")
    git("commit", "-qm", "no suites")
    ended = bench("ab", "HEAD", "HEAD", "--suite", "other")
    assert ended.code == 2
    assert "HEAD has no such suite, so net.py:net" in ended.err
    assert ended.err.endswith("would be the same file on both sides: commit the suite\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("ab", ".", ".", "--install", "pip install ."), "--install goes with --isolated"),
        (("ab", ".", ".", "--isolated", "--install", " "), "--install: must be a command"),
        (("ab", "plain", "nowhere"), "no commit 'nowhere' in"),
        (("ab", ".", ".", "--threshold", "7"), "--threshold: must be in (0, 1), got 7"),
        (("ab", ".", ".", "--fail-on", "slow"), "--fail-on: unknown verdict 'slow'"),
        (("ab", ".", ".", "--suite", "nine"), "unknown suite 'nine'; did you mean 'mine'?"),
    ],
)
def test_bad_input_is_one_line(bench, repository, words, says):
    ended = bench(*words)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1


def test_outside_a_repository_there_is_nothing_to_compare(bench, workplace):
    ended = bench("ab", ".", ".")
    assert ended.code == 2
    assert "not a git repository" in ended.err
