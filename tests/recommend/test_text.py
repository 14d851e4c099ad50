"""What an answer says, and in which order."""

import re
from dataclasses import replace

import pytest

from ondevice_bench.hardware.finding import DoctorFinding
from ondevice_bench.protocol.job import PassResult, Reply
from ondevice_bench.recommend.answer import Behind
from ondevice_bench.recommend.text import headline, paste_lines, rest_lines, rivals_table
from ondevice_bench.stats import Estimate
from ondevice_bench.terminal import table_text, wrapped


def whole(found):
    table = rivals_table(found)
    return "\n".join(
        (
            *headline(found),
            *([table_text(table, 80)] if table else []),
            *rest_lines(found),
            *paste_lines(found),
        )
    )


def line_with(text, words):
    (line,) = [line for line in text.splitlines() if words in line]
    return line


def test_the_winner_is_the_first_line_with_its_margins_below(world):
    first, sure, *figures = headline(world.search())
    assert first == "mcunet on pi5-2gb: use lean, batch 8."
    assert sure.startswith("  It had the lowest step time among 3 candidates (1 more is out) in ")
    assert re.fullmatch(r"  step time: \d+ ms \(\d+ … \d+ ms\); of one example \S+ ms", figures[0])
    assert "  peak memory: 60.00 MiB" in figures
    assert (
        "  memory: it ran under the limit of 256 MiB; its whole process took 150 MiB, so 106 MiB "
        "(41 %) are left"
    ) in figures
    assert "  gradient: that of plain training, by the method's definition" in figures
    assert figures[-1] == "  measured on generic (fake processor), not on pi5-2gb"


def test_the_next_best_say_what_they_would_buy(world):
    world.truths["lean"] = replace(world.truths["lean"], seconds=1.25)
    found = world.search(min_cosine=None)
    text = whole(found)
    assert found.winner.label == "gradient_filter"
    assert "the exact gradient" in line_with(text, " vanilla  ")
    assert "2.0" in line_with(text, " vanilla  ")
    assert "no answer" not in text


def test_a_rival_with_less_memory_says_that_one_process_told_it(world):
    found = world.search()
    assert found.winner.label == "lean"
    (less,) = [each for each in found.runners_up if each.way.label == "saved_bf16"]
    (gain,) = less.gains
    assert (gain.name, gain.is_of_one_process) == ("memory", True)
    assert "20.00 MiB less memory" in line_with(whole(found), " saved_bf16  ")
    assert "(one process)" in whole(found)


def test_a_faster_step_is_bought_where_memory_is_the_goal(world):
    text = whole(world.search(minimise="peak_rss"))
    assert "use saved_bf16" in text
    assert "the exact gradient; 0.6" in line_with(text, " lean  ")
    assert "  step time: 1." in text


def test_what_is_out_is_grouped_by_its_limit(world):
    text = whole(world.search(cap_mib=70))
    assert line_with(text, "out by the memory limit") == (
        "out by the memory limit of 70 MiB (1): vanilla: its tensors alone need 100.00 MiB"
    )
    assert line_with(text, "--min-cosine 0.9") == (
        "out by --min-cosine 0.9 (1): gradient_filter: cosine 0.60"
    )
    assert "but the limit does not count the code of libraries" in text


def test_times_of_a_desk_and_content_that_is_made_up_are_said(world):
    text = whole(world.search())
    assert "the times are of this machine, generic (fake processor), not of pi5-2gb" in text
    assert "uncertain: No Raspberry Pi has measured this yet." in text
    assert "give --weights FILE in place of random weights and --data folder:DIR" in text


def test_what_disturbed_the_measurements_is_said(world):
    found = replace(world.search(), doubts=("load: 9 of 2 processors: times vary",))
    assert "uncertain: load: 9 of 2 processors: times vary; see `bench doctor`" in whole(found)


def test_what_disturbs_a_search_that_goes_on_is_said(world):
    assert world.search().doubts == ()
    busy = DoctorFinding("load", "warning", "9 of 2 processors", "times vary")
    world.host.findings = lambda: (busy,)
    assert world.search(min_cosine=None).doubts == ("load: 9 of 2 processors: times vary",)


def test_a_training_with_another_seed_may_be_disturbed(world):
    def reply(job):
        if (job.pass_name, job.cell.method, job.cell.seed) != ("learning", "gradient_filter", 1):
            return None
        found = world.learned(job, world.truths[job.cell.method])
        found.result.details["foreign_cpu_share"] = 0.5
        return found

    world.reply = reply
    found = world.search(min_cosine=None, min_accuracy=0.8, data="digits")
    assert found.doubts == ("other processes or a quota disturbed the samples of 1 candidate",)


def test_an_answer_without_time_says_how_sure_it_is_and_what_goes_on(world):
    text = whole(world.search(budget=16))
    assert "The best so far: the budget ended after " in text
    assert "may still be better." in text
    assert "  bench recommend --model mcunet" in text.splitlines()


def test_an_answer_whose_limits_were_not_measured_is_not_sure_at_all(world):
    found = world.search()
    unsure = replace(found, winner=replace(found.winner, meets_limits=False), is_decided=False)
    assert "Not sure: the budget ended before it was known whether it meets the limits." in whole(
        unsure
    )


def test_a_near_rival_may_still_be_better_if_the_budget_ends_before_the_winner_is_confirmed(world):
    found = world.search()
    rival = replace(found.rivals[0], standing="near")
    early = replace(found, rivals=(rival,), unreached=(), is_decided=False)
    assert "; 1 candidate may still be better." in headline(early)[1]
    early = replace(early, rivals=(replace(rival, standing="worse"),))
    assert "all others are out, or cost more" in headline(early)[1]


@pytest.mark.parametrize(
    ("minimise", "title"),
    [("activation_bytes", "cost more (2): "), ("peak_rss", "cost more in the")],
)
def test_an_exact_number_that_is_higher_is_costlier_and_not_only_likely(world, minimise, title):
    def reply(job):
        if job.pass_name != "trace":
            return None
        size = world.truths[job.cell.method].peak_mib
        return Reply("ok", result=PassResult({"activation_bytes": size}))

    world.reply = reply
    lines = rest_lines(world.search(minimise=minimise))
    assert any(line.startswith(title) for line in lines)


def test_batches_are_said_to_be_compared_by_one_example(world):
    world.space = "schema: 1\ntitle: t\nmethods: [vanilla, lean]\nbatch: [4, 8]\n"
    found = world.search()
    text = whole(found)
    assert "of one example 100 ms" in text or "of one example " in text
    assert "compared by the cost of one example" in text
    assert "lean · batch 4" in text


def test_the_accuracy_has_a_margin(world):
    text = whole(world.search(min_cosine=None, min_accuracy=0.8, data="digits"))
    assert (
        "  accuracy: 0.900 (0.900 … 0.900; 3 seeds), 0.100 above the limit of 0.8"
        in text.splitlines()
    )
    assert "share one training" in text
    assert "  learning rate: 0.05, chosen on validation examples" in text.splitlines()


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits_the_terminal(world, width):
    found = world.search(min_cosine=None)
    lines = [*headline(found), *rest_lines(found)]
    wide = [wrapped(line, width) for line in lines]
    store = found.place.store
    assert (
        max(len(line) for text in wide for line in text.splitlines() if store not in line) <= width
    )
    assert max(map(len, table_text(rivals_table(found), width).splitlines())) <= width
    assert max(map(len, paste_lines(found))) <= 88


def test_the_json_has_all_of_it(world):
    found = world.search().to_dict()
    assert found["winner"]["label"] == "lean"
    assert found["margins"]["memory_bytes"] > 0
    assert found["decided"]
    assert {each["cause"] for each in found["ruled_out"]} == {"cosine"}
    assert found["paste"][-1] == "optimizer.zero_grad()"


def test_a_gradient_that_was_not_compared_is_said(world):
    world.space = "schema: 1\ntitle: t\nmethods: [saved_bf16]\n"
    text = whole(world.search(min_cosine=None, min_accuracy=0.8, data="digits"))
    assert "  gradient: not compared with that of plain training" in text.splitlines()


def test_trainings_that_only_accuracy_compares_are_not_sure(world):
    world.space = (
        "schema: 1\ntitle: t\nmethods: [vanilla]\n"
        "train: [{optimizer: sgd}, {optimizer: adamw, lr: 0.001}]\n"
    )
    assert "their accuracy was not compared: give --min-accuracy" in whole(world.search())
    judged = world.search(min_cosine=None, min_accuracy=0.8, data="digits")
    assert "several `train` settings" not in whole(judged)


def test_an_answer_where_all_that_was_measured_is_out_is_none_yet(world):
    found = replace(world.search(), winner=None, rivals=(), is_decided=False)
    (line,) = headline(found)
    assert line.endswith("the budget ended before any candidate was known to meet the limits.")


def test_an_interval_of_one_process_says_so(world):
    found = world.search(minimise="peak_rss")
    step = Estimate(1.3, 1.2, 1.4, "95 % interval of 6 samples, one process")
    winner = replace(found.winner, estimates={"step_seconds": step})
    text = "\n".join(headline(replace(found, winner=winner)))
    assert re.search(r"step time: 1\.3\S* s \(1\.2\S* … 1\.4\S* s in one process\)", text)


def test_runners_up_of_other_batches_have_the_cost_of_one_example(world):
    world.space = "schema: 1\ntitle: t\nmethods: [vanilla, lean]\nbatch: [4, 8]\n"
    found = world.search()
    assert " of one example among 4 candidates" in "\n".join(headline(found))
    text = table_text(rivals_table(found), 200)
    assert " of one example" in text
    assert re.search(r"vanilla · batch 8 .*12\d ms", text)  # its step takes 1 s


def test_those_left_behind_in_the_first_rounds_are_not_said_to_be_proven(world):
    behind = (Behind("slow", "early", 1.2), Behind("slower", "proven", 1.3))
    _, sure, *_ = headline(replace(world.search(), behind=behind, rivals=()))
    assert sure.endswith(
        "rounds, proven against 1 of them; likely against 1 of them, by the first rounds."
    )


def test_those_left_behind_by_a_guess_are_not_said_to_be_measured(world):
    found = replace(world.search(), behind=(Behind("slow", "guess", 9.0),), rivals=())
    _, sure, *_ = headline(found)
    assert sure.endswith("1 of them left out by a guess, without a reading.")
