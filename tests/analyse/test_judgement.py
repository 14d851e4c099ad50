import pytest

from ondevice_bench.analyse.judgement import exact_verdict, noisy_verdict
from ondevice_bench.metrics import ALL
from ondevice_bench.stats import Change

SIDES = [metric for metric in ALL if metric.name in ("step_seconds", "accuracy")]


@pytest.mark.parametrize("metric", SIDES, ids=lambda metric: metric.name)
def test_a_noisy_change_is_judged_as_an_exact_one_of_the_same_direction(metric):
    for ratio, direction in ((0.5, "less"), (2.0, "more")):
        change = Change(ratio, ratio, ratio, direction)
        assert noisy_verdict(metric, change) == exact_verdict(metric, 1.0, ratio)
    assert exact_verdict(metric, 1.0, 1.0) == "unchanged"
    assert noisy_verdict(metric, Change(1.0, 0.99, 1.01, "same")) == "unchanged"
    assert noisy_verdict(metric, Change(3.0, 0.0, 9.0, "unknown")) == "inconclusive"
