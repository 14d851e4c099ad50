"""Git in the repositories of tests."""

import subprocess
from pathlib import Path

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")


def git(*words: str, cwd: Path | None = None) -> str:
    """Run git there, and give what it prints."""
    done = subprocess.run(
        ["git", *IDENTITY, *words], cwd=cwd, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
