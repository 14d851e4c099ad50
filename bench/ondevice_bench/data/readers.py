"""The user's own data: a folder of images, the published CIFAR-10, or arrays in one file.

These readers download nothing, and run no code inside a file.
"""

import pickle
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy

from ondevice_bench.data import images
from ondevice_bench.data.batch import NoBatch
from ondevice_bench.data.count import PICTURES
from ondevice_bench.data.split import chosen, drawn
from ondevice_bench.specs.data import ALL, HELD_OUT, DataSource
from ondevice_bench.specs.inputs import Images, Inputs, Tokens
from ondevice_bench.units import GIB, mib

if TYPE_CHECKING:
    Array: TypeAlias = numpy.ndarray[Any, Any]

MAX_ARRAYS = GIB  # bytes, unpacked
CIFAR_SIDE = 32
CIFAR_BYTES = 3 * CIFAR_SIDE**2
_DAMAGED = (  # what a damaged npz file leads to
    ValueError,
    OSError,
    MemoryError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def folder(
    source: DataSource,
    inputs: Inputs,
    size: int,
    generator: numpy.random.Generator,
    split: str = ALL,
) -> "dict[str, Array]":
    """`class/image.jpg`: the middle square of random images. The folder's place is the label."""
    from PIL import Image, UnidentifiedImageError

    root = _path(source)
    assert isinstance(inputs, Images)
    classes = sorted(child for child in root.iterdir() if child.is_dir())
    labelled_files = [
        (file, label)
        for label, child in enumerate(classes)
        for file in sorted(child.rglob("*"))
        if file.suffix.lower() in PICTURES
    ]
    if not labelled_files:
        raise NoBatch(f"{root}: holds no images in folders, one for each class: CLASS/IMAGE.jpg")
    _require_classes(str(root), len(classes), inputs.classes)
    pictures, targets = [], []
    for index in chosen(len(labelled_files), size, generator, split):
        file, label = labelled_files[index]
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
        except (UnidentifiedImageError, OSError) as error:
            raise NoBatch(f"{file}: is no image that can be read: {error}") from None
        targets.append(label)
    return {
        "inputs": images.normalised(numpy.stack(pictures), inputs.channels),
        "targets": numpy.array(targets, dtype=numpy.int64),
    }


def cifar10(
    source: DataSource,
    inputs: Inputs,
    size: int,
    generator: numpy.random.Generator,
    split: str = ALL,
) -> "dict[str, Array]":
    """Random images of CIFAR-10, from its binary or its Python files. It has its own test split."""
    assert isinstance(inputs, Images)
    root = _path(source)
    pattern = "test_batch*" if split == HELD_OUT else "data_batch_*"
    files = sorted(root.rglob(pattern))
    if not files:
        raise NoBatch(f"{root}: holds no {pattern} of CIFAR-10")
    file = files[generator.integers(len(files))]
    rows, labels = _cifar_binary(file) if file.suffix == ".bin" else _cifar_pickle(file)
    picked = (
        generator.integers(0, len(rows), size)
        if split == ALL
        else drawn(numpy.arange(len(rows)), size, generator, split)
    )
    squares = rows[picked].reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE).transpose(0, 2, 3, 1)
    pictures = numpy.stack([images.from_array(square, inputs.size) for square in squares])
    return {
        "inputs": images.normalised(pictures, inputs.channels),
        "targets": labels[picked].astype(numpy.int64),
    }


def npz(
    source: DataSource,
    inputs: Inputs,
    size: int,
    generator: numpy.random.Generator,
    split: str = ALL,
) -> "dict[str, Array]":
    """Random rows of `images` and `labels`, or of `tokens` and (with classes) `labels`."""
    path = _path(source)
    try:
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(member.file_size for member in packed.infolist())
        _require_small(path, unpacked)
        with numpy.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except NoBatch:
        raise
    except _DAMAGED as error:
        reason = str(error) or type(error).__name__
        raise NoBatch(f"{path}: is no file of plain arrays: {reason}") from None
    if isinstance(inputs, Tokens):
        return _npz_tokens(path, arrays, inputs, size, generator, split)
    assert isinstance(inputs, Images)
    pictures, labels = (_array(path, arrays, name) for name in ("images", "labels"))
    if pictures.ndim != 4 or pictures.shape[-1] not in {1, 3} or pictures.dtype != numpy.uint8:
        raise NoBatch(
            f"{path}: images must be bytes of shape (N, H, W, 1 or 3), "
            f"not {pictures.dtype} of {pictures.shape}"
        )
    shape = pictures.shape[:3] if inputs.dense else pictures.shape[:1]
    _same_rows(path, labels, shape)
    if inputs.dense and shape[1:] != (inputs.size, inputs.size):
        raise NoBatch(f"{path}: with a label for each pixel, images must be {inputs.size} wide")
    _require_classes(str(path), int(labels.max()) + 1, inputs.classes)
    picked = chosen(len(pictures), size, generator, split)
    three = [numpy.repeat(p, 3, axis=-1) if p.shape[-1] == 1 else p for p in pictures[picked]]
    resized = numpy.stack([images.from_array(each, inputs.size) for each in three])
    return {
        "inputs": images.normalised(resized, inputs.channels),
        "targets": labels[picked].astype(numpy.int64),
    }


def _npz_tokens(
    path: Path,
    arrays: "dict[str, Array]",
    inputs: Tokens,
    size: int,
    generator: numpy.random.Generator,
    split: str,
) -> "dict[str, Array]":
    rows = _array(path, arrays, "tokens")
    needed = inputs.length + (0 if inputs.classes else 1)
    if rows.ndim != 2 or rows.shape[1] < needed or rows.dtype.kind not in "iu":
        raise NoBatch(
            f"{path}: tokens must be integers of shape (N, {needed} or more), "
            f"not {rows.dtype} of {rows.shape}"
        )
    if int(rows.min()) < 0 or int(rows.max()) >= inputs.vocabulary:
        raise NoBatch(f"{path}: tokens must be in 0 … {inputs.vocabulary - 1}")
    places = chosen(len(rows), size, generator, split)
    picked = rows[places, :needed].astype(numpy.int64)
    if not inputs.classes:
        return {"inputs": picked[:, :-1], "targets": picked[:, 1:]}
    labels = _array(path, arrays, "labels")
    _same_rows(path, labels, rows.shape[:1])
    _require_classes(str(path), int(labels.max()) + 1, inputs.classes)
    return {"inputs": picked, "targets": labels[places].astype(numpy.int64)}


def _require_small(path: Path, unpacked: int) -> None:
    if unpacked > MAX_ARRAYS:
        raise NoBatch(
            f"{path}: its arrays take {mib(unpacked)}, more than {mib(MAX_ARRAYS)}: keep fewer rows"
        )


def _array(path: Path, arrays: "dict[str, Array]", name: str) -> "Array":
    if name not in arrays:
        raise NoBatch(f"{path}: has no array {name!r} (it has: {', '.join(arrays) or 'none'})")
    return arrays[name]


def _same_rows(path: Path, labels: "Array", shape: tuple[int, ...]) -> None:
    if labels.shape != shape or labels.dtype.kind not in "iu" or not labels.size:
        raise NoBatch(
            f"{path}: labels must be integers of shape {shape}, "
            f"not {labels.dtype} of {labels.shape}"
        )
    if labels.min() < 0:
        raise NoBatch(f"{path}: labels must not be negative")


def _require_classes(source: str, count: int, classes: int) -> None:
    if count > classes:
        raise NoBatch(
            f"{source} has {count} classes; the model has {classes}: set classes: {count}"
        )


def _path(source: DataSource) -> Path:
    assert source.path is not None
    return source.path


def _cifar_binary(file: Path) -> "tuple[Array, Array]":
    raw = numpy.fromfile(file, dtype=numpy.uint8)
    if not raw.size or raw.size % (CIFAR_BYTES + 1):
        raise NoBatch(f"{file}: is no batch of CIFAR-10: rows must have {CIFAR_BYTES + 1} bytes")
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


def _cifar_pickle(file: Path) -> "tuple[Array, Array]":
    try:
        with file.open("rb") as opened:
            batch = _PlainUnpickler(opened, encoding="bytes").load()
        rows, labels = batch[b"data"], numpy.asarray(batch[b"labels"], dtype=numpy.int64)
    except NoBatch as error:
        raise NoBatch(f"{file}: {error}") from None
    except Exception as error:
        raise NoBatch(f"{file}: is no batch of CIFAR-10: {error}") from None
    if rows.dtype != numpy.uint8 or rows.shape != (len(labels), CIFAR_BYTES):
        raise NoBatch(f"{file}: is no batch of CIFAR-10: data is {rows.dtype} of {rows.shape}")
    return rows, labels
