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
from ondevice_bench.measure.energy import EnergyUnavailable, Metering
from ondevice_bench.models.family import logits_of
from ondevice_bench.protocol.job import Job
from ondevice_bench.worker.workload import Workload, build_model, typed

Examples: TypeAlias = tuple[Tensor, Tensor]

MARK_SECONDS = 60.0  # a counter of joules may overflow within minutes


class NotFinite(ArithmeticError):
    """A loss or a score is infinite or not a number. The text says when."""


@dataclass
class LearningCurve:
    """How a network learned: before training, and after each epoch.

    Seconds and joules are those of all training until then. `loss` is the mean of each epoch.
    """

    accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=lambda: [0.0])
    joules: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    no_joules: str = ""  # why there are none
    spans: list[tuple[float, float]] = field(default_factory=list)  # of the epochs, by the clock

    def add_epoch(self, loss: float, start: float, end: float) -> None:
        """Note an epoch between two moments of the clock."""
        self.loss.append(loss)
        self.seconds.append(self.seconds[-1] + end - start)
        self.spans.append((start, end))

    def add_joules(self, metering: Metering) -> None:
        """Note the energy of all epochs, or why it is not known."""
        joules = [0.0]
        try:
            metering.settle()
            for span in self.spans:
                joules.append(joules[-1] + metering.joules(*span))
        except EnergyUnavailable as error:
            self.no_joules = str(error)
        else:
            self.joules = joules

    def to_dict(self) -> dict[str, Any]:
        """The curve as the details of a record have it."""
        hidden = ("no_joules", "spans")
        return {name: value for name, value in asdict(self).items() if name not in hidden}


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
    curve: LearningCurve,
    mark: Callable[[], float] = time.perf_counter,
) -> Iterator[None]:
    """Train one epoch at a time, and note its loss and its time; NotFinite ends it.

    The order of the examples and the masks of dropout depend on the seed alone. `mark` gives the
    moment. It is called before and after each epoch, and sometimes between two steps, as a meter
    needs it.
    """
    order = torch.Generator().manual_seed(job.cell.seed)
    torch.manual_seed(job.cell.seed)
    for number in range(1, epochs + 1):
        losses: list[float] = []
        start = marked = mark()
        for batch in batches(examples, job.cell.batch, order):
            workload.batch = batch
            losses.append(workload.step())
            if not math.isfinite(losses[-1]):
                raise NotFinite(f"the loss was not finite in step {len(losses)} of epoch {number}")
            if time.perf_counter() > marked + MARK_SECONDS:
                marked = mark()
        curve.add_epoch(sum(losses) / len(losses), start, mark())
        yield


def accuracy(workload: Workload, examples: Examples, size: int) -> float:
    """The share of images, pixels or tokens whose highest score is the right one.

    NotFinite if a score is not a number: then none is the highest.
    """
    right = total = 0
    with workload.evaluating():
        for inputs, targets in zip(*(part.split(size) for part in examples), strict=True):
            scores = logits_of(workload.model, inputs)
            classes = -1 if scores.ndim == 3 else 1  # (B, N, classes) for tokens
            if bool(scores.amax(classes).isnan().any()):
                raise NotFinite("a score of the test is not a number")
            right += int((scores.argmax(classes) == targets).sum())
            total += targets.numel()
    return right / total


def notes_of_fewer(use: str, examples: Examples, wanted: int) -> list[str]:
    """A note if the data has fewer examples for `use` than the suite asks for."""
    found = len(examples[0])
    if found >= wanted:
        return []
    return [f"{found} examples {use}, not {wanted}: the data has no more"]


def notes_of_one_class(examples: Examples, use: str) -> list[str]:
    """A note if all examples for `use` have one class: then a constant answer is always right.

    It happens if the labels of the user's data repeat every five examples, as the splits do.
    """
    targets = examples[1]
    if not bool((targets == targets.flatten()[0]).all()):
        return []
    return [f"all examples {use} have one class, so their accuracy says little: mix the data"]


def finite_accuracy(workload: Workload, examples: Examples, size: int) -> float:
    """The accuracy; NotFinite if the weights are no numbers, so that it would mean nothing."""
    if not all(bool(tensor.isfinite().all()) for tensor in workload.model.parameters()):
        raise NotFinite("the weights are not finite after training")
    return accuracy(workload, examples, size)
