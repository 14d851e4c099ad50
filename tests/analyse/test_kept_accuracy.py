"""Which methods keep the accuracy: by differences of equal seeds, with an interval."""

import random
from collections import Counter

import pytest

from ondevice_bench.analyse.kept_accuracy import kept_accuracy, lost_accuracy, points, verdict
from ondevice_bench.analyse.summarise import summarise_content
from ondevice_bench.record import baseline
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.report.accuracy_column import accuracy_quantities
from ondevice_bench.report.accuracy_sentences import accuracy_sentences, percent
from ondevice_bench.stats import Estimate, estimate_readings
from ondevice_bench.suite.cell import Cell, LearningPlan
from tests.record.conftest import make_record, make_run, planned

DIVERGED = "diverged"
PLAN = LearningPlan(epochs=1, target=0.9, learning_rates=(0.1, 0.2))


def cell(method, seed):
    return Cell(f"net/{method}/all/b8/s{seed}", "mcunet", method, batch=8, seed=seed, learning=PLAN)


def content_of(**accuracies):
    """A run with the accuracies of each method, seed by seed. None: a training that failed."""
    cells, records = [], []
    for method, values in accuracies.items():
        for seed, value in enumerate(values):
            cells.append(cell(method, seed))
            records.append(_record(cells[-1], value))
    run = make_run(settings={**make_run().settings, "measure": ["learning"]})
    return RunContent(run, tuple(planned(*cells)), tuple(records))


@pytest.fixture
def trained(summary_of):
    """Such a run, from a store."""

    def make(**accuracies):
        content = content_of(**accuracies)
        return summary_of(content.records, content.cells, content.run)

    return make


@pytest.fixture
def found(trained):
    """What such a run says of each method."""

    def make(**accuracies):
        return {one.label: one for one in kept_accuracy(trained(**accuracies))}

    return make


def _record(of, value):
    if value is None:
        return make_record(cell=of, pass_name="learning", status="failed", reason="killed")
    if value == DIVERGED:
        reason = "the loss was not finite in step 1 of epoch 1"
        return make_record(
            cell=of,
            pass_name="learning",
            unavailable={"final_accuracy": reason},
            details={"learned": {"accuracy": [0.1], "rate": 0.1}},  # the test before training
        )
    curve = {"accuracy": [0.1, value], "seconds": [0.0, 1.0], "rate": 0.1 + of.seed / 10}
    return make_record(
        cell=of,
        pass_name="learning",
        metrics={"final_accuracy": value},
        details={"learned": curve},
    )


def test_differences_are_between_equal_seeds(found):
    lines = found(vanilla=[0.90, 0.80, 0.70], asi=[0.91, 0.795, 0.70], svd=[0.80, 0.75, 0.60])
    asi, svd = lines["asi"], lines["svd"]
    assert lines["vanilla"].verdict == "baseline"
    assert (asi.difference.lower, asi.difference.estimate, asi.difference.upper) == pytest.approx(
        (-0.005, 0.0, 0.01)
    )
    assert asi.difference.basis == "median of 3 pairs of equal seeds, lowest and highest"
    assert (asi.verdict, svd.verdict) == ("kept", "lost")
    assert asi.rates == (0.1, 0.2, pytest.approx(0.3))


@pytest.mark.parametrize(
    ("lower", "upper", "says"),
    [
        (-0.01, 0.2, "kept"),  # one point, to the last bit
        (0.90 - 0.91, 0.0, "kept"),
        (-0.011, 0.0, "unsure"),
        (-0.5, -0.011, "lost"),
        (-0.5, -0.01, "unsure"),
        (None, None, "unsure"),
    ],
)
def test_the_whole_interval_decides(lower, upper, says):
    assert verdict(Estimate(-0.01, lower, upper, "")) == says
    assert verdict(None) == "unknown"


@pytest.mark.parametrize(
    ("difference", "text"),
    [(-0.0104, "−1.04"), (-0.01, "−1.0"), (0.90 - 0.91, "−1.0"), (-0.0096, "−1.0"), (0.02, "+2.0")],
)
def test_a_loss_is_not_rounded_to_the_limit(difference, text):
    assert points(difference) == text


def test_no_accuracy_is_rounded_up_to_100_per_cent():
    assert [percent(share) for share in (0.9996, 1.0, 0.9984)] == ["99.9 %", "100.0 %", "99.8 %"]


def test_each_cell_of_a_method_that_loses_has_the_loss_and_no_other_cell(trained):
    summary = trained(
        vanilla=[0.90, 0.80, 0.70],
        asi=[0.91, 0.795, 0.70],  # kept
        svd=[0.80, 0.75, 0.58],  # lost
        hosvd=[0.91, 0.5, 0.5],  # not decided
        wsi=[0.5, None, 0.5],  # a seed is missing
    )
    loss = "it loses 10.0 points of accuracy (5.0 … 12.0)"
    assert lost_accuracy(summary) == {f"net/svd/all/b8/s{seed}": loss for seed in range(3)}


def test_sentences_say_who_keeps_who_loses_and_what_nobody_knows(found):
    lines = found(
        vanilla=[0.90, 0.80, 0.85],
        asi=[0.90, 0.80, 0.85],
        svd=[0.80, 0.60, 0.70],
        hosvd=[0.91, 0.7, 0.81],
        wsi=[None] * 3,
        wasi=[DIVERGED] * 3,
    )
    assert accuracy_sentences(list(lines.values()), "vanilla") == [
        "vanilla reaches 85.0 %, 80.0 % … 90.0 %.",
        (
            "At most one point of accuracy below vanilla, with every seed: asi (+0.0 points, "
            "+0.0 … +0.0)."
        ),
        (
            "More than one point of accuracy below vanilla, with every seed: svd (−15.0 points, "
            "−20.0 … −10.0); wasi (its training diverges with every seed; the loss was not finite "
            "in step 1 of epoch 1)."
        ),
        "Not decided by 3 seeds: hosvd (−4.0 points, −10.0 … +1.0).",
        "Without a comparison: wsi (learning, round 1: failed: killed).",
    ]


def test_a_median_of_differences_is_not_shown_as_a_difference_of_medians(trained):
    """The medians are 0.80 and 0.81, and the differences −0.05, −0.02 and +0.11."""
    found = kept_accuracy(trained(vanilla=[0.80, 0.83, 0.70], svd=[0.75, 0.81, 0.81]))
    shown = accuracy_quantities(found)["net/svd/all/b8/s0"]
    assert shown.estimate == "81.0 %"
    assert shown.interval == "seed by seed: −2.0 points, −5.0 … +11.0"
    (vanilla, svd) = kept_accuracy(trained(vanilla=[0.80], svd=[0.75]))
    assert accuracy_quantities([vanilla, svd])["net/svd/all/b8/s0"].interval == "−5.0 points"


def test_a_baseline_knows_which_trainings_have_diverged(tmp_path):
    content = content_of(
        vanilla=[0.9, 0.8, 0.8], svd=[DIVERGED] * 3, asi=[0.5, 0.5, DIVERGED], wsi=[None] * 3
    )
    baseline.write(content, tmp_path / "main.json")
    lines = kept_accuracy(summarise_content(baseline.read(tmp_path / "main.json")))
    assert {one.label: one.verdict for one in lines} == {
        "vanilla": "baseline",
        "svd": "lost",
        "asi": "lost",
        "wsi": "unknown",
    }
    whole = kept_accuracy(summarise_content(content))
    assert {one.label: one.divergence for one in lines} == {
        one.label: one.divergence for one in whole
    }
    assert {one.label: one.rates for one in lines} == {one.label: one.rates for one in whole}


def test_a_seed_that_failed_leaves_the_others_undecided(found):
    lines = found(vanilla=[0.9, 0.9, 0.9], asi=[0.9, None, 0.9])
    assert lines["asi"].verdict == "unsure"
    assert lines["asi"].difference.basis.startswith("median of 2 of 3 pairs of equal seeds")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([DIVERGED] * 3, "lost"),
        ([0.5, DIVERGED, DIVERGED], "lost"),  # with every seed
        ([0.9, DIVERGED, DIVERGED], "unsure"),
        ([DIVERGED, DIVERGED, None], "unsure"),
        ([None] * 3, "unknown"),
        ([DIVERGED], "lost"),
    ],
)
def test_a_training_that_diverges_loses_more_than_any_number_says(found, trained, values, says):
    lines = {"vanilla": [0.9] * len(values), "asi": values}
    assert found(**lines)["asi"].verdict == says
    lost = lost_accuracy(trained(**lines))
    assert set(lost) == (
        {cell("asi", n).id for n in range(len(values))} if says == "lost" else set()
    )
    assert all("diverges" in reason for reason in lost.values())


def test_where_the_baseline_diverges_too_nobody_lost(found):
    lines = found(vanilla=[DIVERGED] * 2, asi=[DIVERGED] * 2)
    assert lines["asi"].verdict == "unknown"
    assert (lines["asi"].diverged, lines["vanilla"].diverged) == (0, 2)


def test_a_grid_of_which_no_rate_trains_the_network_is_a_divergence(summary_of):
    cells = [cell(method, 0) for method in ("vanilla", "asi")]
    tried = [{"rate": rate, "reason": "the loss was not finite"} for rate in (0.1, 0.2)]
    records = [
        _record(cells[0], 0.9),
        make_record(cell=cells[1], pass_name="learning_rate", details={"tried_rates": tried}),
        make_record(cell=cells[1], pass_name="learning", status="skipped", reason="no rate"),
    ]
    run = make_run(settings={**make_run().settings, "measure": ["learning"]})
    _, asi = kept_accuracy(summary_of(records, planned(*cells), run))
    assert (asi.verdict, asi.divergence) == ("lost", "its training diverges")


def test_two_seeds_decide_nothing(found):
    """Two seeds of a method that loses nothing may both be unlucky: one such method in ten is."""
    lines = found(vanilla=[0.9, 0.9], asi=[0.9, 0.91], svd=[0.5, 0.6])
    assert (lines["asi"].verdict, lines["svd"].verdict) == ("unsure", "unsure")


@pytest.mark.parametrize(("seeds", "most"), [(3, 0.15), (4, 0.08), (5, 0.05), (6, 0.03)])
def test_a_method_on_the_limit_is_seldom_called_kept_or_lost(seeds, most):
    """Half of its seeds are above the limit: all of them are in one of 2^seeds cases."""
    dice = random.Random(seeds)
    said = Counter(
        verdict(estimate_readings([dice.gauss(-0.01, 0.02) for _ in range(seeds)], ""))
        for _ in range(1000)
    )
    assert max(said["kept"], said["lost"]) <= 1000 * most


def test_one_seed_decides_nothing(found):
    lines = found(vanilla=[0.9], asi=[0.5])
    assert lines["asi"].verdict == "unsure"
    assert lines["asi"].difference.basis == "one pair of seeds: no interval"


def test_a_run_without_training_has_no_lines(summary_of):
    assert kept_accuracy(summary_of([make_record(metrics={"step_seconds": 1.0})])) == ()


def test_the_first_screen_says_how_many_seeds_diverged(trained):
    found = kept_accuracy(
        trained(vanilla=[0.8, 0.8, DIVERGED], asi=[0.8, DIVERGED, 0.8], svd=[DIVERGED] * 3)
    )
    shown = accuracy_quantities(found)
    one = "its training diverges with 1 of 3 seeds"
    assert shown["net/vanilla/all/b8/s0"].interval == one
    assert shown["net/asi/all/b8/s0"].interval == f"seed by seed: +0.0 points; {one}"
    assert shown["net/svd/all/b8/s0"].interval == "its training diverges with 2 of 3 seeds"
    assert accuracy_sentences(list(found), "vanilla")[0] == (
        f"vanilla reaches 80.0 %, 80.0 % … 80.0 %; {one}."
    )
