"""Changelog fragments: check that a branch brings one, and make a release's section of them.

`python changelog.d/fragments.py check` or `python changelog.d/fragments.py release VERSION`.
"""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "changelog.d"
CHANGELOG = ROOT / "CHANGELOG.md"
HEAD = "# Changelog\n"
TRUNK = "origin/main"
PACKAGE = ("bench/", "suites/", "hardware/", "reports/")  # what users install
SHOWN = ("added", "changed", "fixed", "removed")
KINDS = (*SHOWN, "internal")
NAME = re.compile(rf"(?P<issue>\d+)(-[\w-]+)?\.(?P<kind>{'|'.join(KINDS)})\.md")
CURE = f"changelog.d/ISSUE.KIND.md (KIND is one of {', '.join(KINDS)})"


def main(arguments: list[str]) -> str | None:
    """What is wrong, in one line; None where nothing is."""
    match arguments:
        case ["check"]:
            return _misnamed() or _missing()
        case ["release", version]:
            return _misnamed() or _release(version)
    return "usage: python changelog.d/fragments.py check | release VERSION"


def _fragments() -> list[Path]:
    return sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")


def _misnamed() -> str | None:
    for path in _fragments():
        if not NAME.fullmatch(path.name):
            return f"changelog.d/{path.name}: the name must be {CURE}"
        if not path.read_text(encoding="utf-8").strip():
            return f"changelog.d/{path.name}: is empty: write one sentence for users"
    return None


def _missing() -> str | None:
    """Whether the package changed since the trunk, and nothing says so."""
    base = _git("merge-base", "HEAD", TRUNK)  # on the trunk itself this is HEAD
    if not base:
        return None  # no checkout, or no trunk in it: nothing to compare with
    changed = _git("diff", "--name-only", "--no-renames", base).splitlines()
    untracked = _git("ls-files", "--others", "--exclude-standard").splitlines()
    paths = {*changed, *untracked}
    brought = {f"changelog.d/{path.name}" for path in _fragments()} | {CHANGELOG.name}
    if paths & brought or not any(path.startswith(PACKAGE) for path in paths):
        return None
    return f"this branch changes the package: say what users notice of it in {CURE}"


def _git(*arguments: str) -> str:
    """The command's output; empty where it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return "" if done.returncode else done.stdout.strip()


def _release(version: str) -> str | None:
    """Put the section of a release on top of the changelog, and remove the fragments."""
    lines: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for path in _fragments():
        name = NAME.fullmatch(path.name)
        assert name is not None
        text = " ".join(path.read_text(encoding="utf-8").split())
        lines[name["kind"]].append(f"- {text} (#{name['issue']})")
    parts = [f"## {version} ({datetime.now(UTC):%Y-%m-%d})"]
    parts += [f"### {kind.title()}\n\n" + "\n".join(lines[kind]) for kind in SHOWN if lines[kind]]
    if len(parts) == 1:
        return f"there is nothing to release: no fragment of a kind other than {KINDS[-1]}"
    earlier = CHANGELOG.read_text(encoding="utf-8").removeprefix(HEAD)
    CHANGELOG.write_text("\n\n".join([HEAD.strip(), *parts]) + "\n" + earlier, encoding="utf-8")
    for path in _fragments():
        path.unlink()
    return None


if __name__ == "__main__":
    problem = main(sys.argv[1:])
    sys.exit(problem and f"changelog: {problem}")
