"""The pass learning_rate: a short training with each rate of the grid, judged by validation.

It reads no example of the test split.
"""

from dataclasses import replace
from typing import Any

from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.specs.data import LEARN, VALIDATION
from ondevice_bench.worker import epochs

TO_CHOOSE = "to choose the learning rate by"


def measure(job: Job) -> PassResult:
    """Try each rate from the same weights. The highest accuracy wins; of equals, the lowest rate.

    A rate whose training is not finite is left out, with its reason.
    """
    plan = job.cell.learning
    assert plan is not None
    learned, validated = (epochs.read(job, split) for split in (LEARN, VALIDATION))
    tried = [_tried(job, rate, learned, validated) for rate in plan.learning_rates]
    found = [each for each in tried if "accuracy" in each]
    best = max(found, key=lambda each: float(each["accuracy"])) if found else None
    return PassResult(
        details={
            "tried_rates": tried,
            "chosen_rate": best["rate"] if best else None,
            "notes": [
                *(_at_the_edge(best["rate"], plan.learning_rates) if best else []),
                *epochs.notes_of_fewer(TO_CHOOSE, validated, plan.validation),
                *epochs.notes_of_one_class(validated, TO_CHOOSE),
            ],
        }
    )


def _tried(
    job: Job, rate: float, learned: epochs.Examples, validated: epochs.Examples
) -> dict[str, Any]:
    cell = replace(job.cell, train=replace(job.cell.train, lr=rate))
    with_rate, plan = replace(job, cell=cell), job.cell.learning
    assert plan is not None
    workload = epochs.workload_of(with_rate, learned)
    try:
        curve = epochs.LearningCurve()
        for _ in epochs.train(workload, with_rate, learned, plan.rate_epochs, curve):
            pass
        reached = epochs.finite_accuracy(workload, validated, cell.batch)
    except epochs.NotFinite as error:
        return {"rate": rate, "reason": str(error)}
    return {"rate": rate, "accuracy": reached, "examples": len(validated[0])}


def _at_the_edge(rate: float, rates: tuple[float, ...]) -> list[str]:
    edges = {rates[0]: "lowest", rates[-1]: "highest"}
    if rate not in edges:
        return []
    return [f"the chosen learning rate {rate:g} is the {edges[rate]} of the grid: try a wider one"]
