"""The pass learning: training on real data, epoch by epoch, with a test after each epoch.

The tests see examples that nothing else sees. Their time is not part of the training time. No
epoch is chosen by them: the accuracy is that after the last epoch.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ondevice_bench.measure import energy, interference
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.specs.data import HELD_OUT, LEARN
from ondevice_bench.suite.cell import LearningPlan
from ondevice_bench.worker import epochs

FINAL, LOSS = "final_accuracy", "loss_after_training"
SECONDS, JOULES = "training_seconds", "training_joules"
TIME_TO, ENERGY_TO = "time_to_accuracy_seconds", "energy_to_accuracy_joules"


def measure(job: Job) -> PassResult:
    """Train as the plan says; every number is that of the curve."""
    plan = job.cell.learning
    assert plan is not None
    learned, tested = (epochs.read(job, split) for split in (LEARN, HELD_OUT))
    workload = epochs.workload_of(job, learned)
    curve, problem = epochs.LearningCurve(), ""
    with _metering(job, curve) as metering:
        mark = time.perf_counter if metering is None else metering.mark
        before = interference.read()
        try:
            curve.accuracy.append(epochs.accuracy(workload, tested, job.cell.batch))
            for _ in epochs.train(workload, job, learned, plan.epochs, curve, mark):
                curve.accuracy.append(epochs.finite_accuracy(workload, tested, job.cell.batch))
        except epochs.NotFinite as error:
            problem = str(error)
        after = interference.read()
        if metering is not None:
            curve.add_joules(metering)
    metrics, unavailable = _numbers(plan, curve, problem)
    return PassResult(
        metrics=metrics,
        unavailable=unavailable,
        details={
            "learned": {
                **curve.to_dict(),
                "rate": job.cell.train.lr,
                "examples": len(learned[0]),
                "test": len(tested[0]),
            },
            "foreign_cpu_share": interference.share_lost([interference.between(before, after)]),
            "notes": [
                *workload.treatment.notes(),
                *epochs.notes_of_fewer("to learn from", learned, plan.examples),
                *epochs.notes_of_fewer("to test on", tested, plan.test),
                *epochs.notes_of_one_class(tested, "to test on"),
                *([f"the energy is that of {metering.scope}"] if metering and curve.joules else []),
            ],
        },
    )


@contextmanager
def _metering(job: Job, curve: epochs.LearningCurve) -> Iterator[energy.Metering | None]:
    """A meter that counts; without one, the curve gets the reason."""
    with ExitStack() as stack:
        try:
            metering = stack.enter_context(energy.meter(job.power).begin())
        except energy.EnergyUnavailable as error:
            metering, curve.no_joules = None, str(error)
        yield metering


def _numbers(
    plan: LearningPlan, curve: epochs.LearningCurve, problem: str
) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics of a curve, and the reason for each one that it does not have."""
    if problem:
        return {}, dict.fromkeys((FINAL, LOSS, SECONDS, JOULES, TIME_TO, ENERGY_TO), problem)
    found = {FINAL: curve.accuracy[-1], LOSS: curve.loss[-1], SECONDS: curve.seconds[-1]}
    why_not: dict[str, str] = {}
    reached = epoch_of_target(curve.accuracy, plan.target)
    if reached is None:
        why_not |= dict.fromkeys((TIME_TO, ENERGY_TO), not_reached(curve.accuracy, plan.target))
    else:
        found[TIME_TO] = curve.seconds[reached]
    if curve.joules:
        found[JOULES] = curve.joules[-1]
        if reached is not None:
            found[ENERGY_TO] = curve.joules[reached]
    else:
        without_meter = (JOULES, ENERGY_TO) if reached is not None else (JOULES,)
        why_not |= dict.fromkeys(without_meter, curve.no_joules)
    return found, why_not


def epoch_of_target(accuracy: list[float], target: float | None) -> int | None:
    """The first epoch (0: before training) whose test reaches the target; None if none does.

    The accuracy between two tests is unknown, so nothing is interpolated.
    """
    if target is None:
        return None
    return next((number for number, each in enumerate(accuracy) if each >= target), None)


def not_reached(accuracy: list[float], target: float | None) -> str:
    """Why there is no time to the target."""
    if target is None:
        return "the suite gives no target: `learning: {target: 0.95}`"
    count = len(accuracy) - 1
    epochs_done = "one epoch" if count == 1 else f"{count} epochs"
    return f"no test reached {target:.1%} within {epochs_done} (highest: {max(accuracy):.1%})"
