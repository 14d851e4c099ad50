"""The source tree of a git ref, beside the one that is worked in."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BadInput
from bench.run.commit import current_commit

HERE = "."


@dataclass(frozen=True)
class Tree:
    """A ref's files; `commit` says which they are."""

    ref: str
    root: Path
    commit: str

    @property
    def sources(self) -> tuple[Path, ...]:
        """What goes on a worker's path: the tree, and its `src` where it has one.

        A folder with another package of the name `bench` would take the place of ours.
        """
        folders = [path for path in (self.root / "src", self.root) if path.is_dir()]
        return tuple(path for path in folders if not _is_foreign(path / "bench"))


@contextlib.contextmanager
def tree_of(ref: str) -> Iterator[Tree]:
    """The ref's files in a folder of their own; `.` is the tree as it is, changes included."""
    top = Path(_git("rev-parse", "--show-toplevel"))
    if ref == HERE:
        yield Tree(ref, top, current_commit(top))
        return
    found = subprocess.run(
        ("git", "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"),
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise BadInput(f"no commit {ref!r} in {top}: a git ref, or . for the tree as it is")
    commit = found.stdout.strip()
    with tempfile.TemporaryDirectory(prefix="bench-ab-") as folder:
        root = Path(folder) / "tree"
        _git("worktree", "add", "--detach", "--quiet", str(root), commit)
        try:
            yield Tree(ref, root, commit[:10])
        finally:
            _git("worktree", "remove", "--force", str(root))


def _is_foreign(package: Path) -> bool:
    is_ours = (package / "run" / "worker.py").is_file()
    return (package / "__init__.py").is_file() and not is_ours


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(("git", *arguments), capture_output=True, text=True, check=False)
    except OSError as error:
        raise BadInput(f"git cannot be run: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it failed"])[-1]
        raise BadInput(f"git {arguments[0]}: {said}")
    return done.stdout.strip()
