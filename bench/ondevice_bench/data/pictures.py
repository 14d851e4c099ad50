"""The images of a class in a folder of the user's, by their names alone."""

from collections.abc import Iterator
from pathlib import Path

from ondevice_bench.specs.data import files_of_class

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"})


def pictures_of_class(folder: Path) -> Iterator[Path]:
    """The images below the folder of a class. OSError if a folder below it cannot be read."""
    return (file for file in files_of_class(folder) if file.suffix.lower() in PICTURES)
