"""What the trainings of a candidate show, and how long the next one may take. Pure."""

from collections.abc import Iterable, Sequence
from typing import Literal

from ondevice_bench.passes import LEARNING_RATE
from ondevice_bench.record.model import Record
from ondevice_bench.stats import Estimate, estimate_readings
from ondevice_bench.suite.cell import Cell

# whether an accuracy meets a limit: the interval over seeds is above it, below it, or covers it
Judgement = Literal["met", "missed", "undecided"]


def over_seeds(accuracies: Sequence[float]) -> Estimate:
    """The accuracy of a candidate. One seed has no interval."""
    if len(accuracies) == 1:
        return Estimate(accuracies[0], None, None, "one seed: no interval")
    return estimate_readings(accuracies, f"{len(accuracies)} seeds")


def accuracy_text(accuracy: Estimate) -> str:
    """An accuracy with its interval, or with the reason why it has none."""
    if accuracy.lower is None or accuracy.upper is None:
        return f"{accuracy.estimate:.3f} (one seed)"
    return f"{accuracy.estimate:.3f} ({accuracy.lower:.3f} … {accuracy.upper:.3f}; {_of(accuracy)})"


def _of(accuracy: Estimate) -> str:
    return accuracy.basis.removeprefix("median of ").removesuffix(", lowest and highest")


def judged(accuracy: Estimate, least: float) -> Judgement:
    """Whether an interval over seeds meets a limit. One seed decides nothing."""
    if accuracy.lower is None or accuracy.upper is None:
        return "undecided"
    if accuracy.lower >= least:
        return "met"
    return "missed" if accuracy.upper < least else "undecided"


def highest_test(record: Record) -> float:
    """The highest accuracy of a training, over its tests."""
    return max(record.details.get("learned", {}).get("accuracy", ()), default=0.0)


def usual_rate(rates: Iterable[float]) -> float | None:
    """The learning rate that most seeds chose; if several rates tie, the lowest."""
    chosen = sorted(rates)
    return max(chosen, key=chosen.count, default=None)


def least_seconds(cell: Cell, pass_name: str, step: float, examples: int) -> float:
    """The shortest time of a training, by the time of one step of the candidate.

    `examples` is the fewest that the data has. Of each five, the last three are to learn from.
    """
    plan = cell.learning
    if plan is None:
        return 0.0
    count = min(plan.examples, examples // 5 * 3 + max(0, examples % 5 - 2))
    epochs = plan.epochs
    if pass_name == LEARNING_RATE:
        epochs = plan.rate_epochs * len(plan.learning_rates)
    return epochs * (count // cell.batch) * step
