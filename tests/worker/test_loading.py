"""The loading pass: a folder of images, batch by batch."""

import itertools
from pathlib import Path

import numpy
import pytest

from ondevice_bench import metrics
from ondevice_bench.analyse.process_notes import is_disturbed
from ondevice_bench.data.batch import BatchStore, make
from ondevice_bench.measure.clock import SPOILT
from ondevice_bench.record.details import Details
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs import data
from ondevice_bench.suite.cell import Cell
from ondevice_bench.worker.passes import loading
from tests.workers import CONV, SAMPLING, SMALL, busy_machine

NAMES = set(metrics.of_pass("loading"))
IMAGES = 7


@pytest.fixture
def job(tmp_path):
    from PIL import Image

    for place in range(IMAGES):
        folder = tmp_path / "pets" / f"kind{place % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = numpy.full((40, 60, 3), 30 * place, dtype="uint8")
        Image.fromarray(pixels).save(folder / f"{place}.png")
    source = data.parse("folder: pets", tmp_path)
    maker = JobMaker(local_host(), BatchStore(tmp_path / "batches"), SAMPLING, source)
    cell = Cell(id="cell", model=SMALL[0], method="vanilla", batch=2, data=source.name, **SMALL[1])
    return maker.job(cell, "loading")


def test_loading_is_timed_beside_the_step(job):
    found = loading.measure(job)
    assert set(found.metrics) == NAMES
    assert found.unavailable == {}
    assert found.details["images"] == IMAGES
    assert found.metrics["loading_seconds"] > 0
    shares = found.samples["loading_share"]
    assert all(0 < share < 1 for share in shares)
    assert len(shares) == len(found.samples["loading_seconds"]) >= SAMPLING.min_samples
    assert loading.IN_ONE_THREAD in found.details["notes"]


@pytest.mark.parametrize(("cores", "disturbed"), [(0.0, False), (9.0, True)])
def test_loading_that_other_programs_disturbed_is_marked(job, monkeypatch, cores, disturbed):
    busy_machine(monkeypatch, cores)
    found = loading.measure(job)
    assert is_disturbed(Details.from_dict(found.details)) == disturbed
    assert (SPOILT in found.details["notes"]) == disturbed


def test_each_image_comes_before_any_comes_again_and_is_what_a_batch_has(job, tmp_path):
    files = loading._files(job)
    load = loading._loader(job, files)
    batches = [load() for _ in range(IMAGES)]  # each image comes twice, in batches of two
    brightness = [round(float(image.mean()), 3) for inputs, _ in batches for image in inputs]
    assert len(set(brightness[:IMAGES])) == IMAGES
    assert brightness[:IMAGES] == brightness[IMAGES:]
    labels = list(itertools.chain(*(targets.tolist() for _, targets in batches)))
    assert labels[:IMAGES] == [label for _, label in files]
    source = data.parse("folder: pets", tmp_path)
    usual = make(source, loading.kinds.from_dict(job.inputs), 2, "seed")
    assert batches[0][0].shape == usual["inputs"].shape
    assert {round(float(image.mean()), 3) for image in usual["inputs"]} <= set(brightness)


def test_the_share_is_that_of_both_times():
    assert loading.LoadedStep(1.0, 3.0).share == 0.25


def test_the_memory_of_loading_is_that_of_what_it_holds():
    held = []

    def load():
        held.append(numpy.ones(64 << 17))  # 64 MiB
        held.clear()

    assert loading._peak(load) == pytest.approx(64 << 20, rel=0.1)


def test_other_data_has_a_reason(make_job):
    found = loading.measure(make_job("loading", CONV))
    assert found.metrics == {}
    reason = "loading is measured for a folder of images, and data is synthetic"
    assert found.unavailable == dict.fromkeys(NAMES, reason)


def test_the_path_of_the_folder_is_that_of_the_host(job, tmp_path):
    assert Path(job.source["path"]) == tmp_path / "pets"
