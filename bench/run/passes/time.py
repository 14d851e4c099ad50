"""The time pass: no hooks; forward, backward, update, whole step, and inference."""

import math
from statistics import median

from bench.measure import clock
from bench.run.alternate import Alternation
from bench.run.job import Findings, Job
from bench.run.workload import Workload, build
from bench.suite.suite import Sampling


def measure(job: Job) -> Findings:
    """Time the cell's step and its inference; in turn with another, its step alone."""
    workload = build(job)
    losses = [workload.step(), workload.step()]  # alike in every process; how many follow is not
    if job.turns is not None:
        with Alternation(job.turns) as alternation:
            return _in_turns(workload, job.sampling, alternation)
    steps = clock.time_steps(workload, job.sampling)
    finite = all(math.isfinite(loss) for loss in (*losses, workload.step()))
    with workload.evaluating():
        inference = clock.time_inference(workload, job.sampling)
    samples = {**clock.columns(steps.samples), "inference_seconds": inference.samples}
    timed = [name for name in samples if name in _TIMES]
    spoilt = "disturbed by other processes, and there was no time to measure again"
    return Findings(
        metrics={name: median(samples[name]) for name in timed},
        samples=samples,
        details={
            "warmup": {
                "step_seconds": [step.step_seconds for step in steps.warmups],
                "inference_seconds": inference.warmups,
            },
            "foreign_cpu_share": clock.foreign_share(steps.samples),
            "precision": steps.precision(job.sampling),
            "inference_precision": inference.precision(job.sampling),
            "losses": losses if finite else None,
            "disturbed": {
                "step_seconds": [step.step_seconds for step in steps.disturbed],
                "inference_seconds": inference.disturbed,
            },
            "notes": [
                *([] if finite else ["the loss was not finite"]),
                *([spoilt] if steps.spoilt else []),
                *([f"inference: {spoilt}"] if inference.spoilt else []),
            ],
            "garbage_collection": "collected before, off during samples",
        },
    )


def _in_turns(workload: Workload, sampling: Sampling, alternation: Alternation) -> Findings:
    steps = clock.time_steps_in_turns(workload, sampling, alternation.take)
    samples = clock.columns(steps.samples)
    return Findings(
        metrics={name: median(samples[name]) for name in samples if name in _TIMES},
        samples=samples,
        unavailable={"inference_seconds": "steps alone are timed in turn with another process"},
        details={
            "warmup": {"step_seconds": [step.step_seconds for step in steps.warmups]},
            "foreign_cpu_share": clock.foreign_share(steps.samples),
            "in_turns": True,
        },
    )


_TIMES = frozenset(
    {
        "forward_seconds",
        "backward_seconds",
        "update_seconds",
        "step_seconds",
        "inference_seconds",
    }
)
