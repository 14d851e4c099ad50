"""Training over examples, epoch by epoch, and the accuracy on others."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ondevice_bench.data import nested
from ondevice_bench.measure.energy import EnergyUnavailable, Meter
from ondevice_bench.models.family import logits_of
from ondevice_bench.protocol.job import Job
from ondevice_bench.worker.workload import Workload, build_model, typed

Examples: TypeAlias = tuple[Tensor, Tensor]


class NotFinite(ArithmeticError):
    """A loss or a score is infinite or no number. The text says when."""


@dataclass
class Curve:
    """How a network learned: before training, and after each epoch.

    Seconds and joules are those of all training until then. `loss` is the mean of each epoch.
    """

    accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=lambda: [0.0])
    joules: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    no_joules: str = ""  # why there are none

    def to_dict(self) -> dict[str, Any]:
        """The curve as the details of a record have it."""
        return {name: value for name, value in asdict(self).items() if name != "no_joules"}


def read(job: Job, split: str) -> Examples:
    """The examples of a split that the job may read."""
    assert job.examples is not None
    inputs, targets = typed(job, nested.read(Path(job.examples[split])))
    return inputs, targets


def workload_of(job: Job, examples: Examples) -> Workload:
    """A new network with the weights of the cell's seed; its first batch is of these examples."""
    inputs, targets = examples
    return Workload(job, (inputs[: job.cell.batch], targets[: job.cell.batch]), build_model(job))


def batches(examples: Examples, size: int, order: torch.Generator) -> Iterator[Examples]:
    """The whole batches of one epoch, in a new order."""
    inputs, targets = examples
    for places in torch.randperm(len(inputs), generator=order).split(size):
        if len(places) == min(size, len(inputs)):
            yield inputs[places], targets[places]


def train(
    workload: Workload,
    job: Job,
    examples: Examples,
    epochs: int,
    curve: Curve,
    meter: Meter | None = None,
) -> Iterator[None]:
    """Train one epoch at a time, and note its loss, seconds and joules; NotFinite ends it.

    The order of the examples depends on the seed alone.
    """
    order = torch.Generator().manual_seed(job.cell.seed)
    if meter is not None:
        curve.joules.append(0.0)
    for number in range(1, epochs + 1):
        losses: list[float] = []

        def epoch(losses: list[float] = losses) -> None:
            for batch in batches(examples, job.cell.batch, order):
                workload.batch = batch
                losses.append(workload.step())
                if not math.isfinite(losses[-1]):
                    return

        start = time.perf_counter()
        joules = _joules(epoch, meter if curve.joules else None, curve)
        seconds = time.perf_counter() - start
        if not math.isfinite(losses[-1]):
            raise NotFinite(f"the loss was not finite in step {len(losses)} of epoch {number}")
        curve.loss.append(sum(losses) / len(losses))
        curve.seconds.append(curve.seconds[-1] + seconds)
        if joules is not None:
            curve.joules.append(curve.joules[-1] + joules)
        yield


def _joules(work: Callable[[], None], meter: Meter | None, curve: Curve) -> float | None:
    """Do the work. A meter that fails ends the joules of the curve, not the training."""
    if meter is None:
        work()
        return None
    done = False

    def noted() -> None:
        nonlocal done
        work()
        done = True

    try:
        return meter.during(noted).joules
    except EnergyUnavailable as error:
        curve.joules, curve.no_joules = [], str(error)
        if not done:
            work()
        return None


def accuracy(workload: Workload, examples: Examples, size: int) -> float:
    """The share of images, pixels or tokens whose highest score is the right one."""
    right = total = 0
    with workload.evaluating():
        for inputs, targets in zip(*(part.split(size) for part in examples), strict=True):
            scores = logits_of(workload.model, inputs)
            classes = -1 if scores.ndim == 3 else 1  # (B, N, classes) for tokens
            right += int((scores.argmax(classes) == targets).sum())
            total += targets.numel()
    return right / total


def finite_accuracy(workload: Workload, examples: Examples, size: int) -> float:
    """The accuracy; NotFinite if the weights are no numbers, so that it would mean nothing."""
    if not all(bool(tensor.isfinite().all()) for tensor in workload.model.parameters()):
        raise NotFinite("the weights are not finite after training")
    return accuracy(workload, examples, size)
