"""A search on a machine without processes, where the true costs are known."""

import re
from dataclasses import replace

import pytest

from ondevice_bench.analyse.summarise import summarise
from ondevice_bench.errors import BadInput, NothingRan
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.recommend.question import Limits, Question, goal_named
from ondevice_bench.recommend.text import headline, rivals_table
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.suite.cell import Cell
from ondevice_bench.terminal import table_text
from ondevice_bench.units import MIB
from tests.recommend.conftest import Truth


def causes(found):
    return {found.labels[each.name]: each.cause for each in found.ruled_out}


def test_the_fastest_that_meets_the_limits_wins_and_an_exact_one_needs_no_cosine(world):
    found = world.search()
    assert found.is_decided
    assert found.winner.label == "lean"
    assert found.winner.is_exact
    assert causes(found) == {"gradient_filter": "cosine"}
    looked_at = {job.cell.method for job in world.host.jobs if job.pass_name == "fidelity"}
    assert looked_at <= {"gradient_filter", "saved_bf16"}


def test_the_figures_of_the_winner_are_those_of_an_ordinary_run(world):
    found = world.search()
    with Store.open(world.folder / "out" / FILE_NAME) as store:
        (run,) = store.runs()
        cells = {cell.planned.cell.id: cell for cell in summarise(store, run).cells}
        statuses = store.statuses(run.id)
    assert run.finished
    assert run.suite == "recommend-mcunet"
    own = cells[found.winner.cell.id].estimates["step_seconds"]
    assert found.winner.estimates["step_seconds"] == own
    assert own.estimate == pytest.approx(0.8, rel=0.03)
    assert len(statuses) == found.measured == len(world.passes())


def test_a_budget_below_one_pilot_is_refused(world):
    world.seconds_of_a_process = 100
    with pytest.raises(BadInput, match=r"--budget: 30 s is over before the first pilot has ended"):
        world.search(budget=30)


def test_what_cannot_fit_is_not_measured(world):
    found = world.search(cap_mib=70)
    assert causes(found)["vanilla"] == "memory"
    assert "vanilla" not in {
        job.cell.method for job in world.host.jobs if job.pass_name != "live_peak"
    }
    assert found.winner.label == "lean"
    assert found.margins["memory_bytes"] == (70 - 60 - 90) * MIB


def test_where_nothing_fits_the_least_is_named_by_shapes_alone(world):
    with pytest.raises(NothingRan) as caught:
        world.search(cap_mib=30)
    assert str(caught.value) == (
        "none of 4 candidates meets the limits: the least memory is that of saved_bf16: 40.00 MiB "
        "of tensors alone; the limit is 30.00 MiB"
    )
    assert world.passes() == []
    assert not (world.folder / "out").exists()


def test_where_no_gradient_is_good_enough_the_nearest_is_named(world):
    world.space = "schema: 1\ntitle: t\nmethods: [saved_bf16, gradient_filter]\n"
    with pytest.raises(NothingRan, match=r"the nearest is saved_bf16 with cosine 0.99; .*0.995"):
        world.search(min_cosine=0.995)


def test_who_runs_out_of_memory_under_the_limit_is_out(world):
    def reply(job):
        if job.pass_name == "time" and job.cell.method == "lean":
            return Reply("oom", reason="could not allocate 3 MiB")
        return None

    world.reply = reply
    found = world.search()
    assert causes(found)["lean"] == "memory"
    assert found.winner.label == "vanilla"


def test_the_least_memory_wins_where_it_is_asked_for(world):
    found = world.search(minimise="peak_rss")
    assert found.winner.label == "saved_bf16"
    assert found.winner.cost == 40 * MIB


def test_one_accuracy_stands_for_all_exact_methods(world):
    found = world.search(min_cosine=None, min_accuracy=0.8, data="digits")
    assert found.winner.label == "lean"
    assert found.margins["accuracy"] == pytest.approx(0.1)
    assert causes(found)["gradient_filter"] == "accuracy"
    trained = [job.cell for job in world.host.jobs if job.pass_name == "learning"]
    assert len(trained) == len(set(trained))
    trained = [cell.method for cell in trained]
    assert len({"vanilla", "lean"} & set(trained)) == 1


def test_an_exact_method_that_does_not_fit_has_no_accuracy_to_share(world):
    found = world.search(cap_mib=70, min_cosine=None, min_accuracy=0.8, data="digits")
    assert found.winner.label == "lean"
    trained = [job.cell.method for job in world.host.jobs if job.pass_name == "learning"]
    assert "vanilla" not in trained
    assert "lean" in trained


def test_a_loss_that_is_not_a_number_is_the_networks_fault_if_training_is_plain(world):
    world.truths["vanilla"] = replace(world.truths["vanilla"], losses=(2.0, None))
    with pytest.raises(BadInput, match=r"^mcunet: its loss is not a number .* of plain training"):
        world.search()


def test_a_loss_that_is_not_a_number_rules_out_its_training_only(world):
    world.space = (
        "schema: 1\ntitle: t\nmethods: [vanilla, lean]\n"
        "train: [{lr: 0.05}, {lr: 10.0}, {lr: 20.0}]\n"
    )
    bad = {10.0}

    def reply(job):
        if job.pass_name != "pilot" or job.cell.train.lr not in bad:
            return None
        details = {"first_seconds": 1.0, "step_seconds": 1.0, "losses": [2.0, None]}
        return Reply("ok", result=PassResult(details=details))

    world.reply = reply
    found = world.search()
    assert found.winner.cell.train.lr in (0.05, 20.0)
    assert causes(found) == {"vanilla · lr=10": "loss", "lean · lr=10": "loss"}
    bad |= {0.05, 20.0}
    with pytest.raises(BadInput, match="of plain training"):
        world.search(fresh=True)


def test_a_setting_that_has_failed_before_the_first_race_has_failed_after_it_too(world):
    world.space = (
        "schema: 1\ntitle: t\nmethods: [vanilla, lean]\n"
        "train: [{lr: 0.05}, {lr: 1.0}, {lr: 10.0}]\n"
    )
    pilots, bad = [], (("vanilla", 0.05), ("vanilla", 1.0), ("lean", 10.0))

    def reply(job):
        if job.pass_name != "pilot":
            return None
        pilots.append(job)
        if len(pilots) == 5:
            world.seconds += 600  # the race begins before the last pilot
        if (job.cell.method, job.cell.train.lr) not in bad:
            return None
        details = {"first_seconds": 1.0, "step_seconds": 1.0, "losses": [2.0, None]}
        return Reply("ok", result=PassResult(details=details))

    world.reply = reply
    with pytest.raises(BadInput, match="of plain training"):
        world.search(budget=1000)
    passes = [job.pass_name for job in world.host.jobs]
    assert passes[-1] == "pilot"
    assert "time" in passes


def test_a_loss_that_is_not_a_number_rules_an_inexact_method_out(world):
    bad = replace(world.truths["gradient_filter"], losses=(None, None))
    world.truths["gradient_filter"] = bad
    assert causes(world.search())["gradient_filter"] == "loss"


@pytest.mark.parametrize("lost", ["loss_after_steps", "gradient_cosine"])
def test_who_has_no_loss_after_ten_steps_is_out_whatever_the_first_cosine(world, lost):
    def reply(job):
        if job.pass_name != "fidelity" or job.cell.method != "gradient_filter":
            return None
        missing = {"gradient_cosine": "a gradient was zero, or not finite", lost: "why"}
        return Reply("ok", result=PassResult({"gradient_cosine_first": 0.95}, unavailable=missing))

    world.reply = reply
    found = world.search()
    if lost == "loss_after_steps":
        assert causes(found)["gradient_filter"] == "loss"
    else:  # a gradient of zero is no loss that is not finite
        assert found.winner.label == "gradient_filter"


def test_batches_are_compared_by_one_example(world):
    world.space = "schema: 1\ntitle: t\nmethods: [vanilla]\nbatch: [2, 8]\n"
    found = world.search()  # a step takes a second whatever its batch
    assert found.winner.cell.batch == 8
    assert headline(found)[0] == "mcunet on pi5-2gb: use vanilla · batch 8."
    assert found.winner.cost == pytest.approx(1 / 8, rel=0.05)


def test_few_page_faults_cost_the_same_whatever_the_batch(world):
    world.space = "schema: 1\ntitle: t\nmethods: [vanilla]\nbatch: [8, 64]\n"

    def reply(job):
        if job.pass_name != "time":
            return None
        faults = {8: 0.0, 64: 640.0}[job.cell.batch]
        metrics = {"step_minor_faults": faults, "step_seconds": 1.0}
        return Reply("ok", result=PassResult(metrics))

    world.reply = reply
    found = world.search(minimise="step_minor_faults")
    (rival,) = found.rivals
    assert rival.cost == found.winner.cost  # both are negligible
    shown = "\n".join((*headline(found), table_text(rivals_table(found), 80)))
    assert re.search(r"\b10(\.0+)? faults", shown)  # the batch of 64, by one example


def test_many_page_faults_of_one_batch_are_told_apart():
    """100 faults of a step are negligible, not 100 of each example."""
    question = Question(goal_named("step_minor_faults"), Limits(1))
    cell = Cell(id="a", model="mcunet", method="vanilla", batch=64)
    assert [question.cost(cell, each, 64) for each in (0, 100, 6400)] == [100 / 64, 100 / 64, 100]


def test_several_ways_of_training_are_cells_of_one_run(world):
    world.space = (
        "schema: 1\ntitle: t\nmethods: [vanilla]\n"
        "train: [{optimizer: sgd}, {optimizer: adamw, lr: 0.001}]\n"
    )
    found = world.search()
    assert {"vanilla", "vanilla · adamw,lr=0.001"} == set(found.labels.values())
    with Store.open(world.folder / "out" / FILE_NAME) as store:
        (run,) = store.runs()
        names = [item.cell.id for item in store.cells(run.id)]
    assert names == ["mcunet/vanilla/all/b8/s0", "mcunet/vanilla/all/b8/adamw,lr=0.001/s0"]


def test_parts_that_train_differ_only_where_accuracy_is_asked_for(world):
    world.space = "schema: 1\ntitle: t\nmethods: [vanilla]\nlayers: [all, last: 2]\n"
    with pytest.raises(BadInput, match=r"space.yaml: layers: .*--min-accuracy"):
        world.search()


def test_a_goal_that_no_meter_gives_is_said_once(world):
    world.truths = dict.fromkeys(world.truths, Truth(1.0, 10))
    with pytest.raises(BadInput, match="energy of a step: its pass did not give it"):
        world.search(minimise="energy")


def test_an_accuracy_that_a_twin_has_is_told_of_the_winner(world):
    def reply(job):
        if job.pass_name != "pilot" or job.cell.method != "vanilla":
            return None  # the pilot of plain training looks best, so it trains for both
        details = {"first_seconds": 0.1, "step_seconds": 0.1, "losses": [2.0, 1.9]}
        return Reply("ok", result=PassResult(details=details))

    world.reply = reply
    found = world.search(min_cosine=None, min_accuracy=0.8, data="digits")
    trained = [job.cell.method for job in world.host.jobs if job.pass_name == "learning"]
    assert trained.count("vanilla") == 1  # one seed that meets the limit is enough to stay
    assert trained.count("lean") == 2  # the winner has its other seeds, too
    assert found.winner.label == "lean"
    assert found.winner.accuracy.estimate == pytest.approx(0.9)
    assert found.margins["accuracy"] == pytest.approx(0.1)


def test_a_slow_step_is_no_guess_of_an_inference(world):
    world.space = (
        "schema: 1\ntitle: t\nmethods: [vanilla, lean, saved_bf16, gradient_filter]\n"
        "batch: [4, 8]\n"
    )
    world.truths["vanilla"] = replace(world.truths["vanilla"], seconds=10.0)

    def reply(job):
        if job.pass_name != "time":
            return None
        value = 0.1 if job.cell.method == "vanilla" else 0.2
        samples = {"inference_seconds": [value] * 6}
        return Reply("ok", result=PassResult({"inference_seconds": value}, samples=samples))

    world.reply = reply
    assert world.search(minimise="inference_seconds").winner.label == "vanilla · batch 8"


def test_a_gradient_that_ran_out_of_memory_is_no_step_that_does_not_fit(world):
    def reply(job):
        if job.pass_name == "fidelity" and job.cell.method == "gradient_filter":
            return Reply("oom", reason="could not allocate 3 MiB")
        return None

    world.reply = reply
    found = world.search()
    assert causes(found)["gradient_filter"] == "failed"
    (out,) = found.ruled_out
    assert out.reason == "fidelity: oom: could not allocate 3 MiB"


@pytest.mark.parametrize("name", ["calibrate", "pilot"])
def test_a_pass_without_the_limit_that_runs_out_of_memory_says_nothing_of_the_limit(world, name):
    def reply(job):
        if job.pass_name == name and job.cell.method == "asi":
            return Reply("oom", reason="could not allocate 3 MiB")
        return None

    world.space = "schema: 1\ntitle: t\nmethods: [vanilla, asi: {epsilon: 0.8}]\n"
    world.truths["asi"] = Truth(0.5, 50)
    world.reply = reply
    (out,) = world.search().ruled_out
    assert (out.cause, out.reason) == ("failed", f"{name}: oom: could not allocate 3 MiB")


def test_slices_are_exact_only_if_no_batch_norm_trains(world):
    world.truths["microbatch"] = Truth(0.7, 50, cosine=0.5)
    space = "schema: 1\ntitle: t\nmethods: [vanilla, microbatch: {slices: 4}]\n"
    world.space = space
    assert world.search().winner.label == "microbatch slices=4"
    world.space = f"{space}train: {{freeze_bn: false}}\n"
    found = world.search()
    assert found.winner.label == "vanilla"
    assert causes(found) == {"microbatch slices=4": "cosine"}


def test_the_nearest_to_a_cosine_of_0_is_named(world):
    world.space = "schema: 1\ntitle: t\nmethods: [saved_bf16, gradient_filter]\n"
    for method, cosine in (("saved_bf16", -0.5), ("gradient_filter", -0.1)):
        world.truths[method] = replace(world.truths[method], cosine=cosine)
    with pytest.raises(
        NothingRan, match=r"the nearest is gradient_filter with cosine -0.10; .* 0 "
    ):
        world.search(min_cosine=0.0)


def test_those_without_a_reading_may_still_be_better(world):
    found = world.search(budget=10.5)  # shapes and pilots take 8 s
    assert not found.is_decided
    assert found.unreached
    others = found.remaining - 1 - len(found.behind)
    assert len(found.open_rivals) + len(found.unreached) == others


def test_a_reason_that_all_have_is_said_once(world):
    world.reply = lambda job: Reply("failed", "no pilot") if job.pass_name == "pilot" else None
    with pytest.raises(NothingRan) as caught:
        world.search()
    said = "no candidate can be measured: vanilla, lean, saved_bf16, gradient_filter: pilot: failed"
    assert str(caught.value).startswith(said)
    assert str(caught.value).count("no pilot") == 1


def test_nothing_is_said_of_other_boards_where_the_board_itself_measures(world):
    there = world.search()
    assert there.place.about_board.startswith("No Raspberry Pi has measured")
    world.is_here = True
    assert world.search().place.about_board == ""
