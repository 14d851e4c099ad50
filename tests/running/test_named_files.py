"""Files of the user's that change while a run goes on."""

import os

import numpy
import pytest

from ondevice_bench.data.batch import BatchStore
from ondevice_bench.errors import BadInput
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.named_files import NamedFiles
from ondevice_bench.running.progress import Silent
from ondevice_bench.running.queries import inspect
from ondevice_bench.running.queries.fit import fits
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.running.queries.peaks import peaks
from ondevice_bench.running.queries.preview import plain_steps
from ondevice_bench.specs import data, registry, sources
from ondevice_bench.specs.data import DataSource
from ondevice_bench.suite.board import HERE
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.load import load_suite
from ondevice_bench.suite.plan import plan
from tests.running.conftest import well

SUITE = """\
schema: 1
title: t
models: [{mcunet: {batch: 1}}]
methods: [vanilla, ./mine.py:Mine]
weights: start.pt
measure: [trace, time]
rounds: 2
"""
FILES = {
    "mine.py": "import beside\n\n\nclass Mine:\n    pass\n",
    "beside.py": "SIZE = 1\n",
    "start.pt": "weights",
}


@pytest.fixture
def files(world, workplace):
    """A run with a method of the user's, a file beside it, and weights."""
    (workplace / "x.yaml").write_text(SUITE)
    for name, text in FILES.items():
        (workplace / name).write_text(text)
    return workplace


def edit(file):
    """Write other bytes, as many as before."""
    file.write_text(f"{file.read_text()[:-1]} ")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_changes_between_two_tasks_ends_the_run(world, stored, host, files, name):
    changed = pytest.raises(BadInput, match=r"changed since the run began: stored results stay")
    with changed as error, world() as session:
        of_mine = [task for task in session.tasks() if "mine.py" in task.cell]
        for task in of_mine[:2]:
            session.perform(task)
        edit(files / name)
        session.perform(of_mine[2])
    assert str(files) in str(error.value)
    assert len(host.jobs) == 2
    with world() as session:
        session.perform_all(Silent())
    assert [len(statuses) for statuses in stored().values()] == [2, 7]


@pytest.mark.parametrize("name", FILES)
def test_what_is_measured_while_a_file_changes_is_not_stored(world, stored, host, files, name):
    def answer(job):
        if len(host.jobs) == 3:
            edit(files / name)
        return well(job)

    host.answer = answer
    changed = pytest.raises(BadInput, match="changed since the run began")
    with changed, world() as session:
        for task in session.tasks():
            if "mine.py" in task.cell:
                session.perform(task)
    assert [len(statuses) for statuses in stored().values()] == [2]


def test_a_file_that_is_gone_ends_the_run_and_one_that_is_written_again_does_not(world, files):
    gone = pytest.raises(BadInput, match=r"start.pt changed since the run began")
    with gone, world() as session:
        for task in session.tasks():
            for name, text in FILES.items():
                (files / name).write_text(text)
                os.utime(files / name, (1, 1))
            session.perform(task)
        (files / "start.pt").unlink()
        session.perform(session.tasks()[0])


def test_no_batch_is_made_of_other_data_than_those_that_were_named(workplace):
    file, shape = workplace / "x.npz", (7, 4, 4, 3)
    numpy.savez(file, images=numpy.zeros(shape, "uint8"), labels=numpy.arange(7))
    source = data.parse({"npz": "x.npz"}, workplace)
    maker = JobMaker(FakeHost(), BatchStore(workplace / "batches"), data=source)

    def job(seed):
        cell = Cell(f"s{seed}", "mcunet", "vanilla", 2, seed, data=source.name)
        return maker.job(cell, "trace")

    job(0)
    numpy.savez(file, images=numpy.ones(shape, "uint8"), labels=numpy.arange(7))
    job(0)  # its batch exists
    with pytest.raises(BadInput, match=r"x.npz changed since the run began"):
        job(1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda host, suite, items: fits(host, suite, items, 2**40, {}),
        lambda host, suite, items: inspect.ask(host, suite, "layers", with_batch=False),
        lambda host, suite, items: list(peaks(host, suite, [items[0].cell], print)),
        plain_steps,
    ],
    ids=["fit", "inspect", "peaks", "preview"],
)
def test_no_answer_is_of_a_file_that_changed_meanwhile(files, ask):
    def answer(job):
        edit(files / "start.pt")
        return well(job)

    suite = load_suite("x.yaml")
    with pytest.raises(BadInput, match=r"start.pt changed since the run began"):
        ask(FakeHost(answer), suite, plan(suite, HERE))


def test_a_package_that_changes_ends_the_run_if_it_is_on_this_machine(tmp_path):
    file = tmp_path / "installed.py"
    file.write_text("def net():\n    pass\n")
    code = sources.digest_of_module("installed", file)
    spec = registry.own_model("installed:net", tmp_path)
    cell = Cell("c", spec.name, "vanilla", 1, code=code)
    registry.describe(spec.name, code=code, code_file=str(file))
    named = NamedFiles(DataSource(), {})
    named.require_unchanged(cell)
    edit(file)
    with pytest.raises(BadInput, match=r"installed.py changed since the run began"):
        named.require_unchanged(cell)
    NamedFiles(DataSource(), {}).require_unchanged(cell)  # as for a file of a board
    registry.describe(spec.name, code_file="/there/installed.py")
    NamedFiles(DataSource(), {}).require_unchanged(cell)
