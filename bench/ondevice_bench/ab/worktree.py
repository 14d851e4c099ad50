"""The source tree of a git ref, beside the one that is worked in."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ondevice_bench.errors import BadInput
from ondevice_bench.protocol import VERSION
from ondevice_bench.running.commit import current_commit, resolved
from ondevice_bench.running.hosts.processes import finished
from ondevice_bench.running.work_folder import work_folder

HERE = "."
_FILE = "bench/ondevice_bench/protocol/__init__.py"  # in this project
_KIND, _TREE = "ab", "tree"  # of its work folder, and its name in there


@dataclass(frozen=True)
class Tree:
    """The files of a ref, which is the commit `commit`.

    `here` is the folder in this tree that corresponds to the working directory. `top` is the root
    of the working tree.
    """

    ref: str
    root: Path
    commit: str
    here: Path
    top: Path

    @property
    def sources(self) -> tuple[Path, ...]:
        """What goes on a worker's path: `here` and the tree, each after its `src`.

        In this repository it is also `bench`.
        """
        tops = dict.fromkeys((self.here, self.root))
        folders = [path for top in tops for path in (top / "src", top) if path.is_dir()]
        ours = self.root / "bench"
        return (*folders, ours) if (ours / "ondevice_bench").is_dir() else tuple(folders)


@contextlib.contextmanager
def tree_of(ref: str) -> Iterator[Tree]:
    """The ref's files in a folder of their own; `.` is the tree as it is, changes included."""
    top, here = Path(_git("rev-parse", "--show-toplevel")), _git("rev-parse", "--show-prefix")
    if ref == HERE:
        yield _require_protocol(Tree(ref, top, current_commit(top), top / here, top))
        return
    commit = resolved(top, ref)
    if not commit:
        raise BadInput(f"no commit {ref!r} in {top}: a git ref, or . for the tree as it is")
    try:
        with work_folder(_KIND) as folder:
            _forget_lost_trees()  # of runs that were killed
            root = folder / _TREE
            _git("worktree", "add", "--detach", "--quiet", str(root), commit)
            yield _require_protocol(Tree(ref, root, commit[:10], root / here, top))
    finally:
        _forget_lost_trees()


def _forget_lost_trees() -> None:
    """Let git forget our trees whose work folder is gone, complete or not."""
    try:
        listed = _git("worktree", "list", "--porcelain").splitlines()
    except BadInput:
        listed = []
    for line in listed:
        path = Path(line.removeprefix("worktree "))
        is_ours = path.name == _TREE and path.parent.name.startswith(f"bench-{_KIND}-")
        if line.startswith("worktree ") and is_ours and not path.parent.exists():
            # twice: it is locked while git makes it
            with contextlib.suppress(BadInput):
                _git("worktree", "remove", "--force", "--force", str(path))


def _require_protocol(tree: Tree) -> Tree:
    """Refuse a tree of this project whose workers speak another protocol than this parent."""
    package, before = tree.root / "bench" / "ondevice_bench", tree.root / "bench" / "run"
    if not package.is_dir() and not (before / "worker.py").is_file():
        return tree  # another project: its workers are ours
    protocol = tree.root / _FILE
    text = protocol.read_text(encoding="utf-8") if protocol.is_file() else ""
    version = re.search(r"^VERSION = (\d+)$", text, re.MULTILINE)
    if version is None or int(version[1]) != VERSION:
        theirs = f"protocol {version[1]}" if version else "a protocol without a version"
        is_newer = version is not None and int(version[1]) > VERSION
        raise BadInput(
            f"{tree.ref}: its workers speak {theirs}, this bench speaks protocol {VERSION}: "
            + ("use the bench of this ref" if is_newer else _what_can_be_compared(tree.top))
        )
    return tree


def _what_can_be_compared(top: Path) -> str:
    """What to do with a ref that is older than the protocol."""
    older = "compare two older refs with the bench of one of them"
    try:
        first = _git(
            "-C", str(top), "log", "-1", "--format=%h", f"-SVERSION = {VERSION}", "--", _FILE
        )
    except BadInput:
        first = ""
    return f"choose a ref from {first} on, or {older}" if first else older


def _git(*arguments: str) -> str:
    # in a hook of git, this variable names the index of a new commit: `worktree add` would empty it
    own = {name: value for name, value in os.environ.items() if name != "GIT_INDEX_FILE"}
    try:
        ended = finished(("git", *arguments), env=own)
    except OSError as error:
        raise BadInput(f"git cannot be run: {error.strerror}") from None
    if ended.status:
        raise BadInput(f"git {arguments[0]}: {ended.last_line}")
    return ended.out.strip()
