"""A search whose candidates learn: seeds, learning rates, a limit and a target of accuracy."""

from dataclasses import replace

import numpy
import pytest

from ondevice_bench.data.count import fewest_examples_of
from ondevice_bench.data.split import rows
from ondevice_bench.errors import BadInput, NothingRan
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.recommend.doubts import uncertain_lines, with_option
from ondevice_bench.recommend.text import headline, rest_lines
from ondevice_bench.recommend.training import least_seconds
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.specs.data import LEARN, DataSource
from ondevice_bench.suite.cell import Cell, LearningPlan
from tests.recommend.conftest import Truth

FEW = """\
schema: 1
title: Three ways
methods: [vanilla, saved_bf16, gradient_filter]
learning: {epochs: 2, examples: 64, validation: 32, test: 32}
"""


@pytest.fixture
def learner(world):
    """Two that reach 0.8, one that does not; the fastest step learns least."""
    world.space = FEW
    world.command = "bench recommend --model mcunet --data digits"
    world.truths = {
        "vanilla": Truth(1.0, 100),
        "saved_bf16": Truth(0.7, 40, cosine=0.99, accuracy=0.88),
        "gradient_filter": Truth(0.4, 50, cosine=0.6, accuracy=0.5),
    }
    return world


def until(world, target=0.8, **more):
    return world.search("time_to_accuracy", min_cosine=None, data="digits", target=target, **more)


def trainings(world, name="learning"):
    return [(job.cell.method, job.cell.seed) for job in world.host.jobs if job.pass_name == name]


def test_the_shortest_training_to_the_target_wins(learner):
    found = until(learner)
    assert found.winner.label == "saved_bf16"
    time = found.winner.estimates["time_to_accuracy_seconds"]
    assert time.estimate == pytest.approx(2 * 10 * 0.7, rel=0.05)
    assert time.basis == "median of 3 seeds, lowest and highest"
    (out,) = found.ruled_out
    assert (out.cause, out.reason) == ("target", "its highest accuracy is 0.500 with seed 0")


def test_a_finalist_shows_the_accuracy_and_the_rate_of_all_its_seeds(learner):
    def reply(job):
        if job.pass_name != "learning_rate" or job.cell.method != "vanilla":
            return None
        chosen = 0.05 if job.cell.seed == 0 else 0.15
        return Reply("ok", result=PassResult(details={"chosen_rate": chosen}))

    learner.reply = reply
    learner.truths["vanilla"] = replace(learner.truths["vanilla"], of_seeds=(0.0, 0.02, 0.04))
    (vanilla,) = until(learner).rivals
    accuracy = vanilla.accuracy
    assert (accuracy.lower, accuracy.estimate, accuracy.upper) == pytest.approx((0.9, 0.92, 0.94))
    assert vanilla.rate == 0.15


def test_each_training_has_its_rate_from_the_validation_examples_and_is_made_once(learner):
    until(learner)
    learned, chosen = trainings(learner), trainings(learner, "learning_rate")
    assert len(set(learned)) == len(learned)
    assert sorted(learned) == sorted(chosen)
    splits = {job.pass_name: set(job.examples) for job in learner.host.jobs if job.examples}
    assert splits == {
        "learning_rate": {"learn", "validation"},
        "learning": {"learn", "held out"},
    }
    (rates,) = {job.cell.learning.learning_rates for job in learner.host.jobs if job.examples}
    assert rates == (0.005, 0.015, 0.05, 0.15)  # around the rate of `train`


def test_who_misses_the_target_is_trained_with_one_seed_only(learner):
    until(learner)
    assert [seed for method, seed in trainings(learner) if method == "gradient_filter"] == [0]


def test_few_seeds_are_undecided_and_the_command_that_decides_trains_only_the_others(learner):
    found = until(learner)
    assert [way.label for way in found.open_rivals] == ["vanilla"]
    first = len(trainings(learner))
    lines = uncertain_lines(found)
    at = lines.index("undecided: vanilla: 3 seeds did not decide; more seeds may decide it:")
    assert lines[at + 1] == "  bench recommend --model mcunet --data digits --seeds 9"
    more = until(learner, seeds=9)
    assert more.open_rivals == ()
    assert "proven" in {each.defeat for each in more.behind}
    assert len(trainings(learner)) == first + 12  # six more of two
    with Store.open(learner.folder / "out" / FILE_NAME) as store:
        (run,) = store.runs()  # the run has grown
        assert {item.cell.seed for item in store.cells(run.id)} == set(range(9))
        assert run.finished
    jobs = len(learner.host.jobs)
    assert until(learner, seeds=9).measured == 0
    assert until(learner).measured == 0  # and fewer seeds are in it, too
    assert not [job for job in learner.host.jobs[jobs:] if job.pass_name != "live_peak"]


def test_fewer_seeds_with_a_new_candidate_measure_nothing_twice(learner):
    until(learner)
    learner.space = FEW.replace("[vanilla,", "[vanilla, lean,")
    learner.truths["lean"] = Truth(0.9, 60)
    until(learner, seeds=2)
    for name in ("pilot", "learning_rate", "learning"):
        done = trainings(learner, name)
        assert len(set(done)) == len(done)
    assert {seed for method, seed in trainings(learner) if method == "lean"} == {0, 1}
    with Store.open(learner.folder / "out" / FILE_NAME) as store:
        (run,) = store.runs()
        seeds = {(item.cell.method, item.cell.seed) for item in store.cells(run.id)}
    assert {seed for method, seed in seeds if method == "vanilla"} == {0, 1, 2}
    assert {seed for method, seed in seeds if method == "lean"} == {0, 1}
    until(learner, seeds=2)
    assert len(trainings(learner)) == len(set(trainings(learner)))


ONE_CLASS = {
    "npz:one.npz": "'3': there is nothing to learn; it needs `labels` with two numbers or more",
    "texts:one.tsv": "'spam': there is nothing to learn; it needs lines LABEL<TAB>TEXT",
}


@pytest.mark.parametrize("data", ONE_CLASS)
def test_data_of_one_class_is_refused_before_anything_is_measured(learner, workplace, data):
    images = numpy.zeros((40, 8, 8, 3), "uint8")
    numpy.savez(workplace / "one.npz", images=images, labels=numpy.full(40, 3))
    (workplace / "one.tsv").write_text("".join(f"spam\ttext {n}\n" for n in range(40)))
    model = "minilm" if data.startswith("texts") else "mcunet"
    with pytest.raises(BadInput) as refused:
        learner.search("time_to_accuracy", min_cosine=None, data=data, model=model, target=0.8)
    assert refused.value.lines[0].startswith(f"--data {data}: has one class, {ONE_CLASS[data]}")
    assert learner.passes() == []


def test_a_limit_of_accuracy_is_judged_over_seeds(learner):
    learner.truths["saved_bf16"] = replace(
        learner.truths["saved_bf16"], accuracy=0.79, of_seeds=(0.0, 0.04, 0.05)
    )
    found = learner.search(min_cosine=None, min_accuracy=0.8, data="digits")
    assert found.winner.label == "saved_bf16"
    accuracy = found.winner.accuracy
    assert (accuracy.lower, accuracy.estimate, accuracy.upper) == pytest.approx((0.79, 0.83, 0.84))
    assert found.is_accuracy_open
    said = "\n".join(uncertain_lines(found))
    assert "undecided: whether saved_bf16 meets --min-accuracy 0.8, with 0.830 (0.790 " in said
    assert "--seeds 9" in said


def test_who_is_out_by_some_seeds_is_said(learner):
    learner.truths["saved_bf16"] = replace(
        learner.truths["saved_bf16"], accuracy=0.79, of_seeds=(0.0, -0.02, 0.03)
    )
    found = learner.search(min_cosine=None, min_accuracy=0.8, data="digits")
    assert found.winner.label == "vanilla"
    assert found.out_by_chance == ("saved_bf16",)
    assert "these are out, because some of their seeds meet it: saved_bf16" in "\n".join(
        uncertain_lines(found)
    )


def test_one_seed_alone_leaves_open_who_is_out(learner):
    found = learner.search(min_cosine=None, min_accuracy=0.8, data="digits", seeds=1)
    said = "\n".join(uncertain_lines(found))
    assert "these are out, because one seed decides nothing: gradient_filter" in said
    assert "some of their seeds" not in said


def test_one_lucky_seed_of_many_leaves_nothing_open(learner):
    learner.truths["saved_bf16"] = replace(
        learner.truths["saved_bf16"], accuracy=0.7, of_seeds=(0.0,) * 8 + (0.15,)
    )
    found = learner.search(min_cosine=None, min_accuracy=0.8, data="digits", seeds=9)
    (out,) = [each for each in found.ruled_out if found.labels[each.name] == "saved_bf16"]
    assert out.reason == "accuracy 0.700 (0.700 … 0.700; 95 % interval of 9 seeds)"
    assert found.out_by_chance == ()


def test_a_rate_at_the_edge_of_those_that_were_tried_is_said(learner):
    assert not until(learner).at_the_edge
    learner.truths["saved_bf16"] = replace(learner.truths["saved_bf16"], best_rate=1.0)
    found = until(learner, fresh=True)
    assert found.at_the_edge == ("saved_bf16",)
    (line,) = [line for line in uncertain_lines(found) if "lowest or the highest" in line]
    assert line.startswith("uncertain: saved_bf16: the chosen learning rate is")


def test_the_number_of_test_examples_is_said(learner):
    def reply(job):
        if job.pass_name != "learning":
            return None
        found = learner.learned(job, learner.truths[job.cell.method])
        found.result.details["learned"]["test"] = 7 if job.cell.seed else 8
        return found

    learner.reply = reply
    found = until(learner)
    assert found.tested_on == 7
    assert any(line.startswith("the accuracy is on 7 test examples") for line in rest_lines(found))


def test_a_training_that_is_not_yet_a_reading_is_no_round(learner):
    learner.seconds_of_a_process = 10.0
    found = learner.search(min_cosine=None, min_accuracy=0.8, data="digits", budget=90)
    assert not found.is_decided
    winner = replace(found.winner, meets_limits=True, rounds=0)
    assert "ended in the first round;" in headline(replace(found, winner=winner))[1]


def test_the_lines_to_paste_have_the_rate_that_was_chosen(learner):
    learner.truths["saved_bf16"] = replace(learner.truths["saved_bf16"], best_rate=0.015)
    found = until(learner)
    assert found.winner.rate == 0.015
    assert any("lr=0.015" in line for line in found.paste)


def test_the_nearest_to_a_target_is_named(learner):
    with pytest.raises(NothingRan, match=r"nearest is vanilla: its highest accuracy is 0.900 .*"):
        until(learner, target=0.95)


def test_a_target_that_needs_no_training_is_refused(learner):
    with pytest.raises(BadInput, match=r"^--target: the network has an accuracy of 0.05 before"):
        until(learner, target=0.05)


def test_without_time_for_a_training_the_budget_that_is_needed_is_said(learner):
    learner.seconds_of_a_process = 10.0
    found = learner.search(min_cosine=None, min_accuracy=0.8, data="digits", budget=64)
    assert not found.is_decided
    assert trainings(learner, "learning_rate") == []
    assert not found.winner.meets_limits
    lines = uncertain_lines(found)
    assert "the next training takes about 12 s" in lines
    assert f"  {learner.command}" in lines
    short = uncertain_lines(replace(found, budget=20.0))
    assert f"  {learner.command} --budget 1m" in short  # with 20 s it would never begin


@pytest.mark.parametrize(("kind", "least"), [("digits", 134), ("text", 836)])
def test_the_least_time_of_a_training_counts_no_example_that_the_data_may_lack(kind, least):
    plan = LearningPlan(epochs=1, examples=100_000)
    cell = Cell(id="c", model="mcunet", method="vanilla", batch=8, learning=plan)
    examples = fewest_examples_of(DataSource(kind))
    assert least_seconds(cell, "learning", 1.0, examples) == least  # 1077 digits to learn from
    assert rows(examples, LEARN).size // 8 == least


def test_a_network_that_no_rate_trains_is_out_with_the_reason(learner):
    def reply(job):
        if job.pass_name != "learning_rate" or job.cell.method != "saved_bf16":
            return None
        tried = [{"rate": 0.05, "reason": "the loss was not finite in step 1 of epoch 1"}]
        return Reply("ok", result=PassResult(details={"chosen_rate": None, "tried_rates": tried}))

    learner.reply = reply
    found = until(learner)
    assert found.winner.label == "vanilla"
    out = {each.cause: each.reason for each in found.ruled_out}
    assert "0.05: the loss was not finite" in out["loss"]


def test_one_seed_alone_decides_nothing(learner):
    found = until(learner, seeds=1)
    assert [way.label for way in found.open_rivals] == ["vanilla"]
    assert any("--seeds" in line for line in uncertain_lines(found))


def least_energy(world):
    return world.search("energy_to_accuracy", min_cosine=None, data="digits", target=0.8)


def asks_meter(job):
    return job.pass_name == "energy"


def test_a_meter_that_does_not_tell_is_said_before_the_first_training(learner):
    def reply(job):
        missing = {"step_joules": "there is no meter"}
        return Reply("ok", result=PassResult(unavailable=missing)) if asks_meter(job) else None

    learner.reply = reply
    with pytest.raises(BadInput, match=r"^--minimise: energy .*: there is no meter$"):
        least_energy(learner)
    assert trainings(learner) == trainings(learner, "learning_rate") == []


def test_a_meter_is_asked_once_and_the_least_energy_wins(learner):
    def reply(job):
        if asks_meter(job):
            return Reply("ok", result=PassResult(metrics={"step_joules": 1.0}))
        if job.pass_name != "learning":
            return None
        found = learner.learned(job, learner.truths[job.cell.method])
        if seconds := found.result.metrics.get("time_to_accuracy_seconds"):
            watts = 1 if job.cell.method == "vanilla" else 3
            found.result.metrics["energy_to_accuracy_joules"] = watts * seconds
        return found

    learner.reply = reply
    assert least_energy(learner).winner.label == "vanilla"
    assert least_energy(learner).measured == 0
    assert [asks_meter(job) for job in learner.host.jobs].count(True) == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"minimise": "time_to_accuracy"}, "--minimise time_to_accuracy: give the accuracy"),
        ({"target": 0.9}, "--target: is the accuracy of --minimise time_to_accuracy"),
        ({"minimise": "energy_to_accuracy", "target": 1.5}, "--target: must be in (0, 1], got 1.5"),
        ({"seeds": 0}, "--seeds: must be from 1 to 20, got 0"),
    ],
)
def test_contradictions_are_one_line(learner, asked, said):
    with pytest.raises(BadInput) as caught:
        learner.search(**asked)
    assert str(caught.value).startswith(said)


def test_a_target_needs_labels(learner):
    with pytest.raises(BadInput, match=r"^--target: synthetic data has no labels to learn"):
        learner.search("time_to_accuracy", min_cosine=None, target=0.8)


def test_a_target_in_a_space_is_refused(learner):
    learner.space = f"{FEW}".replace("epochs: 2", "epochs: 2, target: 0.9")
    with pytest.raises(BadInput, match="target is not part of a search space"):
        until(learner)


@pytest.mark.parametrize(
    ("command", "changed"),
    [
        ("bench recommend", "bench recommend --seeds 9"),
        ("bench recommend --seeds 3 --quiet", "bench recommend --quiet --seeds 9"),
        ("bench recommend --seeds=3 'a b'", "bench recommend 'a b' --seeds 9"),
    ],
)
def test_an_option_of_a_command_is_replaced(command, changed):
    assert with_option(command, "--seeds", "9") == changed
