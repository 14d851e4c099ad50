"""The time and the energy of one epoch over the data of a suite, on the board that measured it."""

import math
from dataclasses import dataclass

from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.record.model import Run
from ondevice_bench.specs.data import HELD_OUT_EVERY, READERS
from ondevice_bench.stats import Estimate

# the number of examples in public data, and how many of them are for training
DIGITS = 1797
MNIST = 5000
ELPV = 2624
CIFAR10_TRAINING = 50_000
STEP = "step_seconds"
ENERGIES = ("sustained_step_joules", "step_joules")  # the first one that was measured counts
_ENDLESS = {
    "synthetic": "synthetic data has no end",
    "photos": "photos are random crops of two photographs, without end",
    "text": "text gives windows at random places, without end",
}


@dataclass(frozen=True)
class Epoch:
    """One pass over all training examples. If a number is None, `reason` says why.

    `seconds` and `joules` are of the steps alone. Reading of data and tests are not in them.
    """

    examples: int | None
    steps: int | None = None
    seconds: Estimate | None = None
    reason: str = ""
    joules: Estimate | None = None
    why_no_joules: str = ""


def epoch_of(run: Run, cell: CellSummary) -> Epoch:
    """One epoch of this cell: its number of steps times the median time and energy of a step.

    The last step of an epoch counts as a whole step. The interval comes from that of a step. The
    energy is from a training without pause, if there was one.
    """
    examples, reason = training_examples(cell.planned.cell.data, run.settings.get("examples"))
    if examples is None:
        return Epoch(None, reason=reason, why_no_joules=reason)
    steps = math.ceil(examples / cell.planned.cell.batch)
    step = cell.estimates.get(STEP)
    energies = [cell.estimates[name] for name in ENERGIES if name in cell.estimates]
    why = cell.unavailable.get(STEP, "there is no step time")
    why_not = [cell.unavailable[name] for name in ENERGIES if name in cell.unavailable]
    return Epoch(
        examples,
        steps,
        None if step is None else _times(steps, step),
        "" if step else f"the time of a step was not measured: {why}",
        _times(steps, energies[0]) if energies else None,
        "" if energies else f"the energy of a step was not measured: {', '.join(why_not)}",
    )


def _times(steps: int, step: Estimate) -> Estimate:
    """The estimate of this number of steps."""
    lower, upper = (None if each is None else steps * each for each in (step.lower, step.upper))
    return Estimate(steps * step.estimate, lower, upper, f"{steps} steps; of a step: {step.basis}")


def training_examples(data: str, of_the_user: int | None) -> tuple[int | None, str]:
    """The examples of an epoch, or the reason why their number is unknown.

    `data` is the name of a source in a cell. `of_the_user` is the number of all examples in the
    user's own data, as the run stored it. Every fifth one is for tests; CIFAR-10 has a test set.
    """
    is_of_the_user = ":" in data
    if of_the_user and is_of_the_user:  # files of the user can have any name before the colon
        return _not_held_out(of_the_user), ""
    kind = data.partition(":")[0].partition("@")[0].partition("(")[0]
    if is_of_the_user and kind not in READERS:  # the user's word for it, such as `mnist`
        return None, f"the number of examples is unknown: data is {data}"
    if kind in _ENDLESS:
        return None, _ENDLESS[kind]
    if kind == "digits":
        return _not_held_out(DIGITS), ""
    if kind == "mnist":
        return _not_held_out(MNIST), ""
    if kind == "elpv":
        return _not_held_out(ELPV), ""
    if kind == "cifar10":
        return CIFAR10_TRAINING, ""
    if kind not in READERS:
        return None, f"the number of examples is unknown: data is {data}"
    return None, f"the run does not say how many examples {data} has"


def _not_held_out(count: int) -> int:
    return count - math.ceil(count / HELD_OUT_EVERY)
