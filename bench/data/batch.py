"""The batch of a cell: seeded, so that every process of the cell trains on the same bytes."""

import hashlib
from pathlib import Path

from bench.data import tensorfile
from bench.errors import BadInput
from bench.specs.model import ImageInputs


class BatchStore:
    """Writes each needed batch once into a folder of the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def batch(self, inputs: ImageInputs, size: int, seed: int, use: str = "batch") -> Path:
        """The file with `images` and `labels` of one synthetic batch for that use."""
        name = f"synthetic-{use}-{inputs.channels}x{inputs.size}-{inputs.classes}-b{size}-s{seed}"
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            self._write(path, inputs, size, f"{use} {seed}")
        return path

    def _write(self, path: Path, inputs: ImageInputs, size: int, seed: str) -> None:
        import numpy

        stream = hashlib.sha256(seed.encode()).digest()
        generator = numpy.random.default_rng(numpy.frombuffer(stream, dtype=numpy.uint32))
        shape = (size, inputs.channels, inputs.size, inputs.size)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            tensorfile.write(
                unfinished,
                {
                    "images": generator.standard_normal(shape, dtype=numpy.float32),
                    "labels": generator.integers(0, inputs.classes, size, dtype=numpy.int64),
                },
            )
            unfinished.rename(path)
        except OSError as error:
            raise BadInput(f"{path}: cannot be written: {error.strerror}") from None
