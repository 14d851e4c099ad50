"""Verbs that are called in this process, with what holds for each of them."""

import contextlib
import io
from pathlib import Path

from ondevice_bench.cli.app import app
from ondevice_bench.errors import BenchError, system_in_one_line
from ondevice_bench.terminal import UNSAFE


def call(*words: str) -> str:
    """Call a verb, as the command does; what it printed on standard output.

    What it prints is safe. If it refuses, every file is as it was. A store may have other bytes: its
    content is for the caller to compare.
    """
    before = _files()
    out, err = io.StringIO(), io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            system_in_one_line(),
        ):
            app(words, standalone_mode=False)
    except BenchError:
        after = _files()
        changed = [path for path in before | after if before.get(path) != after.get(path)]
        assert not changed, f"{words} was refused, but it changed {sorted(changed)[:3]}"
        raise
    finally:
        found = UNSAFE.search(out.getvalue() + err.getvalue())
        assert not found, f"{words} printed {found[0]!r}"
    left = [path for path in _files() if path.endswith(".part") or "/.bench-new-" in path]
    assert not left, f"{words} left {left[:3]}"
    return out.getvalue()


def _files() -> dict[str, bytes]:
    """Every file here but stores."""
    return {
        str(path): path.read_bytes()
        for path in Path().rglob("*")
        if path.is_file() and ".sqlite" not in path.name
    }
