"""The accuracy pass: a short fine-tuning on real data, then the accuracy on held-out examples.

Every method with the same seed learns from the same examples in the same order.
"""

import math

import torch

from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.specs.data import HELD_OUT, TRAIN
from ondevice_bench.worker import epochs

EPOCHS = 2


def measure(job: Job) -> PassResult:
    """Train `EPOCHS` times over the examples; test before and after."""
    if job.examples is None:
        reason = f"data {job.cell.data} has no labels to learn"
        return PassResult(unavailable={"accuracy": reason})
    training, held_out = (epochs.read(job, part) for part in (TRAIN, HELD_OUT))
    workload = epochs.workload_of(job, training)
    before = epochs.accuracy(workload, held_out, job.cell.batch)
    losses = []
    order = torch.Generator().manual_seed(job.cell.seed)
    for _ in range(EPOCHS):
        for batch in epochs.batches(training, job.cell.batch, order):
            workload.batch = batch
            losses.append(workload.step())
    after = epochs.accuracy(workload, held_out, job.cell.batch)
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
