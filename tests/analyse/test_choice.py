"""What a choice proves: by the interval and the number of processes."""

import pytest

from ondevice_bench.analyse.choice import choose, direction, proven_direction
from ondevice_bench.analyse.groups import groups
from ondevice_bench.stats import Estimate
from tests.record.conftest import make_record
from tests.report import synthetic


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (0.5, 0.9, "less"),
        (0.9, 0.96, "unknown"),  # it crosses the threshold of 5 %
        (1.06, 1.2, "more"),
        (0.97, 1.03, "same"),
        (0.5, 2.0, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_a_claim_needs_the_whole_interval_beyond_the_threshold(lower, upper, expected):
    assert (
        proven_direction(Estimate(1.0, lower, upper, ""), "step_seconds", processes=5) == expected
    )
    assert proven_direction(None, "step_seconds", processes=5) == "unknown"


@pytest.mark.parametrize(("metric", "needed"), [("step_seconds", 5), ("peak_rss_bytes", 3)])
def test_a_claim_needs_several_processes_however_narrow_the_samples_of_one(metric, needed):
    clear = Estimate(0.5, 0.49, 0.51, "")
    assert proven_direction(clear, metric, needed - 1) == "unknown"
    assert proven_direction(clear, metric, needed) == "less"


def test_exact_figures_differ_by_any_amount():
    assert proven_direction(Estimate(0.999, 0.999, 0.999, "exact"), "activation_bytes", 1) == "less"
    assert proven_direction(Estimate(1.0, 1.0, 1.0, "exact"), "activation_bytes", 1) == "same"


def test_a_method_that_is_surely_above_the_baseline_is_not_called_unclear(summary_of):
    """1.02 to 1.06 of the baseline: it is not proven to differ by 5 %, but it is not lower."""
    cells = synthetic.cells()[:2]
    records = [
        make_record(
            cell=cell,
            number=number,
            metrics={"step_seconds": value},
            samples={"step_seconds": [value]},
        )
        for cell, values in zip(cells, ((1.0,) * 5, (1.02, 1.03, 1.04, 1.05, 1.06)), strict=True)
        for number, value in enumerate(values, 1)
    ]
    (group,) = groups(summary_of(records, synthetic.planned(cells), synthetic.run_of()))
    found = choose(group.members[1:], "step_seconds")
    assert (direction(group.members[1], "step_seconds"), found.unclear) == ("unknown", ())
