from dataclasses import replace

import pytest

from ondevice_bench.analyse.learning import learning, trained
from ondevice_bench.suite.cell import LearningPlan
from ondevice_bench.suite.planned_cell import PlannedCell
from tests.record.conftest import CELL, SECOND, make_record, make_run, planned

SEEDS = [replace(CELL, id=CELL.id.replace("s0", f"s{seed}"), seed=seed) for seed in range(7)]


def learned(cell, accuracy, **what):
    metrics = {} if accuracy is None else {"accuracy": accuracy}
    return make_record(cell=cell, pass_name="accuracy", metrics=metrics, **what)


def summed(summary_of, accuracies):
    cells = SEEDS[: len(accuracies)]
    records = [learned(cell, found) for cell, found in zip(cells, accuracies, strict=True)]
    run = make_run(settings={**make_run().settings, "measure": ["accuracy"]})
    return learning(summary_of(records, planned(*cells), run))


def test_cells_that_differ_in_their_seed_are_one_line_with_its_range(summary_of):
    (line,) = summed(summary_of, [0.9, 0.7, 0.8])
    found = line.estimates["accuracy"]
    assert (line.id, line.seeds) == ("mcunet/vanilla/all/b8", (0, 1, 2))
    assert (found.lower, found.estimate, found.upper) == (0.7, 0.8, 0.9)
    assert found.basis == "median of 3 seeds, lowest and highest"


def test_six_seeds_have_an_interval_and_one_has_none(summary_of):
    (many,) = summed(summary_of, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert many.estimates["accuracy"].basis == "95 % interval of 6 seeds"
    (one,) = summed(summary_of, [0.1])
    assert one.id == CELL.id
    assert one.estimates["accuracy"].lower is None


def test_a_seed_that_failed_is_not_passed_over_in_silence(summary_of):
    (line,) = summed(summary_of, [0.9, None, 0.8])
    assert line.estimates["accuracy"].basis == "median of 2 of 3 seeds, lowest and highest"
    (alone,) = summed(summary_of, [0.9, None])
    assert alone.estimates["accuracy"].basis == "one of 2 seeds: no interval"


def test_other_workloads_and_boards_are_lines_of_their_own(summary_of):
    cells = [*planned(CELL, SECOND), PlannedCell(CELL, "pi5", "pending", "pending on pi5")]
    lines = learning(summary_of([learned(CELL, 0.9), learned(SECOND, 0.8)], cells))
    assert [line.id for line in lines] == [CELL.id, SECOND.id]


def test_what_was_not_asked_for_has_its_reason(summary_of):
    (line,) = summed(summary_of, [0.9])
    assert (
        line.unavailable["gradient_cosine"]
        == "the pass `fidelity` was not run (add `measure: +fidelity`)"
    )
    assert line.to_dict()["metrics"]["accuracy"]["estimate"] == pytest.approx(0.9)


def test_there_is_no_line_where_nothing_was_learned(summary_of):
    assert learning(summary_of([make_record(metrics={"step_seconds": 1.0})])) == ()


PLAN = LearningPlan(target=0.8)
TAUGHT = [replace(seed, learning=PLAN) for seed in SEEDS]


def timed(summary_of, seconds, reached):
    """A line of seeds with these times to the target; the other seeds reached this at most."""
    cells = TAUGHT[: len(seconds)]
    records = [
        make_record(
            cell=cell,
            pass_name="learning",
            metrics={} if each is None else {"time_to_accuracy_seconds": each},
            unavailable={} if each else {"time_to_accuracy_seconds": "never reached it"},
            details={"learned": {"accuracy": [0.1, reached if each is None else 0.9]}},
        )
        for cell, each in zip(cells, seconds, strict=True)
    ]
    run = make_run(settings={**make_run().settings, "measure": ["learning"]})
    (line,) = trained(summary_of(records, planned(*cells), run))
    return line


def test_a_seed_that_never_reaches_the_target_takes_for_ever(summary_of):
    found = timed(summary_of, [3.0, None, 1.0], 0.5).estimates["time_to_accuracy_seconds"]
    assert (found.lower, found.estimate, found.upper) == (1.0, 3.0, None)
    assert found.basis == ("median of 3 seeds, lowest and highest; 1 seed never reached the target")


def test_a_seed_that_diverges_with_each_learning_rate_takes_for_ever(summary_of):
    """It has no training, and so no test. To leave it out would make the method look faster."""
    *reached, diverged = TAUGHT[:3]
    tried = [{"rate": rate, "reason": "the loss was not finite"} for rate in (0.1, 0.2)]
    records = [
        *(
            make_record(
                cell=cell,
                pass_name="learning",
                metrics={"time_to_accuracy_seconds": seconds},
                details={"learned": {"accuracy": [0.1, 0.9]}},
            )
            for cell, seconds in zip(reached, (3.0, 1.0), strict=True)
        ),
        make_record(cell=diverged, pass_name="learning_rate", details={"tried_rates": tried}),
        make_record(cell=diverged, pass_name="learning", status="skipped", reason="no rate"),
    ]
    run = make_run(settings={**make_run().settings, "measure": ["learning"]})
    (line,) = trained(summary_of(records, planned(*TAUGHT[:3]), run))
    found = line.estimates["time_to_accuracy_seconds"]
    assert (found.lower, found.estimate, found.upper) == (1.0, 3.0, None)
    assert found.basis.endswith("1 seed never reached the target")


@pytest.mark.parametrize("seconds", [[3.0, None], [3.0, None, None], [1.0, 2.0, None, None]])
def test_there_is_no_median_where_half_of_the_seeds_never_reach_the_target(summary_of, seconds):
    line = timed(summary_of, seconds, 0.5)
    assert "time_to_accuracy_seconds" not in line.estimates
    count = sum(each is not None for each in seconds)
    assert line.unavailable["time_to_accuracy_seconds"] == (
        f"the target was reached with {count} of {len(seconds)} seeds"
    )


def test_where_no_seed_reaches_the_target_the_reason_of_the_cell_stands(summary_of):
    line = timed(summary_of, [None, None], 0.5)
    assert line.unavailable["time_to_accuracy_seconds"] == "never reached it"
