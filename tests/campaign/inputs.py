"""Files of every kind, each with a few random changes: what is read is used, or refused in a line.

A kind of file is one row of `KINDS`, in the module that has its group.
"""

import os
import random
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ondevice_bench.data import tensorfile
from ondevice_bench.data.batch import NoBatch
from ondevice_bench.errors import BenchError
from ondevice_bench.terminal import UNSAFE, error_line
from tests.campaign.tally import Tally

SECONDS = 20  # that one file may take
LONGEST = 1_000  # characters of a line that refuses


@dataclass(frozen=True)
class Kind:
    """A kind of file: a good one, a way to change it, and what reads it."""

    name: str
    file: str
    good: Callable[[Path], bytes]
    change: Callable[[bytes, random.Random], bytes]
    use: Callable[[Path, random.Random], None]


def try_inputs(kind: Kind, count: int, seed: int) -> Tally:
    """Change and read the file so many times."""
    tally = Tally(kind.name)
    with tempfile.TemporaryDirectory() as folder, _in(Path(folder)):
        good = kind.good(Path("good"))
        for number in range(count):
            chance = random.Random(f"{seed} {number}")
            path = Path(kind.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(kind.change(good, chance))
            with _deadline():
                ending, failure = _ending(kind, chance)
            tally.endings[ending] += 1
            if failure:
                tally.failures.append(f"{kind.name}: seed {seed}, number {number}: {failure}")
    return tally


def _ending(kind: Kind, chance: random.Random) -> tuple[str, str]:
    try:
        kind.use(Path(kind.file), chance)
    except (BenchError, NoBatch, tensorfile.NoTensorFile) as error:
        lines = map(error_line, getattr(error, "lines", (str(error),)))
        bad = [line for line in lines if UNSAFE.search(line) or len(line) > LONGEST]
        return "refused", f"a line that cannot be printed: {bad[0][:200]!r}" if bad else ""
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "failed", f"{type(error).__name__}: {str(error)[:300]}"
    return "read", ""


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class TooSlow(BaseException):
    """A file took longer than it may."""


@contextmanager
def _deadline() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TooSlow(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
