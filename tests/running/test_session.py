"""Runs without a worker: order and failures, by a launcher that answers by itself."""

import dataclasses
import json
import multiprocessing
import shutil

import numpy
import pytest

from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.errors import BadInput, NothingRan
from ondevice_bench.hardware.probe import probe
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.record.model import TaskKey
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.running import session as session_module
from ondevice_bench.running.hosts import worker_reply
from ondevice_bench.running.hosts.fake import FakeHost
from ondevice_bench.running.hosts.host import Outcome
from ondevice_bench.running.progress import Silent
from ondevice_bench.running.schedule import TimeLeft
from tests.running.conftest import SUITE, well


def test_a_run_stores_how_many_examples_the_users_data_has(world, workplace):
    numpy.savez(workplace / "x.npz", images=numpy.zeros((7, 4, 4, 3), "uint8"))
    with world() as session:
        assert session.run.settings["examples"] is None
    (workplace / "x.yaml").write_text(SUITE + "data: {npz: x.npz}\n")
    with world() as session:
        assert session.run.settings["examples"] == 7


def test_no_two_rounds_of_a_cell_that_is_measured_alone_come_from_one_process(world, host):
    with world() as session:
        tasks = session.tasks()
        for task in (task for task in tasks if task.cell == tasks[0].cell):
            session.perform(task)
    assert host.renewals == 1


def test_a_run_stores_every_process_and_then_is_finished(world, stored, workplace, host):
    with world() as session:
        session.perform_all(Silent())
        run_id = session.run.id
    assert host.renewals == 1  # between the rounds
    ((only, statuses),) = stored().items()
    assert only == run_id
    assert len(statuses) == 3 * (1 + 2)  # trace once, time in both rounds
    assert set(statuses.values()) == {"ok"}
    with Store.open(workplace / "out" / FILE_NAME) as store:
        assert store.run(run_id).finished
        assert [c.state for c in store.cells(run_id)] == ["planned"] * 3
    assert not (workplace / "out" / "batches").exists()


@pytest.mark.parametrize(
    ("before", "after", "causes"),
    [
        (0x50000, 0x50000, ""),  # before the run
        (0, 0xC0000, "throttled, soft temperature limit"),
        (0x50004, 0x50000, "throttled"),  # at the beginning
        (0x50000, 0x50001, "under-voltage"),  # at the end
        (None, 0x50005, ""),
    ],
)
def test_a_time_under_throttling_has_a_note_and_a_count_has_none(
    world, workplace, host, before, after, causes
):
    readings = iter([before, after] * 9)
    idle = host.state()
    host.state = lambda: dataclasses.replace(idle, throttle_bits=next(readings))
    with world() as session:
        session.perform_all(Silent())
        run_id = session.run.id
    with Store.open(workplace / "out" / FILE_NAME) as store:
        records = list(store.records(run_id))
    found = {(record.key.pass_name, *record.details.get("notes", [])) for record in records}
    notes = [f"the board reported throttling meanwhile: {causes}"] if causes else []
    assert found == {("trace",), ("time", *notes)}


def test_notes_that_are_no_list_fail_only_their_cell_under_throttling(world, stored, host):
    odd = PassResult(metrics={"step_seconds": 1.0}, details={"notes": 7})
    host.answer, idle = (lambda _: Reply("ok", result=odd)), host.state()
    host.state = lambda: dataclasses.replace(idle, throttle_bits=0x40004)
    with world() as session:
        session.perform_all(Silent())
        run_id = session.run.id
    assert set(stored()[run_id].values()) == {"failed"}


def test_a_failed_cell_keeps_its_reason_and_the_rest_goes_on(world, stored, workplace, host):
    def answer(job):
        if job.cell.model == "vit_b_32":
            return Reply("failed", reason="ValueError: no", traceback="Traceback ...")
        return well(job)

    host.answer = answer
    notes = []
    progress = Silent()
    progress.note = notes.append
    with world() as session:
        session.perform_all(progress)
        run_id = session.run.id
    assert sorted(stored()[run_id].values()) == ["failed"] * 3 + ["ok"] * 6
    assert len(notes) == 3
    assert "ValueError: no" in notes[0]
    with Store.open(workplace / "out" / FILE_NAME) as store:
        failed = [r for r in store.records(run_id) if r.status == "failed"]
    assert failed[0].output == "printed\nTraceback ..."


def test_nothing_to_measure_is_said_before_anything_is_written(world, workplace):
    (workplace / "x.yaml").write_text(SUITE + "hardware: pi5\n")
    nothing = pytest.raises(NothingRan, match=r"nothing to measure on .*: 3 × pending on pi5")
    with nothing, world():
        pass
    assert not (workplace / "out").exists()


def test_two_runs_in_one_folder_would_disturb_each_other(world, workplace):
    with world() as session:
        session.perform(session.pending()[0])
        second = pytest.raises(BadInput, match=r"process .* is measuring into this folder")
        with second, world():
            pass


def test_run_ids_say_suite_time_and_commit_and_never_collide(world, stored):
    for _ in range(3):
        with world(fresh=True):
            pass
    ids = list(stored())
    assert len(set(ids)) == 3
    assert all(run_id.startswith("x-20") and "-abc" in run_id for run_id in ids)


def test_runs_of_one_commit_in_one_second_on_several_boards_have_ids_of_their_own(
    world, stored, workplace
):
    """They may meet in one site, to which another run with the same id would be a contradiction."""
    ids = set()
    for _ in range(3):
        with world():
            pass
        ids.update(stored())
        shutil.rmtree(workplace / "out")
    assert len(ids) == 3


def test_progress_hears_of_every_task_and_of_time_once_it_is_known(world):
    heard = []

    class Progress(Silent):
        def begin(self, what, share, left):
            heard.append((what, share, left))

    with world() as session:
        session.perform_all(Progress())
    assert heard[0][1:] == ("0/9", None)
    assert heard[1][2] == TimeLeft(4.0, is_exact=False)  # eight processes of half a second
    assert heard[-1][1:] == ("8/9", TimeLeft(0.5, is_exact=True))
    workloads = ("mcunet, batch 1", "mcunet, batch 2", "vit_b_32(depth=1,image_size=32), batch 1")
    assert {what for what, *_ in heard} == {
        f"vanilla, {name} · {workload}, seed 0"
        for name in ("trace", "time")
        for workload in workloads
    }


def test_no_process_of_a_fake_run_was_real():
    assert not multiprocessing.active_children()


def test_a_budget_takes_pilots_first_and_leaves_what_does_not_fit(world, stored, monkeypatch, host):
    clock = {"now": 0.0}
    monkeypatch.setattr(session_module.time, "monotonic", lambda: clock["now"])

    def slow(job):
        clock["now"] += 1.0
        return well(job)

    host.answer = slow
    with world(budget=5.6) as session:
        session.perform_all(Silent())
        assert [job.pass_name for job in host.jobs[:3]] == ["pilot"] * 3
        assert len(host.jobs) == 6
        assert session.run.settings["budget_seconds"] == 5.6
        summary = summarise(session.store, session.store.run(session.run.id))
    assert session.store.path.exists()
    said = [problem for cell in summary.cells for problem in cell.problems]
    assert any("measurements were not reached within 0:06" in text for text in said)
    host.jobs.clear()
    with world() as session:  # without a budget the same run goes on to its end
        session.perform_all(Silent())
        assert "pilot" not in {job.pass_name for job in host.jobs}
    ((_, statuses),) = stored().items()
    assert len([key for key in statuses if key.pass_name != "pilot"]) == 9


def test_a_process_that_gave_up_early_says_nothing_about_the_time_of_others(
    world, monkeypatch, host
):
    def run(job, timeout, tick):
        if job.pass_name == "pilot":
            return Outcome(well(job), "fake", 1.0)
        if job.cell.batch == 1:  # two of three cells
            return Outcome(Reply("failed", "no such thing"), "fake", 0.0)
        return Outcome(well(job), "fake", 8.0)

    monkeypatch.setattr(host, "run", run)
    with world(budget=100.0) as session:
        begun = [task for task in session.tasks() if task.pass_name in ("pilot", "trace")]
        for task in begun:
            session.perform(task)
        budget = session._budget()
        assert {budget.expected(task) for task in begun if task.pass_name == "trace"} == {8.0}


def test_a_board_is_compared_by_plain_training_of_a_cell_with_ranks_to_choose(
    world, workplace, host
):
    (workplace / "x.yaml").write_text(SUITE.replace("[vanilla]", "[{asi: {epsilon: 0.9}}]"))
    with world() as session:
        record = session.perform(TaskKey(session.tasks()[0].cell, "family", 1))
    assert record.status == "ok"
    assert host.jobs[-1].methods == (("ondevice_bench.methods.vanilla:Vanilla", {}),)


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_run_removes_nothing_that_it_did_not_make(world, workplace, kind):
    """`--out` may name a folder of the user's, and it may have a folder or a link `batches`."""
    out, mine = workplace / "out", workplace / "mine"
    mine.mkdir()
    out.mkdir()
    (mine / "thesis").write_text("mine")
    if kind == "link":
        (out / "batches").symlink_to(mine)
    else:
        mine.rename(out / "batches")
    with world() as session:
        session.perform_all(Silent())
    assert [path.read_text() for path in (out / "batches").iterdir()] == ["mine"]
    assert sorted(path.name for path in out.iterdir()) == [".lock", "batches", FILE_NAME]


@pytest.mark.parametrize(
    "values",
    [
        {"status": "splendid"},
        {"status": "failed"},
        {"status": "failed", "reason": "x", "result": {"metrics": {"step_seconds": 1.0}}},
        {"result": {"metrics": {"../x": 1.0}}},
        {"result": {"metrics": {"x": "1"}}},
        {"result": {"metrics": {"x": True}}},
        {"result": {"metrics": {"x": 1e300 * 1e300}}},
        {"result": {"metrics": {"x": 10**400}}},
        {"result": {"metrics": [1]}},
        {"result": {"samples": {"x": "123"}}},
        {"result": {"unavailable": {"x": 1}}},
        {"result": {"details": {"ranks": [1]}}},
        {"result": {"details": {"other": 10**40}}},
        {"result": {"details": 7}},
        {"result": {"more": 7}},
        {"result": None},
        {"more": 7},
    ],
)
def test_a_reply_that_nobody_can_use_fails_its_own_cell(world, host, values):
    """The user's code may write to the reply pipe."""
    text = json.dumps({**dataclasses.asdict(Reply("ok")), **values}) + "\n"

    def answer(job):
        return worker_reply.judge(text, 0, 60, None) if job.cell.batch == 2 else well(job)

    host.answer = answer
    with world() as session:
        session.perform_all(Silent())
        statuses = {key.cell: set() for key in session.tasks()}
        for record in session.store.records(session.run.id):
            statuses[record.key.cell].add(record.status)
            assert record.reason or record.status == "ok"
        assert session.store.run(session.run.id).finished
    broken = statuses.pop(next(cell for cell in statuses if "/b2/" in cell))
    assert broken == {"failed"}
    assert set.union(*statuses.values()) == {"ok"}


def test_half_a_surrogate_pair_in_a_message_is_stored(world, host):
    """A file name that is no UTF-8, in the text of an error."""
    reply = Reply.from_text(Reply("failed", "no file \udcff.png", "\ud800").to_text())
    host.answer = lambda job: reply
    with world() as session:
        session.perform_all(Silent())
        assert session.store.records(session.run.id)[0].reason == "no file ?.png"


def test_a_worker_cannot_say_which_board_it_was(world, host):
    """The user's code may write the reply; only the desk of a fleet names a unit."""
    result = PassResult(metrics={"step_seconds": 1.0}, details={"unit": "another"})
    host.answer = lambda job: Reply("ok", result=result)
    with world() as session:
        session.perform_all(Silent())
        assert set(session.store.units(session.run.id).values()) == {""}


LEARNING = """\
schema: 1
title: t
models: [{mcunet: {batch: 2, classes: 10}}]
methods: [vanilla]
data: digits
measure: [learning]
learning: {examples: 4, validation: 2, test: 2, learning_rates: [0.1, 0.3]}
"""


def learning_with(chosen, seen):
    """A host's answers: the pass learning_rate chooses this rate, the pass learning notes its own."""

    def answer(job):
        if job.pass_name == "learning_rate":
            tried = [{"rate": 0.1, "reason": "it was not finite"}]
            details = {"chosen_rate": chosen, "tried_rates": tried}
            return Reply("ok", result=PassResult(details=details))
        seen.append(job.cell.train.lr)
        return Reply("ok", result=PassResult(metrics={"final_accuracy": 0.5}))

    return answer


@pytest.mark.parametrize(("chosen", "rates"), [(0.3, [0.3]), (None, [])])
def test_the_pass_learning_gets_the_rate_that_was_chosen_or_is_skipped(
    world, workplace, host, chosen, rates
):
    pytest.importorskip("sklearn", reason="scikit-learn has the digits")
    (workplace / "x.yaml").write_text(LEARNING)
    seen = []
    answering = FakeHost(learning_with(chosen, seen), profile=host.profile, machine=probe())
    with world(host=answering) as session:
        assert [task.pass_name for task in session.tasks()] == ["learning_rate", "learning"]
        session.perform_all(Silent())
        (cell,) = summarise(session.store, session.run).cells
    assert seen == rates
    if chosen is None:
        assert cell.problems == (
            (
                "learning, round 1: no learning rate of the grid trains the network "
                "(0.1: it was not finite)"
            ),
        )
    else:
        assert cell.status == "ok"


def test_a_board_that_is_lost_after_a_measurement_loses_no_record(world, monkeypatch):
    with world() as session:
        task, states = session.pending()[0], [session.host.state()]

        def state():
            if not states:
                raise BadInput("board1: did not come back")
            return states.pop()

        monkeypatch.setattr(session.host, "state", state)
        with pytest.raises(BadInput, match="did not come back"):
            session.perform(task)
        assert session.store.statuses(session.run.id) == {task: "ok"}
