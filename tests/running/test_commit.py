import subprocess

import pytest

from ondevice_bench.record.origin import NO_COMMIT
from ondevice_bench.running.commit import current_commit, places, resolved


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
    assert current_commit(tmp_path) == NO_COMMIT
    assert current_commit(tmp_path / "none") == NO_COMMIT


@pytest.fixture
def branched(repository):
    """Four commits by name: one, then two on each side of a fork."""

    def git(*words):
        name = ("-c", "user.name=n", "-c", "user.email=a@b.c")
        done = subprocess.run(
            ("git", *name, *words), cwd=repository, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    made = {"one": current_commit(repository)}
    for name, parent in (("two", "one"), ("three", "two"), ("side", "one")):
        git("checkout", "-q", made[parent])
        git("commit", "-q", "--allow-empty", "-m", name)
        made[name] = current_commit(repository)
    git("tag", "v1", made["two"])
    return made


def test_ancestors_have_places_before_their_descendants(repository, branched):
    found = places(repository, branched.values())
    place = {name: found[commit] for name, commit in branched.items()}
    assert place["one"] < place["two"] < place["three"]
    assert place["one"] < place["side"]
    changed = f"{branched['two']}+abc123"
    beside = places(repository, [branched["one"], changed, branched["two"]])
    assert beside[branched["one"]] < beside[changed] == beside[branched["two"]]


@pytest.mark.parametrize("other", [NO_COMMIT, "0123456789", "--all", "HEAD", ""])
def test_no_places_where_one_is_unknown(repository, branched, other):
    assert places(repository, [*branched.values(), other]) == {}


def test_no_places_outside_a_repository(tmp_path):
    assert places(tmp_path, ["0123456789"]) == {}


def test_a_ref_stands_for_its_commit(repository, branched):
    assert resolved(repository, "v1").startswith(branched["two"])
    for nothing in ("v9", "--all", ""):
        assert resolved(repository, nothing) == ""


def test_a_program_of_the_users_that_shows_changes_does_not_hide_them(repository):
    clean = current_commit(repository)
    (repository / "file").write_text("two")
    changed = current_commit(repository)
    for option in ("diff.external", "diff.mine.textconv"):
        subprocess.run(("git", "config", option, "false"), cwd=repository, check=True)
    (repository / ".git" / "info" / "attributes").write_text("file diff=mine\n")
    assert current_commit(repository) == changed != clean


def test_changes_that_git_cannot_tell_are_no_clean_tree(repository):
    clean = current_commit(repository)
    (repository / "file").write_text("two")
    for option, value in (("filter.broken.clean", "false"), ("filter.broken.required", "true")):
        subprocess.run(("git", "config", option, value), cwd=repository, check=True)
    (repository / ".git" / "info" / "attributes").write_text("file filter=broken\n")
    assert current_commit(repository) == f"{clean}+unknown"
