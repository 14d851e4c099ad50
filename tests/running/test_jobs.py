"""What a job says of the board and of the suite, for the passes that need it."""

from dataclasses import replace
from pathlib import Path

import pytest

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.hardware.profile import load_profile
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs.data import DataSource
from ondevice_bench.suite.cell import Cell, LearningPlan

CELL = Cell(id="cell", model="mcunet", method="vanilla", batch=2)


@pytest.fixture
def job(workplace):
    def make(pass_name, profile):
        (workplace / "hardware").mkdir(exist_ok=True)
        text = f"schema: 1\ntitle: Mine\nextends: pi5\n{profile}"
        (workplace / "hardware" / "mine.yaml").write_text(text)
        host = FakeHost(profile=load_profile("mine"))
        return JobMaker(host, None, sustain=300.0).job(CELL, pass_name)

    return make


def test_the_meter_and_the_throttling_are_those_of_the_profile(job, workplace):
    found = job("sustained", "power: {command: [./meter.py, -x]}\n")
    assert found.power == {
        "kind": "command",
        "command": ("./meter.py", "-x"),
        "rails": (),
        "folder": str(workplace / "hardware"),
    }
    assert found.throttled_by == "vcgencmd"
    assert job("energy", "power: null\n").power is None
    assert job("energy", "").power["kind"] == "pmic"


def test_only_the_pass_that_lasts_gets_the_time(job):
    assert job("sustained", "").sustain == 300.0
    assert job("time", "").sustain == 0.0


def test_only_the_pass_that_reads_the_data_gets_its_source(job):
    assert job("loading", "").source["kind"] == "synthetic"
    assert job("time", "").source is None


@pytest.mark.parametrize(("kind", "expected"), [("folder", "/fake/pets"), ("cifar10", None)])
def test_only_a_folder_of_images_is_brought_to_a_worker(workplace, kind, expected):
    maker = JobMaker(FakeHost(), None, data=DataSource(kind, path=workplace / "pets"))
    assert maker.job(CELL, "loading").source["path"] == expected


def test_the_cap_leaves_room_for_the_examples(workplace):
    folder, cap = workplace / "batches", 1 << 30
    maker = JobMaker(FakeHost(memory_cap=cap), BatchStore(folder), data=DataSource("digits"))
    small = (("classes", 10), ("image_size", 32))
    cell = replace(CELL, model_options=small, learning=LearningPlan(examples=20, test=10))
    for pass_name in ("accuracy", "learning_rate", "learning"):
        job = maker.job(cell, pass_name)
        files = [folder / Path(file).name for file in job.examples.values()]
        assert job.memory_cap - cap == sum(file.stat().st_size for file in files) > 0
    assert maker.job(cell, "time").memory_cap == cap
    assert maker.job(cell, "pilot").memory_cap is None
