"""The commit of the repository that a run is started in: what its results belong to."""

import hashlib
import subprocess
from pathlib import Path

NONE = "nocommit"


def current_commit(folder: Path) -> str:
    """`ab12cd34ef`, with a hash of the changes behind `+` where the tree has any."""
    head = _git(folder, "rev-parse", "--short=10", "HEAD").strip()
    if not head:
        return NONE
    changes = _git(folder, "diff", "HEAD")
    if not changes:
        return head
    return f"{head}+{hashlib.sha256(changes.encode()).hexdigest()[:6]}"


def _git(folder: Path, *arguments: str) -> str:
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
        return ""
    return done.stdout if done.returncode == 0 else ""
