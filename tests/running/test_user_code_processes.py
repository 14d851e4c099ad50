"""The processes that run users' code: which ones start, and what a batch or a loss may do there."""

import dataclasses

import pytest
import torch

from ondevice_bench.data import nested
from ondevice_bench.data.batch import BatchStore, NoBatch
from ondevice_bench.errors import BadInput
from ondevice_bench.hardware.state import allowed_cpus
from ondevice_bench.running.hosts import local
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.hosts.host import NoAnswer
from ondevice_bench.running.hosts.local import local_host
from ondevice_bench.running.queries import user_models
from ondevice_bench.running.queries.jobs import JobMaker
from ondevice_bench.specs import registry
from ondevice_bench.specs.inputs import Images
from ondevice_bench.suite.board import Board
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.from_flags import Words
from ondevice_bench.suite.plan import plan
from ondevice_bench.units import GIB, MIB
from ondevice_bench.worker import describe
from tests.running.user_code import BATCHED, HERE, MEAN, NET, PAIR, PLAIN, answer_here

# what a network prints on every way is no answer
LOUD = """\
import atexit, os
print("loud")
os.write(1, b"louder\\n")
atexit.register(print, "at the end")
"""
REFUSE = """\
from ondevice_bench.methods import Refusal

def refuse():
    raise Refusal("not this one")

"""


@pytest.fixture
def host(forked):
    """This machine. It ends its processes after the test."""
    with local_host() as found:
        yield found


def test_a_process_of_its_own_answers(workplace, host):
    (workplace / "mynet.py").write_text(f"{LOUD}\n{NET}")
    suite = Words(["./mynet.py:Net"]).suite()
    user_models.describe(host, suite)
    assert registry.model(suite.models[0].name).inputs({}) == Images(3, 24, 7)
    (workplace / "deadly.py").write_text("import os\nos._exit(3)\n")
    with pytest.raises(
        BadInput, match="the model's code gave no answer: the worker ended with status 3"
    ):
        user_models.describe(host, Words(["./deadly.py:net"]).suite())


@pytest.mark.usefixtures("forked")
def test_questions_leave_the_zygote_as_it_was(workplace, monkeypatch):
    """It forks those who answer and those who measure, and loads no code of the user."""
    monkeypatch.setattr(local, "allowed_cpus", lambda: allowed_cpus()[:1])  # so it has no threads
    (workplace / "batched.py").write_text(BATCHED)
    (workplace / "plain.py").write_text(NET)
    user_models.describe(HERE, Words(["./plain.py:Net"]).suite())
    (item,) = plan(Words(["./plain.py:Net"]).suite(), Board("here"))
    with local_host() as host:
        job = JobMaker(host, None).job(item.cell, "shapes")
        zygote, before = host._launcher("").zygote, host.run(job, 60.0)
        user_models.describe(host, Words(["./batched.py:model"]).suite())
        after = host.run(job, 60.0)
        assert host._launcher("").zygote is zygote
    assert before.launch == after.launch == "forked"
    assert before.reply.status == after.reply.status == "ok"
    packages = before.reply.result.details["packages"]
    assert "bench_user_plain" in packages
    assert after.reply.result.details["packages"] == packages


def test_what_a_batch_draws_without_its_seed_comes_from_the_seed(workplace):
    """Processes of one zygote have equal random states: other uses would get the same batch."""
    text = "import random\nimport numpy\n" + PAIR.replace(
        "BATCH", "torch.tensor(numpy.random.rand(size, 4) + random.random()), torch.rand(size)"
    )
    (workplace / "drawn.py").write_text(text.replace("LOSS", MEAN))
    drawn = []
    for number, seed in enumerate((3, 3, 3 + 2**31)):
        path = workplace / f"{number}.safetensors"
        request = {"model": "drawn.py:net", "size": 2, "seed": seed, "path": str(path)}
        assert describe.batch(request) == {}
        drawn.append(nested.read(path))
    one, again, other = drawn
    assert all(map(torch.equal, one, again))
    assert not any(map(torch.equal, one, other))


def test_only_files_of_one_folder_are_described_by_one_process(workplace):
    for name in ("a/one.py", "b/two.py", "a/three.py"):
        (workplace / name).parent.mkdir(exist_ok=True)
        (workplace / name).write_text(NET)
    host = FakeHost(reply_to=answer_here)
    models = ["./a/one.py:Net", "./b/two.py:Net", "./a/three.py:Net"]
    suite = Words(models, options=["classes=3", "classes=4"]).suite()
    user_models.describe(host, suite)
    assert host.questions == ["describe", "describe"]
    found = [registry.model(choice.name).inputs({"classes": 4}) for choice in suite.models]
    assert found == [Images(3, 24, 4)] * 3


def test_a_batch_function_that_ends_its_process_fails_its_cell_only(tmp_path):
    def reply_to(question, request):
        raise NoAnswer("gave no answer: no result within 600 s")

    host, store = FakeHost(reply_to=reply_to), BatchStore(tmp_path / "batches")
    with pytest.raises(NoBatch, match="the model's code gave no answer: no result within 600 s"):
        user_models.batch(host, store, "net.py:net", Cell("x", "own", "vanilla", 4), "batch")


def test_a_batch_of_the_users_is_made_once_for_each_use(workplace, tmp_path, host):
    (workplace / "batched.py").write_text(BATCHED)
    store = BatchStore(tmp_path / "batches")
    file = str(workplace / "batched.py:model")
    cell = Cell("x", "own", "vanilla", 4, seed=3)
    uses = ("batch", "batch", "calibrate")
    paths = [user_models.batch(host, store, file, cell, use) for use in uses]
    assert paths[0] == paths[1] != paths[2]
    found, other = nested.read(paths[0]), nested.read(paths[2])
    assert found["x"].shape == (4, 5)
    assert torch.equal(found["x"], torch.randn(4, 5, generator=torch.Generator().manual_seed(3)))
    assert isinstance(found["more"], tuple)
    assert not torch.equal(found["x"], other["x"])


def test_a_batch_that_is_smaller_than_its_cell_is_refused(workplace, tmp_path, host):
    """Its numbers would be those of another batch."""
    few = PAIR.replace("BATCH", "torch.zeros(size, 4)[:3], torch.zeros(size)[:3]")
    (workplace / "few.py").write_text(few.replace("LOSS", MEAN))
    store = BatchStore(tmp_path / "batches")
    file = str(workplace / "few.py:net")
    with pytest.raises(NoBatch, match=r"batch\(4, seed\) must return tensors of length 4"):
        user_models.batch(host, store, file, Cell("x", "own", "vanilla", 4), "batch")
    suite = Words(["./few.py:net"], batches=[2, 4]).suite()
    user_models.describe(HERE, suite)
    reasons = [
        host.run(JobMaker(host, None).job(item.cell, "shapes"), 60.0).reply.reason
        for item in plan(suite, Board("here"))
    ]
    assert reasons[0] == ""
    assert reasons[1].startswith("batch(4, seed) must return tensors of length 4")


def test_a_loss_that_runs_out_of_memory_or_is_refused_is_no_error_of_the_users(
    workplace, tmp_path, host
):
    found = {}
    stores = JobMaker(host, BatchStore(tmp_path / "batches"))
    for name, loss in {
        "large": f"{MEAN} + torch.zeros(2**42).sum()",
        "refused": f"refuse() if model.training else {MEAN}",
    }.items():
        text = PAIR.replace("BATCH", PLAIN).replace("LOSS", loss)
        (workplace / f"{name}.py").write_text(REFUSE + text)
        suite = Words([f"./{name}.py:net"], batches=[4]).suite()
        user_models.describe(HERE, suite)
        (item,) = plan(suite, Board("here"))
        job = dataclasses.replace(stores.job(item.cell, "memory"), memory_cap=4 * GIB)
        found[name] = host.run(job, 60.0).reply
    assert found["large"].status == "oom"
    assert f"could not allocate {2**44 // MIB}.00 MiB" in found["large"].reason
    assert (found["refused"].status, found["refused"].reason) == ("skipped", "not this one")
