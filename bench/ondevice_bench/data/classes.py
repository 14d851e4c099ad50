"""Whether all examples of the user's own data have one class."""

import zipfile
import zlib
from collections.abc import Iterator

from ondevice_bench.data.batch import NoBatch
from ondevice_bench.data.pictures import pictures_of_class
from ondevice_bench.data.text_files import text_files
from ondevice_bench.specs.data import DataSource


def only_class(source: DataSource) -> str | None:
    """The class of all examples in the user's files; None if there are several, or if unknown."""
    found: set[str] = set()
    try:
        for name in _classes(source):
            found.add(name)
            if len(found) > 1:
                return None
    except (NoBatch, OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None  # the first batch says what is wrong with the data
    return next(iter(found), None)


def _classes(source: DataSource) -> Iterator[str]:
    """The class of each example, or each class that has examples."""
    if source.path is None:
        return
    match source.kind:
        case "folder":
            for child in sorted(source.path.iterdir()):
                if child.is_dir() and next(pictures_of_class(child), None):
                    yield child.name
        case "texts":
            yield from _classes_of_texts(source)
        case "npz":
            yield from _classes_of_npz(source)


def _classes_of_texts(source: DataSource) -> Iterator[str]:
    from ondevice_bench.data.texts import labelled

    assert source.path is not None
    if source.path.is_dir():
        yield from (file.parent.name for file in text_files(source.path))
    else:
        yield from (label for label, _ in labelled(source.path))


def _classes_of_npz(source: DataSource) -> Iterator[str]:
    from ondevice_bench.data.packed_arrays import packed_arrays

    assert source.path is not None
    with packed_arrays(source.path) as packed:
        if "labels" in packed.names:
            for some in packed.rows("labels"):
                yield from map(str, {some.min(), some.max()})
