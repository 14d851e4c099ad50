"""A search that goes on: after the end of its budget, with other limits or more candidates."""

from dataclasses import replace

import pytest

from ondevice_bench.errors import BadInput
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.record.store import FILE_NAME, Store
from tests.recommend.conftest import Truth


def test_no_measurement_is_made_twice(world):
    first = world.search()
    again = world.search()
    assert again.measured == 0
    assert again.winner == first.winner
    assert world.search(min_cosine=None, budget=10_000).winner.label == "gradient_filter"
    with Store.open(world.folder / "out" / FILE_NAME) as store:
        assert len(store.runs()) == 1
    fresh = world.search(fresh=True)
    assert fresh.measured == first.measured


def test_a_candidate_that_joins_later_is_compared_on_the_same_machine(world):
    world.truths["gradient_filter"] = Truth(0.72, 50, cosine=0.6)
    assert world.search().winner.label == "lean"
    for name, truth in world.truths.items():  # the board has become hot
        world.truths[name] = replace(truth, seconds=1.5 * truth.seconds)
    found = world.search(min_cosine=None)
    assert found.is_decided
    assert found.winner.label == "gradient_filter"
    assert world.search(min_cosine=None).measured == 0
    assert world.search().measured == 0  # that comparison was complete


def test_a_search_that_had_no_time_goes_on(world):
    early = world.search(budget=16)
    assert not early.is_decided
    assert early.winner is not None
    jobs = len(world.passes())
    late = world.search()
    assert late.is_decided
    assert len(world.passes()) == jobs + late.measured
    assert late.winner.label == "lean"


def test_candidates_that_had_no_pilot_are_named(world):
    world.space = "schema: 1\ntitle: t\nmethods: [vanilla, lean]\nbatch: [1, 2, 4, 8]\n"
    found = world.search(budget=22)
    assert found.unreached
    assert set(found.unreached) <= set(found.labels.values())
    assert not found.is_decided


def test_candidates_without_a_pilot_join_if_the_race_of_the_others_leaves_time(world):
    def reply(job):
        if job.pass_name == "pilot":
            world.seconds += 4
        if job.pass_name == "trace":
            return Reply("ok", result=PassResult({"activation_bytes": 1000.0 * job.cell.batch}))
        return None

    world.reply = reply
    world.space = "schema: 1\ntitle: t\nmethods: [vanilla]\nbatch: [8, 7, 6, 5, 4, 3, 2, 1]\n"
    found = world.search(minimise="activation_bytes", budget=80)
    assert found.is_decided
    assert found.unreached == ()
    assert found.winner.cell.batch == 1


def test_a_search_is_for_one_network(world):
    with pytest.raises(BadInput, match=r"^--option: .* one network, got 2"):
        world.search(options=("classes=10", "classes=20"))


def test_a_fresh_search_goes_on_without_fresh(world):
    world.command = "bench recommend --model 'my net.py:net' --fresh"
    found = world.search(fresh=True, budget=16)
    assert found.place.command == "bench recommend --model 'my net.py:net'"


def test_candidates_that_are_added_to_a_space_are_measured_in_the_same_run(world):
    world.space = "schema: 1\ntitle: t\nmethods: [vanilla, saved_bf16]\n"
    assert world.search().winner.label == "vanilla"
    world.space = "schema: 1\ntitle: t\nmethods: [lean, vanilla, saved_bf16]\n"
    assert world.search().winner.label == "lean"
    world.space = "schema: 1\ntitle: t\nmethods: [saved_bf16]\n"
    assert world.search().winner.label == "saved_bf16"
    pilots = [job.cell.method for job in world.host.jobs if job.pass_name == "pilot"]
    assert sorted(pilots) == ["lean", "saved_bf16", "vanilla"]
    with Store.open(world.folder / "out" / FILE_NAME) as store:
        (run,) = store.runs()
        assert len(store.cells(run.id)) == 3
