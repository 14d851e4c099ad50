"""The batch of a cell: seeded, so that every process of the cell trains on the same bytes."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ondevice_bench.data import tensorfile
from ondevice_bench.errors import BadInput
from ondevice_bench.specs.data import ALL, LEARN, DataSource
from ondevice_bench.specs.inputs import Inputs, to_dict

if TYPE_CHECKING:
    import numpy

    Arrays: TypeAlias = Mapping[str, numpy.ndarray[Any, Any]]

# by kind: the module with a function `(source, inputs, draw) -> arrays` of this name. It is loaded
# only when needed
_MAKERS = {
    "synthetic": "ondevice_bench.data.synthetic",
    "photos": "ondevice_bench.data.photos",
    "digits": "ondevice_bench.data.digits",
    "mnist": "ondevice_bench.data.mnist",
    "elpv": "ondevice_bench.data.elpv",
    "text": "ondevice_bench.data.text",
    "texts": "ondevice_bench.data.texts",
    "languages": "ondevice_bench.data.texts",
    "folder": "ondevice_bench.data.readers",
    "cifar10": "ondevice_bench.data.readers",
    "npz": "ondevice_bench.data.readers",
}


class NoBatch(ValueError):
    """The data cannot make this batch. The text has the reason."""


def require_classes(source: str, count: int, classes: int) -> None:
    """NoBatch if the labels of this source have more classes than the model."""
    if count > classes:
        raise NoBatch(
            f"{source} has {count} classes; the model has {classes}: set classes: {count}"
        )


class BatchStore:
    """Writes each batch into a folder of the run, unless the file exists."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def batch(
        self,
        source: DataSource,
        inputs: Inputs,
        size: int,
        seed: int,
        use: str = "batch",
        split: str = ALL,
    ) -> Path:
        """The file with `inputs` and `targets` of one batch for this use, from this split."""
        part = () if split == ALL else (split,)
        path = self.path(source.name, to_dict(inputs), size, seed, use, *part)
        if not path.exists():
            self._write(path, _of_size(make(source, inputs, size, f"{use} {seed}", split), size))
        return path

    def examples(
        self, source: DataSource, inputs: Inputs, size: int, seed: int, split: str
    ) -> Path:
        """The file with examples of the split, to learn from or to test on."""
        path = self.path(source.name, to_dict(inputs), size, seed, split)
        if not path.exists():
            self._write(path, make(source, inputs, size, f"{split} {seed}", split))
        return path

    def path(self, *description: object) -> Path:
        """The path of the batch that these values describe."""
        text = json.dumps(description, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.safetensors"

    def _write(self, path: Path, arrays: "Arrays") -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # another thread may write the same file with the same bytes: the last one wins
            unfinished = path.with_suffix(f".{threading.get_native_id()}.part")
            tensorfile.write(unfinished, arrays)
            unfinished.rename(path)
        except OSError as error:
            raise BadInput(f"{path}: cannot be written: {error.strerror}") from None


def make(source: DataSource, inputs: Inputs, size: int, seed: str, split: str = ALL) -> "Arrays":
    """`inputs` and `targets` of one batch from this split of the examples."""
    import numpy

    from ondevice_bench.data.split import Draw

    refusal = source.refuses(inputs)
    if refusal is not None:
        raise NoBatch(refusal)
    stream = hashlib.sha256(seed.encode()).digest()
    generator = numpy.random.default_rng(numpy.frombuffer(stream, dtype=numpy.uint32))
    maker: Callable[..., Arrays] = getattr(import_module(_MAKERS[source.kind]), source.kind)
    try:
        arrays = maker(source, inputs, Draw(size, generator, split))
    except MemoryError:
        raise NoBatch(f"{size:,} examples do not fit into the memory of this machine") from None
    if split == LEARN:
        _require_two_classes(source, arrays["targets"])
    return {name: numpy.ascontiguousarray(array) for name, array in arrays.items()}


def _of_size(arrays: "Arrays", size: int) -> "Arrays":
    """The batch at its size. If the split has fewer examples, they are repeated."""
    return {
        name: array if len(array) in (0, size) else array.take(range(size), axis=0, mode="wrap")
        for name, array in arrays.items()
    }


def _require_two_classes(source: DataSource, targets: "numpy.ndarray[Any, Any]") -> None:
    if len(targets) and (targets == targets.flat[0]).all():
        raise NoBatch(f"data: {source.name} has one class only, so there is nothing to learn")
