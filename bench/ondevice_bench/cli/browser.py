"""Opens a page for `--open`. A page that cannot be opened is a line, and no failure."""

import os
import sys
import webbrowser
from pathlib import Path

from ondevice_bench.terminal import print_errors


def open_page(page: Path) -> None:
    """Open the page in the user's browser, or say in one line why not."""
    why_not = _obstacle()
    if not why_not:
        try:
            opened = webbrowser.open(page.resolve().as_uri())
        except (OSError, webbrowser.Error):
            opened = False
        why_not = "" if opened else "no browser could be started"
    if why_not:
        print_errors(f"{page} was not opened: {why_not}")


def _obstacle() -> str:
    """Why no browser is tried. In a terminal alone, a text browser would take the terminal."""
    if os.environ.get("CI"):
        return "CI is set"
    if sys.platform == "linux" and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    ):
        return "there is no display"
    return ""
