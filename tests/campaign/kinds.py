"""Every kind of file that the campaign changes, in the order of its table."""

import random
from pathlib import Path

import numpy

from ondevice_bench.data import readers, tensorfile
from ondevice_bench.data.split import Draw
from ondevice_bench.errors import BenchError
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.inputs import Images
from tests.campaign.changes import bytes_changed, values_changed
from tests.campaign.declarations import DECLARATIONS
from tests.campaign.inputs import Kind
from tests.campaign.results import RESULTS


def _npz(path: Path) -> bytes:
    images = numpy.arange(10 * 8 * 8 * 3, dtype=numpy.uint8).reshape(10, 8, 8, 3)
    with path.open("wb") as file:
        numpy.savez_compressed(file, images=images, labels=numpy.arange(10))
    return path.read_bytes()


def _tensors(path: Path) -> bytes:
    tensors = {"a": numpy.ones((2, 12), numpy.float32), "b": numpy.ones(3, numpy.int64)}
    tensorfile.write(path, tensors, {"key": "value"})
    return path.read_bytes()


def _reply(_: Path) -> bytes:
    samples = {"step_seconds": [0.5, 0.25]}
    result = PassResult({"step_seconds": 0.5}, samples, {"joules": "no chip"}, {"notes": ["x"]})
    return Reply("ok", result=result).to_text().encode()


def _use_npz(path: Path, _: random.Random) -> None:
    source = DataSource("npz", path=path)
    readers.npz(source, Images(3, 8, 10), Draw(4, numpy.random.default_rng(0)))


def _use_tensors(path: Path, _: random.Random) -> None:
    tensorfile.metadata(path)
    tensorfile.shapes(path)
    tensorfile.read(path)


def _use_reply(path: Path, _: random.Random) -> None:
    try:
        Reply.from_text(path.read_text(encoding="utf-8", errors="replace"))
    except ValueError as error:
        raise BenchError(str(error)) from None


KINDS = (
    *RESULTS,
    *DECLARATIONS,
    Kind("an npz file: bytes", "x.npz", _npz, bytes_changed, _use_npz),
    Kind("a safetensors file: bytes", "x.safetensors", _tensors, bytes_changed, _use_tensors),
    Kind("a worker's reply: values", "x.txt", _reply, values_changed, _use_reply),
)
