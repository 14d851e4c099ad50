"""Decides whether a change of a metric is an improvement or a regression. No other module does."""

from typing import Literal

from ondevice_bench.metrics import Metric
from ondevice_bench.stats import Change

# `missing`: the metric was not measured again. `failed`: there is nothing to compare.
# `accepted`: a baseline says that the metric may have its new value, and why.
# `skipped`: the base does not measure the cell either.
Verdict = Literal[
    "regressed",
    "improved",
    "accepted",
    "missing",
    "inconclusive",
    "unchanged",
    "failed",
    "skipped",
]

# multiplies a noisy metric's threshold if all rounds of a cell ran one after another, because such
# rounds do not show how the machine drifts
DRIFT = 2
FAILING = ("regressed", "inconclusive")  # the verdicts that a user may let fail a gate


def exact_verdict(metric: Metric, before: float, after: float) -> Verdict:
    """The verdict on an exact metric: any difference counts."""
    if before == after:
        return "unchanged"
    return "improved" if metric.is_better(before, after) else "regressed"


def noisy_verdict(metric: Metric, change: Change) -> Verdict:
    """The verdict on a noisy metric, by the interval of its ratio."""
    match change.direction:
        case "unknown":
            return "inconclusive"
        case "same":
            return "unchanged"
        case "less" | "more":
            return "improved" if metric.is_better(1.0, change.ratio) else "regressed"
