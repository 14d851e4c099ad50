"""The texts in a folder of the user's, by their names alone."""

from collections.abc import Iterator
from pathlib import Path


def text_files(folder: Path) -> Iterator[Path]:
    """The files of texts in the folders of classes. A folder with such a name is none."""
    return (file for file in folder.glob("*/*.txt") if file.is_file())
