"""The accuracy pass: a short fine-tuning on real data, then the accuracy on held-out examples.

Every method with the same seed learns from the same examples in the same order, with the same
masks of dropout.
"""

import math

import torch

from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.specs.data import HELD_OUT, TRAIN
from ondevice_bench.worker import epochs
from ondevice_bench.worker.workload import Workload

EPOCHS = 2


def measure(job: Job) -> PassResult:
    """Train `EPOCHS` times over the examples; test before and after."""
    if job.examples is None:
        reason = f"data {job.cell.data} has no labels to learn"
        return PassResult(unavailable={"accuracy": reason})
    training, held_out = (epochs.read(job, part) for part in (TRAIN, HELD_OUT))
    workload = epochs.workload_of(job, training)
    losses: list[float] = []
    before: float | None = None
    after: float | None = None
    problem = ""
    try:
        before = epochs.accuracy(workload, held_out, job.cell.batch)
        _train(workload, job, training, losses)
        after = epochs.finite_accuracy(workload, held_out, job.cell.batch)
    except epochs.NotFinite as error:
        problem = str(error)
    return PassResult(
        metrics={} if after is None else {"accuracy": after},
        unavailable={"accuracy": problem} if problem else {},
        details={
            "accuracy_before": before,
            "steps": len(losses),
            "examples": len(training[0]),
            "held_out": len(held_out[0]),
            "losses": [losses[0], losses[-1]] if losses and not problem else None,
            "notes": workload.treatment.notes() + ([problem] if problem else []),
        },
    )


def _train(workload: Workload, job: Job, examples: epochs.Examples, losses: list[float]) -> None:
    """Train, and note each loss. NotFinite ends it."""
    order = torch.Generator().manual_seed(job.cell.seed)
    torch.manual_seed(job.cell.seed)
    for _ in range(EPOCHS):
        for batch in epochs.batches(examples, job.cell.batch, order):
            workload.batch = batch
            losses.append(workload.step())
            if not math.isfinite(losses[-1]):
                raise epochs.NotFinite("the loss was not finite")
