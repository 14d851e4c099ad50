"""The batch of a cell: seeded, so that every process of the cell trains on the same bytes."""

import hashlib
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ondevice_bench.data import tensorfile
from ondevice_bench.errors import BadInput
from ondevice_bench.specs.data import ALL, DataSource
from ondevice_bench.specs.inputs import Inputs, to_dict

if TYPE_CHECKING:
    import numpy

    Arrays: TypeAlias = Mapping[str, numpy.ndarray[Any, Any]]

# each has a function of its name in a module that is loaded when the data is asked for
_MAKERS = {
    "synthetic": "ondevice_bench.data.synthetic",
    "photos": "ondevice_bench.data.photos",
    "digits": "ondevice_bench.data.digits",
    "text": "ondevice_bench.data.text",
    "folder": "ondevice_bench.data.readers",
    "cifar10": "ondevice_bench.data.readers",
    "npz": "ondevice_bench.data.readers",
}


class NoBatch(ValueError):
    """The data cannot make this batch; the text says why."""


class BatchStore:
    """Writes each needed batch once into a folder of the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def batch(
        self, source: DataSource, inputs: Inputs, size: int, seed: int, use: str = "batch"
    ) -> Path:
        """The file with `inputs` and `targets` of one batch for that use."""
        path = self.path(source.name, to_dict(inputs), size, seed, use)
        if not path.exists():
            self._write(path, make(source, inputs, size, f"{use} {seed}"))
        return path

    def examples(
        self, source: DataSource, inputs: Inputs, size: int, seed: int, split: str
    ) -> Path:
        """The file with examples to learn from, or to be tested on."""
        path = self.path(source.name, to_dict(inputs), size, seed, split)
        if not path.exists():
            self._write(path, make(source, inputs, size, f"{split} {seed}", split))
        return path

    def path(self, *what: object) -> Path:
        """Where the batch that is described by these values lies."""
        text = json.dumps(what, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.safetensors"

    def _write(self, path: Path, arrays: "Arrays") -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            tensorfile.write(unfinished, arrays)
            unfinished.rename(path)
        except OSError as error:
            raise BadInput(f"{path}: cannot be written: {error.strerror}") from None


def make(source: DataSource, inputs: Inputs, size: int, seed: str, split: str = ALL) -> "Arrays":
    """`inputs` and `targets` of one batch, of that part of the examples."""
    import numpy

    refused = source.refuses(inputs)
    if refused is not None:
        raise NoBatch(refused)
    stream = hashlib.sha256(seed.encode()).digest()
    generator = numpy.random.default_rng(numpy.frombuffer(stream, dtype=numpy.uint32))
    maker: Callable[..., Arrays] = getattr(import_module(_MAKERS[source.kind]), source.kind)
    part = {} if split == ALL else {"split": split}
    arrays = maker(source, inputs, size, generator, **part)
    return {name: numpy.ascontiguousarray(array) for name, array in arrays.items()}
