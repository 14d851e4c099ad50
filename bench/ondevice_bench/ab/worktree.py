"""The source tree of a git ref, beside the one that is worked in."""

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ondevice_bench.errors import BadInput
from ondevice_bench.protocol import VERSION
from ondevice_bench.run.commit import current_commit

HERE = "."


@dataclass(frozen=True)
class Tree:
    """A ref's files; `commit` says which they are."""

    ref: str
    root: Path
    commit: str

    @property
    def sources(self) -> tuple[Path, ...]:
        """What goes on a worker's path: the tree, its `src`, and in this repository its `bench`."""
        folders = [path for path in (self.root / "src", self.root) if path.is_dir()]
        ours = self.root / "bench"
        return (*folders, ours) if (ours / "ondevice_bench").is_dir() else tuple(folders)


@contextlib.contextmanager
def tree_of(ref: str) -> Iterator[Tree]:
    """The ref's files in a folder of their own; `.` is the tree as it is, changes included."""
    top = Path(_git("rev-parse", "--show-toplevel"))
    if ref == HERE:
        yield _require_protocol(Tree(ref, top, current_commit(top)))
        return
    lookup = subprocess.run(
        ("git", "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"),
        capture_output=True,
        text=True,
        check=False,
    )
    if lookup.returncode:
        raise BadInput(f"no commit {ref!r} in {top}: a git ref, or . for the tree as it is")
    commit = lookup.stdout.strip()
    with tempfile.TemporaryDirectory(prefix="bench-ab-") as folder:
        root = Path(folder) / "tree"
        _git("worktree", "add", "--detach", "--quiet", str(root), commit)
        try:
            yield _require_protocol(Tree(ref, root, commit[:10]))
        finally:
            _git("worktree", "remove", "--force", str(root))


def _require_protocol(tree: Tree) -> Tree:
    """Refuse a tree of this project whose workers speak another protocol than this parent."""
    package, before = tree.root / "bench" / "ondevice_bench", tree.root / "bench" / "run"
    if not package.is_dir() and not (before / "worker.py").is_file():
        return tree  # another project: its workers are ours
    protocol = package / "protocol" / "__init__.py"
    text = protocol.read_text(encoding="utf-8") if protocol.is_file() else ""
    version = re.search(r"^VERSION = (\d+)$", text, re.MULTILINE)
    if version is None or int(version[1]) != VERSION:
        theirs = f"protocol {version[1]}" if version else "a protocol without a version"
        raise BadInput(
            f"{tree.ref}: its workers speak {theirs}, this bench speaks protocol {VERSION}: "
            "compare refs of the same protocol, with the bench of one of them"
        )
    return tree


def _git(*arguments: str) -> str:
    try:
        process = subprocess.run(("git", *arguments), capture_output=True, text=True, check=False)
    except OSError as error:
        raise BadInput(f"git cannot be run: {error.strerror}") from None
    if process.returncode:
        reason = (process.stderr.strip().splitlines() or ["it failed"])[-1]
        raise BadInput(f"git {arguments[0]}: {reason}")
    return process.stdout.strip()
