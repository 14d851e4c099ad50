"""The time pass: forward, backward, update, whole step and inference, without hooks."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from ondevice_bench.measure import clock
from ondevice_bench.metrics import of_pass
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.lockstep import WARMUPS, Lockstep
from ondevice_bench.worker.workload import build


def measure(job: Job) -> PassResult:
    """Time the cell's step and its inference. In turns with another worker, time the step only."""
    if job.turns is not None:
        with Lockstep(job.turns) as lockstep:
            return _in_turns(job, job.turns.steps, lockstep)
    workload = build(job)
    losses = [
        workload.step(),
        workload.step(),
    ]  # equal in every process; the number of later steps differs
    steps = clock.time_steps(workload, job.sampling)
    finite = all(math.isfinite(loss) for loss in (*losses, workload.step()))
    with workload.evaluating():
        inference = clock.time_inference(workload, job.sampling)
    samples = {**clock.columns(steps.samples), "inference_seconds": inference.samples}
    return PassResult(
        metrics=_medians(job, samples),
        samples=samples,
        details={
            "warmup": {
                "step_seconds": [step.step_seconds for step in steps.warmups],
                "inference_seconds": inference.warmups,
            },
            "foreign_cpu_share": steps.foreign_share,
            "precision": steps.precision(job.sampling),
            "inference_precision": inference.precision(job.sampling),
            "losses": losses if finite else None,
            "disturbed": {
                "step_seconds": [step.step_seconds for step in steps.disturbed],
                "inference_seconds": inference.disturbed,
            },
            "notes": [
                *workload.treatment.notes(),
                *([] if finite else ["the loss was not finite"]),
                *steps.notes,
                *clock.notes_of_faults(steps.samples),
                *(f"inference: {note}" for note in inference.notes),
            ],
            "garbage_collection": "collected before, off during samples",
        },
    )


def _in_turns(job: Job, count: int, lockstep: Lockstep) -> PassResult:
    # building takes a turn too: threads of two processes on the same cores wait for each other
    workload = lockstep.take(lambda: build(job))
    warmups, steps = clock.time_steps_in_turns(workload, WARMUPS, count, lockstep.take)
    samples = clock.columns(steps)
    return PassResult(
        metrics=_medians(job, samples),
        samples=samples,
        unavailable={"inference_seconds": "steps alone are timed in turn with another process"},
        details={
            "warmup": {"step_seconds": [step.step_seconds for step in warmups]},
            "foreign_cpu_share": clock.foreign_share(steps),
            "in_turns": True,
            "notes": [*workload.treatment.notes(), *clock.notes_of_faults(steps)],
        },
    )


def _medians(job: Job, samples: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each column of samples that is a metric of this pass."""
    names = of_pass(job.pass_name)
    return {name: median(values) for name, values in samples.items() if name in names}
