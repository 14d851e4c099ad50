"""The user's own data: a folder of images, the published CIFAR-10, or arrays in one file.

These readers download nothing, and run no code inside a file.
"""

import io
import pickle
import pickletools
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy

from ondevice_bench.data import images
from ondevice_bench.data.batch import NoBatch, require_classes
from ondevice_bench.data.packed_arrays import ArrayHeader, NoArray, PackedArrays, packed_arrays
from ondevice_bench.data.pictures import pictures_of_class
from ondevice_bench.data.split import Array, Arrays, Draw
from ondevice_bench.data.split import rows as rows_of_split
from ondevice_bench.specs.data import (
    ALL,
    CIFAR10_TEST_FILES,
    CIFAR10_TRAIN_FILES,
    HELD_OUT,
    LEARN,
    VALIDATION,
    DataSource,
)
from ondevice_bench.specs.inputs import Images, Inputs, Tokens
from ondevice_bench.units import MIB, mib

MAX_NAMES = 10  # that a message lists
CIFAR_SIDE = 32
CIFAR_BYTES = 3 * CIFAR_SIDE**2
MAX_BATCH = 64 * MIB  # bytes; a file of CIFAR-10 has 30 MiB
MAX_PLACE = 1_000_000  # in the memory of a pickle
MAX_TUPLES = 1_000  # of a pickle; Python has no limit for tuples in tuples, and crashes
_DAMAGED = (  # what a damaged npz file leads to
    ValueError,
    OSError,
    MemoryError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def folder(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """`class/image.jpg`: the middle square of random images. The folder's place is the label."""
    files = labelled_files(source, inputs)
    return batch_of_files([files[place] for place in draw.chosen(len(files))], inputs)


def labelled_files(source: DataSource, inputs: Inputs) -> list[tuple[Path, int]]:
    """The images of a folder, with their labels; NoBatch if there are none."""
    root = _path(source)
    classes = sorted(child for child in root.iterdir() if child.is_dir())
    files = [
        (file, label)
        for label, child in enumerate(classes)
        for file in sorted(pictures_of_class(child))
    ]
    if not files:
        raise NoBatch(f"{root}: holds no images in folders, one for each class: CLASS/IMAGE.jpg")
    assert isinstance(inputs, Images)
    require_classes(str(root), len(classes), inputs.classes)
    return files


def batch_of_files(files: Sequence[tuple[Path, int]], inputs: Inputs) -> Arrays:
    """The images as a batch: each one read, cut to its middle square, resized and normalised."""
    from PIL import Image, UnidentifiedImageError

    assert isinstance(inputs, Images)
    pictures = []
    for file, _ in files:
        try:
            with (
                warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
                Image.open(file) as image,
            ):
                side = min(image.size)
                left, top = ((length - side) // 2 for length in image.size)
                box = (left, top, left + side, top + side)
                pictures.append(images.picture(image, inputs.size, box))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise NoBatch(f"{file}: is too large an image: {error}") from None
        except (images.UnknownWhite, UnidentifiedImageError, OSError) as error:
            raise NoBatch(f"{file}: is not an image that can be read: {error}") from None
    return {
        "inputs": images.normalised(numpy.stack(pictures), inputs),
        "targets": numpy.array([label for _, label in files], dtype=numpy.int64),
    }


def cifar10(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """Random images of CIFAR-10, from its binary or its Python files. It has its own test split.

    All are of one file. If it has too few examples of a split, other files follow.
    """
    assert isinstance(inputs, Images)
    root = _path(source)
    pattern = CIFAR10_TEST_FILES if draw.split == HELD_OUT else CIFAR10_TRAIN_FILES
    files = sorted(root.rglob(pattern))
    if not files:
        raise NoBatch(f"{root}: holds no {pattern} of CIFAR-10")
    found: list[tuple[Array, Array]] = []
    missing = draw.size
    for file in _in_random_order(files, draw.generator):
        rows, labels = _rows_of_cifar(file, replace(draw, size=missing))
        found.append((rows, labels))
        missing -= len(rows)
        if not missing:
            break
    rows, labels = (numpy.concatenate(each) for each in zip(*found, strict=True))
    squares = rows.reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE).transpose(0, 2, 3, 1)
    return images.labelled(squares, labels, inputs)


def npz(source: DataSource, inputs: Inputs, draw: Draw) -> Arrays:
    """Random rows of `images` and `labels`, or of `tokens` and (with classes) `labels`."""
    path = _path(source)
    read = _npz_tokens if isinstance(inputs, Tokens) else _npz_images
    try:
        with packed_arrays(path) as packed:
            return read(path, packed, inputs, draw)
    except NoBatch:
        raise
    except NoArray as error:
        raise NoBatch(f"{path}: {error}") from None
    except _DAMAGED as error:
        reason = str(error) or type(error).__name__
        raise NoBatch(f"{path}: is not a file of plain arrays: {reason}") from None


def _npz_images(path: Path, packed: PackedArrays, inputs: Inputs, draw: Draw) -> Arrays:
    assert isinstance(inputs, Images)
    pictures, labels = (_header(path, packed, name) for name in ("images", "labels"))
    shape = pictures.shape
    if len(shape) != 4 or shape[-1] not in {1, 3} or pictures.dtype != numpy.uint8:
        raise NoBatch(
            f"{path}: images must be bytes of shape (N, H, W, 1 or 3), "
            f"not {pictures.dtype} of {shape}"
        )
    _same_rows(path, labels, shape[:3] if inputs.dense else shape[:1])
    if inputs.dense and shape[1:3] != (inputs.size, inputs.size):
        raise NoBatch(f"{path}: with a label for each pixel, images must be {inputs.size} wide")
    picked = draw.chosen(shape[0])
    targets = _picked_labels(path, packed, inputs, picked)
    resized = _picked(packed, "images", picked, lambda row: _resized(row, inputs.size))
    return {"inputs": images.normalised(resized, inputs), "targets": targets}


def _npz_tokens(path: Path, packed: PackedArrays, inputs: Inputs, draw: Draw) -> Arrays:
    assert isinstance(inputs, Tokens)
    rows = _header(path, packed, "tokens")
    needed = inputs.length + (0 if inputs.classes else 1)
    if len(rows.shape) != 2 or rows.shape[1] < needed or rows.dtype.kind not in "iu":
        raise NoBatch(
            f"{path}: tokens must be integers of shape (N, {needed} or more), "
            f"not {rows.dtype} of {rows.shape}"
        )
    lowest, highest = _range(packed, "tokens")
    if lowest < 0 or highest >= inputs.vocabulary:
        raise NoBatch(f"{path}: tokens must be in 0 … {inputs.vocabulary - 1}")
    places = draw.chosen(rows.shape[0])
    picked = _picked(packed, "tokens", places, lambda row: row[:needed].astype(numpy.int64))
    if not inputs.classes:
        return {"inputs": picked[:, :-1], "targets": picked[:, 1:]}
    _same_rows(path, _header(path, packed, "labels"), rows.shape[:1])
    return {"inputs": picked, "targets": _picked_labels(path, packed, inputs, places)}


def _picked_labels(
    path: Path, packed: PackedArrays, inputs: Images | Tokens, places: Array
) -> Array:
    lowest, highest = _range(packed, "labels")
    if lowest < 0:
        raise NoBatch(f"{path}: labels must not be negative")
    require_classes(str(path), highest + 1, inputs.classes)
    return _picked(packed, "labels", places, lambda label: label.astype(numpy.int64))


def _picked(
    packed: PackedArrays, name: str, places: Array, change: Callable[[Array], Array]
) -> Array:
    """The rows at these places, each changed. Only some rows are in memory at once."""
    if not len(places):
        raise NoArray("has too few examples")
    order = numpy.argsort(places, kind="stable")
    wanted = places[order]
    rows: list[Array | None] = [None] * len(places)
    first = done = 0
    for some in packed.rows(name):
        until = int(numpy.searchsorted(wanted, first + len(some)))
        changed: dict[int, Array] = {}
        for place, row in zip(order[done:until], wanted[done:until], strict=True):
            if row not in changed:
                changed[row] = change(some[row - first])
            rows[place] = changed[row]
        first, done = first + len(some), until
    return numpy.stack([row for row in rows if row is not None])


def _range(packed: PackedArrays, name: str) -> tuple[int, int]:
    """The lowest and the highest number of an array."""
    bounds = [(int(some.min()), int(some.max())) for some in packed.rows(name)]
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def _resized(row: Array, size: int) -> Array:
    return images.from_array(numpy.repeat(row, 3, axis=-1) if row.shape[-1] == 1 else row, size)


def _header(path: Path, packed: PackedArrays, name: str) -> ArrayHeader:
    if name not in packed.names:
        listing = ", ".join(packed.names[:MAX_NAMES]) or "none"
        raise NoBatch(f"{path}: has no array {name!r} (it has: {listing})")
    return packed.header(name)


def _same_rows(path: Path, labels: ArrayHeader, shape: tuple[int, ...]) -> None:
    if labels.shape != shape or labels.dtype.kind not in "iu":
        raise NoBatch(
            f"{path}: labels must be integers of shape {shape}, "
            f"not {labels.dtype} of {labels.shape}"
        )


def _path(source: DataSource) -> Path:
    assert source.path is not None
    return source.path


def _in_random_order(files: list[Path], generator: numpy.random.Generator) -> Iterator[Path]:
    """One file, then the others beside it: nothing is drawn for them before they are needed."""
    first = files[generator.integers(len(files))]
    yield first
    # the same images in the other format, or in another folder, would count twice
    others = [
        file
        for file in files
        if file != first and (file.parent, file.suffix) == (first.parent, first.suffix)
    ]
    yield from (others[place] for place in generator.permutation(len(others)))


def _rows_of_cifar(file: Path, draw: Draw) -> tuple[Array, Array]:
    """Random rows and labels of a file. The test split, and all other files, are whole files."""
    if (bytes_of_file := file.stat().st_size) > MAX_BATCH:
        raise NoBatch(f"{file}: takes {mib(bytes_of_file)}, more than any file of CIFAR-10")
    rows, labels = _cifar_binary(file) if file.suffix == ".bin" else _cifar_pickle(file)
    if draw.split == ALL:
        picked = draw.chosen(len(rows))
    else:
        split = draw.split if draw.split in (LEARN, VALIDATION) else ALL
        picked = draw.shuffled_of(rows_of_split(len(rows), split))
    return rows[picked], labels[picked]


def _cifar_binary(file: Path) -> tuple[Array, Array]:
    raw = numpy.fromfile(file, dtype=numpy.uint8)
    if not raw.size or raw.size % (CIFAR_BYTES + 1):
        raise NoBatch(f"{file}: is not a batch of CIFAR-10: rows must have {CIFAR_BYTES + 1} bytes")
    rows = raw.reshape(-1, CIFAR_BYTES + 1)
    return rows[:, 1:], rows[:, 0]


class _PlainUnpickler(pickle.Unpickler):
    """Reads arrays and plain values, and refuses all other content of a pickle."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            "_reconstruct": ("numpy.core.multiarray", "numpy._core.multiarray"),
            "ndarray": ("numpy",),
            "dtype": ("numpy",),
            "encode": ("_codecs",),
        }
        if module in allowed.get(name, ()):
            return super().find_class(module, name)
        raise NoBatch(f"holds code beside arrays ({module}.{name}): refused")


def _require_simple(data: bytes) -> None:
    """NoBatch for a pickle that would take much memory, or crash Python, before it is read."""
    tuples = 0
    for operation, argument, _ in pickletools.genops(data):
        tuples += operation.name.startswith(("TUPLE", "FROZENSET"))
        if operation.name.endswith("PUT") and int(argument or 0) > MAX_PLACE:
            raise NoBatch(f"has more than {MAX_PLACE:,} places")
    if tuples > MAX_TUPLES:
        raise NoBatch(f"has more than {MAX_TUPLES:,} tuples")


def _cifar_pickle(file: Path) -> tuple[Array, Array]:
    try:
        data = file.read_bytes()
        _require_simple(data)
        batch = _PlainUnpickler(io.BytesIO(data), encoding="bytes").load()
        rows, labels = batch[b"data"], numpy.asarray(batch[b"labels"], dtype=numpy.int64)
    except NoBatch as error:
        raise NoBatch(f"{file}: {error}") from None
    except Exception as error:
        raise NoBatch(f"{file}: is not a batch of CIFAR-10: {error}") from None
    if rows.dtype != numpy.uint8 or rows.shape != (len(labels), CIFAR_BYTES):
        raise NoBatch(f"{file}: is not a batch of CIFAR-10: data is {rows.dtype} of {rows.shape}")
    return rows, labels
