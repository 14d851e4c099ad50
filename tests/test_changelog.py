"""Changelog fragments: which branches are refused, and what a release makes of them."""

import shutil
import subprocess
import sys
from functools import partial

import pytest

from tests.conftest import ROOT
from tests.git import git as run_git

SCRIPT = ROOT / "changelog.d" / "fragments.py"


@pytest.fixture
def git(tmp_path):
    """A repository whose `origin/main` is its first commit, with one change of the package on top."""

    run = partial(run_git, cwd=tmp_path)
    run("init", "-q", "-b", "main")
    for folder in ("changelog.d", "bench", "docs"):
        (tmp_path / folder).mkdir()
    shutil.copy(SCRIPT, tmp_path / "changelog.d")
    (tmp_path / "changelog.d" / "README.md").write_text("how\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.0 (2026-01-01)\n\n- Old.\n")
    (tmp_path / "bench" / "a.py").write_text("a = 1\n")
    run("add", "-A")
    run("commit", "-qm", "One")
    run("update-ref", "refs/remotes/origin/main", "HEAD")
    return run


@pytest.fixture
def fragments(tmp_path, git):
    """Run the script there."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, tmp_path / "changelog.d" / "fragments.py", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == ""
        return done.returncode, done.stderr

    return run


@pytest.fixture
def changed(tmp_path, git):
    (tmp_path / "bench" / "a.py").write_text("a = 2\n")
    git("commit", "-qam", "Two")


CURE = "changelog.d/ISSUE.KIND.md (KIND is one of added, changed, fixed, removed, internal)"
REFUSED = (
    1,
    f"changelog: this branch changes the package: say what users notice of it in {CURE}\n",
)


def test_a_branch_that_changes_the_package_needs_a_fragment(fragments, changed):
    assert fragments("check") == REFUSED


def test_so_does_a_change_that_is_not_committed(tmp_path, fragments):
    (tmp_path / "bench" / "new.py").write_text("")
    assert fragments("check") == REFUSED


@pytest.mark.parametrize("committed", [True, False])
def test_a_fragment_lets_it_pass(tmp_path, git, fragments, changed, committed):
    (tmp_path / "changelog.d" / "20-word.internal.md").write_text("Two.\n")
    if committed:
        git("add", "-A")
        git("commit", "-qm", "Say so")
    assert fragments("check") == (0, "")


def test_a_fragment_of_the_trunk_is_not_the_branchs(tmp_path, git, fragments):
    (tmp_path / "changelog.d" / "19.fixed.md").write_text("Old.\n")
    git("add", "-A")
    git("commit", "-qm", "Another's")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    (tmp_path / "bench" / "a.py").write_text("a = 2\n")
    assert fragments("check") == REFUSED


def test_documentation_and_tests_need_none(tmp_path, fragments):
    (tmp_path / "docs" / "a.md").write_text("words\n")
    assert fragments("check") == (0, "")


def test_the_trunk_itself_needs_none(fragments, git, changed):
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    assert fragments("check") == (0, "")


def test_without_a_trunk_there_is_nothing_to_compare_with(fragments, git, changed):
    git("update-ref", "-d", "refs/remotes/origin/main")
    assert fragments("check") == (0, "")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("20.fix.md", "Text.", "the name must be changelog.d/ISSUE.KIND.md"),
        ("word.fixed.md", "Text.", "the name must be changelog.d/ISSUE.KIND.md"),
        ("20.fixed.md", " \n", "is empty: write one sentence for users"),
    ],
)
def test_a_fragment_that_no_release_could_use_is_named(tmp_path, fragments, name, text, says):
    (tmp_path / "changelog.d" / name).write_text(text)
    code, err = fragments("check")
    assert code == 1
    assert err.startswith(f"changelog: changelog.d/{name}: {says}")
    assert err.count("\n") == 1


def test_a_release_turns_fragments_into_a_section_and_passes_the_check(
    tmp_path, git, fragments, changed
):
    for name, text in (
        ("20.fixed.md", "Right\nfigures.\n"),
        ("21.added.md", "A board.\n"),
        ("21-x.internal.md", "Not shown.\n"),
    ):
        (tmp_path / "changelog.d" / name).write_text(text)
    assert fragments("release", "0.2.0") == (0, "")
    text = (tmp_path / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n\n## 0.2.0 (20")
    assert text.split(")\n", 1)[1].startswith(
        "\n### Added\n\n- A board. (#21)\n\n### Fixed\n\n- Right figures. (#20)\n\n## 0.1.0 (2026"
    )
    assert [path.name for path in (tmp_path / "changelog.d").glob("*.md")] == ["README.md"]
    assert fragments("check") == (0, "")
    code, err = fragments("release", "0.3.0")
    assert code == 1
    assert "nothing to release" in err
