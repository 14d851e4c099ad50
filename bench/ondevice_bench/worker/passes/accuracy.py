"""The accuracy pass: a short fine-tuning on real data, then the accuracy on held-out examples.

Every method with the same seed learns from the same examples in the same order.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ondevice_bench.data import nested
from ondevice_bench.models.family import logits_of
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.specs.data import HELD_OUT, TRAIN
from ondevice_bench.worker.workload import Workload, build_model, typed

EPOCHS = 2


def measure(job: Job) -> PassResult:
    """Train `EPOCHS` times over the examples; test before and after."""
    if job.examples is None:
        reason = f"data {job.cell.data} has no labels to learn"
        return PassResult(unavailable={"accuracy": reason})
    training, held_out = (_read(job, part) for part in (TRAIN, HELD_OUT))
    if not len(training[0]) or not len(held_out[0]):
        return PassResult(unavailable={"accuracy": f"data {job.cell.data} has too few examples"})
    workload = Workload(job, _first(training, job.cell.batch), build_model(job))
    before = _accuracy(workload, held_out, job.cell.batch)
    losses = []
    for batch in _batches(training, job):
        workload.batch = batch
        losses.append(workload.step())
    after = _accuracy(workload, held_out, job.cell.batch)
    finite = all(math.isfinite(loss) for loss in losses)
    return PassResult(
        metrics={"accuracy": after},
        details={
            "accuracy_before": before,
            "steps": len(losses),
            "examples": len(training[0]),
            "held_out": len(held_out[0]),
            "losses": [losses[0], losses[-1]] if finite else None,
            "notes": workload.treatment.notes() + ([] if finite else ["the loss was not finite"]),
        },
    )


def _read(job: Job, part: str) -> tuple[Tensor, Tensor]:
    assert job.examples is not None
    inputs, targets = typed(job, nested.read(Path(job.examples[part])))
    return inputs, targets


def _first(examples: tuple[Tensor, Tensor], count: int) -> tuple[Tensor, Tensor]:
    inputs, targets = examples
    return inputs[:count], targets[:count]


def _batches(examples: tuple[Tensor, Tensor], job: Job) -> Iterator[Any]:
    """Whole batches in an order that depends on the seed and differs in each epoch."""
    inputs, targets = examples
    stream = torch.Generator().manual_seed(job.cell.seed)
    for _ in range(EPOCHS):
        order = torch.randperm(len(inputs), generator=stream)
        for places in order.split(job.cell.batch):
            if len(places) == min(job.cell.batch, len(inputs)):
                yield inputs[places], targets[places]


def _accuracy(workload: Workload, examples: tuple[Tensor, Tensor], size: int) -> float:
    """The share of images, pixels or tokens whose highest score is the right one."""
    right = total = 0
    with workload.evaluating():
        for inputs, targets in zip(*(part.split(size) for part in examples), strict=True):
            scores = logits_of(workload.model, inputs)
            classes = -1 if scores.ndim == 3 else 1  # (B, N, classes) for tokens
            best = scores.argmax(classes)
            right += int((best == targets).sum())
            total += targets.numel()
    return right / total
