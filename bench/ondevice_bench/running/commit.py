"""The commit of the repository that a run is started in: what its results belong to."""

import hashlib
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ondevice_bench.record.origin import NO_COMMIT


def current_commit(folder: Path) -> str:
    """`ab12cd34ef`, with a hash of the changes behind `+` if the tree has any.

    The word `unknown` stands there if git does not tell the changes.
    """
    head = _git(folder, "rev-parse", "--short=10", "HEAD").strip()
    if not head:
        return NO_COMMIT
    # a program or a filter of the user's for `git diff` may fail
    changes = _printed(folder, "diff", "--no-ext-diff", "--no-textconv", "HEAD")
    if changes is None:
        return f"{head}+unknown"
    if not changes:
        return head
    return f"{head}+{hashlib.sha256(changes.encode()).hexdigest()[:6]}"


def places(folder: Path, commits: Iterable[str]) -> dict[str, int]:
    """Each commit's place in the repository, ancestors first; nothing if it lacks one of them.

    Changes beyond a commit have its place.
    """
    heads = {commit: commit.partition("+")[0] for commit in commits}
    if not all(re.fullmatch(r"[0-9a-f]{7,40}", head) for head in heads.values()):
        return {}
    listed = _git(folder, "rev-list", "--topo-order", "--reverse", *set(heads.values()), "--")
    every = listed.split()
    positions = {
        head: place
        for length in {len(head) for head in heads.values()}
        for place, head in enumerate(commit[:length] for commit in every)
    }
    return {c: positions[head] for c, head in heads.items()} if every else {}


def resolved(folder: Path, ref: str) -> str:
    """The whole name of the commit that a ref stands for; empty if there is none."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    return _git(folder, *words).strip()


def _git(folder: Path, *arguments: str) -> str:
    return _printed(folder, *arguments) or ""


def _printed(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails."""
    try:
        done = subprocess.run(
            ("git", *arguments),
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=30,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
