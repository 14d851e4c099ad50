"""Ranks and bases that depend on examples come from none that a test may see."""

from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from ondevice_bench.data import nested
from ondevice_bench.data.batch import BatchStore
from ondevice_bench.passes import CALIBRATE
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs.data import HELD_OUT_EVERY
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.plan import plan

COUNT = 60


class Local(FakeHost):
    """A host whose files lie where the parent wrote them."""

    def put(self, path):
        return str(path)


@pytest.fixture
def images(tmp_path):
    """Images of one brightness each: its place among all."""
    path = tmp_path / "images.npz"
    places = numpy.arange(COUNT, dtype=numpy.uint8)
    numpy.savez(
        path,
        images=numpy.broadcast_to(places[:, None, None, None], (COUNT, 32, 32, 3)),
        labels=(places % 10).astype(numpy.int64),
    )
    return path


def cells(method, data, **ranks):
    words = Words(["mcunet"], [method], ["image_size=32", "classes=10"], ranks, data=data)
    suite = words.suite()
    return suite, [item.cell for item in plan(suite, HERE)]


def seen(tmp_path, suite, cell, number=40):
    """The labels of the images in the batch that chooses ranks."""
    maker = JobMaker(Local(), BatchStore(tmp_path / "batches"), data=suite.data)
    job = maker.job(replace(cell, batch=number), CALIBRATE)
    inputs, _ = nested.read(Path(job.batch_path))
    assert len(inputs) == number
    return {float(image.mean()) for image in inputs}


def test_ranks_by_energy_see_no_image_to_test_on(tmp_path, images):
    suite, (cell,) = cells("asi", f"npz:{images}", epsilon=["0.8"])
    assert cell.calibrated_on == "train"
    plain_suite, (plain,) = cells("vanilla", f"npz:{images}")
    everything = seen(tmp_path, plain_suite, plain, 600)
    kept = seen(tmp_path, suite, cell, 600)  # more than there are: they come again
    assert len(everything) == COUNT
    tested = set(sorted(everything)[::HELD_OUT_EVERY])
    assert kept == everything - tested


@pytest.mark.parametrize(
    ("method", "ranks", "data"),
    [
        ("vanilla", {}, "digits"),
        ("asi", {"fraction": ["0.25"]}, "digits"),
        ("asi", {"rank": ["4"]}, "digits"),
        ("asi", {"epsilon": ["0.8"]}, None),
        ("asi", {"epsilon": ["0.8"]}, "photos"),
    ],
)
def test_all_other_cells_keep_their_fingerprints(method, ranks, data):
    _, (cell,) = cells(method, data, **ranks)
    assert cell.calibrated_on == ""
    assert "calibrated_on" not in cell.to_dict()


def test_bases_of_a_batch_count_too_and_the_baseline_stays_beside_them():
    _, (lance,) = cells("lance", "digits", fraction=["0.25"])
    _, (plain,) = cells("vanilla", "digits")
    assert lance.calibrated_on == "train"
    assert lance.of_any_method == plain.of_any_method
