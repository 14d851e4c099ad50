"""A small file in which the kernel or a driver shows one thing."""

from pathlib import Path


def text_of(path: Path) -> str:
    """Its text without the spaces around it; empty if it is missing or cannot be read.

    A driver may put any bytes into a label.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
