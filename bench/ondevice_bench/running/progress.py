"""What a person sees while a run measures: one live line, or plain lines in a log."""

import shutil
import sys
import time
from dataclasses import replace
from typing import Protocol

from ondevice_bench import units
from ondevice_bench.running.schedule import TimeLeft
from ondevice_bench.terminal import print_progress


class Progress(Protocol):
    """Told of every step of a run."""

    def prepare(self, text: str) -> None:
        """Something is done before the first process measures."""

    def begin(self, what: str, share: str, left: TimeLeft | None) -> None:
        """A process is about to start."""

    def tick(self) -> None:
        """A process is still measuring."""

    def note(self, text: str) -> None:
        """Something worth a line of its own."""

    def close(self) -> None:
        """The run is over."""


class Silent:
    """No progress at all."""

    def prepare(self, text: str) -> None:
        """Say nothing."""

    def begin(self, what: str, share: str, left: TimeLeft | None) -> None:
        """Say nothing."""

    def tick(self) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


class PlainLines(Silent):
    """A line for each process, for logs and pipes."""

    def prepare(self, text: str) -> None:
        """Print the text."""
        self.note(text)

    def begin(self, what: str, share: str, left: TimeLeft | None) -> None:
        """Print the line."""
        self.note(_line(what, share, left))

    def note(self, text: str) -> None:
        """Print the text."""
        print_progress(f"{text}\n")


class LiveLine:
    """One line, redrawn when something happens, at most once a second.

    Written by hand: rich's live displays redraw from a thread, beside what is being measured.
    """

    def __init__(self) -> None:
        self._share = ""
        self._what = ""
        self._left: TimeLeft | None = None
        self._began = 0.0

    def prepare(self, text: str) -> None:
        """Redraw with the text."""
        self._what, self._share, self._left = text, "", None
        self.tick()

    def begin(self, what: str, share: str, left: TimeLeft | None) -> None:
        """Redraw for a new process."""
        self._what, self._share, self._left = what, share, left
        self._began = time.monotonic()
        self.tick()

    def tick(self) -> None:
        """Redraw the time left."""
        width = shutil.get_terminal_size().columns - 1
        self._write(self.text[:width])

    @property
    def share(self) -> str:
        """Which process of how many, such as `3/20`; empty while the run is prepared."""
        return self._share

    @property
    def text(self) -> str:
        """The line as it is now."""
        left = self._left
        if left is not None:
            gone = time.monotonic() - self._began
            left = replace(left, seconds=max(0.0, left.seconds - gone))
        return _line(self._what, self._share, left)

    def note(self, text: str) -> None:
        """Print the text above the line."""
        self._write(f"{text}\n")
        self.tick()

    def close(self) -> None:
        """Remove the line."""
        self._write("")

    def _write(self, text: str) -> None:
        print_progress(text, control="\r\x1b[2K")


def for_terminal(*, quiet: bool = False) -> Progress:
    """The progress that suits standard error."""
    if quiet:
        return Silent()
    return LiveLine() if sys.stderr.isatty() else PlainLines()


def _line(what: str, share: str, left: TimeLeft | None) -> str:
    """The most important first: a narrow terminal cuts the end.

    The time is `about` right if every workload was measured before, and `roughly` right otherwise.
    """
    time_left = ""
    if left is not None:
        time = units.about(max(1.0, left.seconds))
        time_left = f"{'about' if left.is_exact else 'roughly'} {time} left"
    return " · ".join(filter(None, (share, time_left, what)))
