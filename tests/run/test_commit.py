import subprocess

import pytest

from bench.run.commit import NONE, current_commit


@pytest.fixture
def repository(tmp_path):
    def git(*words):
        subprocess.run(("git", *words), cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    git("config", "user.email", "a@b.c")
    git("config", "user.name", "n")
    (tmp_path / "file").write_text("one")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    return tmp_path


def test_a_clean_tree_is_its_commit(repository):
    head = subprocess.run(
        ("git", "rev-parse", "HEAD"), cwd=repository, capture_output=True, text=True, check=True
    )
    commit = current_commit(repository)
    assert head.stdout.startswith(commit)
    assert len(commit) == 10


def test_changes_are_part_of_the_name(repository):
    clean = current_commit(repository)
    (repository / "file").write_text("two")
    two = current_commit(repository)
    (repository / "file").write_text("three")
    three = current_commit(repository)
    assert two.startswith(f"{clean}+")
    assert three.startswith(f"{clean}+")
    assert two != three


def test_outside_a_repository_there_is_none(tmp_path):
    assert current_commit(tmp_path) == NONE
    assert current_commit(tmp_path / "none") == NONE
