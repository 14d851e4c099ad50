"""The progress of a run in a notebook: a bar that is redrawn in its place."""

import sys
from collections.abc import Callable
from importlib import import_module

from ondevice_bench.notebook import progress_bar
from ondevice_bench.running.progress import LiveLine, Progress

Show = Callable[[str], None]  # HTML, in place of what was shown before


class NotebookBar(LiveLine):
    """The live line with a bar; notes stay below it."""

    def __init__(self, show: Show) -> None:
        super().__init__()
        self._show = show
        self._notes: list[str] = []

    def tick(self) -> None:
        """Redraw the time left."""
        done, _, whole = self.share.partition("/")
        share = (int(done), int(whole)) if whole else None
        self._show(progress_bar(share, self.text, self._notes))

    def note(self, text: str) -> None:
        """Add the text to those below the bar."""
        self._notes.append(text)
        self.tick()

    def close(self) -> None:
        """Remove the bar; the notes stay."""
        self._show(progress_bar(None, "", self._notes))


def for_notebook() -> Progress | None:
    """A bar, if this process is the kernel of a notebook.

    IPython is never imported here: a kernel has imported it already.
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return None if getattr(shell, "kernel", None) is None else NotebookBar(_show_in_place())


def _show_in_place() -> Show:
    shown = import_module("IPython.display")
    handle = shown.display(shown.HTML(""), display_id=True)
    return lambda html: handle.update(shown.HTML(html))
