"""The family of errors. Each error has the exit code of the command."""

import contextlib
import difflib
import errno
import os
from collections.abc import Iterable, Iterator
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of the command. docs/commands.md lists them for users."""

    OK = 0
    BUG = 1
    BAD_INPUT = 2
    CELL_FAILED = 3
    REGRESSION = 4
    INCONCLUSIVE = 5
    NOTHING_RAN = 6
    INTERRUPTED = 130


class BenchError(Exception):
    """An error for the user: one or more lines of text, no traceback."""

    exit_code = ExitCode.BUG

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {line}" for line in self.lines]


class BadInput(BenchError):
    """The user's input cannot be used. Nothing was written."""

    exit_code = ExitCode.BAD_INPUT


_MOST_SIMILAR = 3  # names that a message suggests


def first_line(error: BaseException) -> str:
    """The message of an error, on one short line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


# what a path, a disk or a limit of the system causes
_OF_THE_SYSTEM = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EIO,
    errno.ELOOP,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENFILE,
    errno.ENOSPC,
    errno.EROFS,
}
# only the error of a working directory that was removed names no path
_REMOVED = str(OSError(errno.ENOENT, os.strerror(errno.ENOENT)))


def of_the_system(error: BaseException) -> BadInput | None:
    """What an error of a path, a disk or a limit says in one line; None for any other error."""
    if not isinstance(error, OSError):
        return None
    if str(error) == _REMOVED:
        return BadInput("the working directory was removed")
    if error.errno not in _OF_THE_SYSTEM:
        return None
    path = "" if error.filename is None else f"{error.filename}: "
    cure = ": raise the limit (`ulimit -n`)" if error.errno == errno.EMFILE else ""
    return BadInput(f"{path}{error.strerror}{cure}")


@contextlib.contextmanager
def system_in_one_line() -> Iterator[None]:
    """Raise errors of a path, a disk or a limit as BadInput."""
    try:
        yield
    except OSError as error:
        if outside := of_the_system(error):
            raise outside from None
        raise


class Refusal(ValueError):
    """A method cannot be applied to this network. A suite skips the cell."""


class UnusableMethod(ValueError):
    """A method of the user's own cannot be made. The text begins with its name in the suite."""


class UserModelError(ValueError):
    """A network of the user's own breaks a rule. The text says which one, in the user's words."""


class NothingRan(BenchError):
    """The request is valid, but there is nothing to measure in it."""

    exit_code = ExitCode.NOTHING_RAN


def suggestion(word: str, names: Iterable[str]) -> str:
    """`; did you mean 'vanilla'?`, or an empty text if no name is similar.

    A name that contains the word is similar: `pi5-4gb` is meant with `4GB`.
    """
    known = list(names)
    similar = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if not similar and len(word) > 1:
        similar = [name for name in known if word.lower() in name.lower()][:_MOST_SIMILAR]
    return f"; did you mean {' or '.join(map(repr, similar))}?" if similar else ""


def not_allowed(kind: str, word: str, allowed: Iterable[str]) -> str:
    """The message for a key that is not allowed, with the most similar one and all allowed ones."""
    names = list(allowed)
    listing = f" (allowed: {', '.join(names)})" if names else ""
    return f"unknown {kind} {word!r}{suggestion(word, names)}{listing}"


def unknown(kind: str, word: str, valid: Iterable[str]) -> str:
    """The message for an unknown name, with the most similar one and all valid ones."""
    names = sorted(valid)
    listing = ", ".join(names) if names else "none"
    return f"unknown {kind} {word!r}{suggestion(word, names)} (known: {listing})"
