"""One family of errors, each with the exit code that the command ends with."""

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What the command's exit status means (docs/architecture.md lists them for users)."""

    OK = 0
    BUG = 1
    BAD_INPUT = 2
    CELL_FAILED = 3
    REGRESSION = 4
    INCONCLUSIVE = 5
    NOTHING_RAN = 6
    INTERRUPTED = 130


class BenchError(Exception):
    """An error whose text is meant for the user: one line each, no traceback."""

    exit_code = ExitCode.BUG

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class BadInput(BenchError):
    """What the user gave cannot be used; nothing was written."""

    exit_code = ExitCode.BAD_INPUT


class Refusal(ValueError):
    """A method or a part of it has nothing to do on this network: a suite skips the cell."""


class NothingRan(BenchError):
    """The request is valid, but there is nothing to measure in it."""

    exit_code = ExitCode.NOTHING_RAN


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'vanilla'?`, or nothing where no known name is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def not_allowed(kind: str, word: str, allowed: Iterable[str]) -> str:
    """The sentence for a key that has no place here, with the nearest and all that have one."""
    names = list(allowed)
    listed = f" (allowed: {', '.join(names)})" if names else ""
    return f"unknown {kind} {word!r}{suggestion(word, names)}{listed}"


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """The sentence for a name that nobody knows, with the nearest and all valid ones."""
    names = sorted(known)
    listed = ", ".join(names) if names else "none"
    return f"unknown {kind} {word!r}{suggestion(word, names)} (known: {listed})"
