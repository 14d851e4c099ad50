"""The family pass times the step of one cell, to compare the boards of a fleet."""

from statistics import median

from ondevice_bench.measure import clock
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import build


def measure(job: Job) -> PassResult:
    """Time the cell's step."""
    timed = clock.time_steps(build(job), job.sampling)
    seconds = [step.step_seconds for step in timed.samples]
    return PassResult(
        metrics={"family_step_seconds": median(seconds)},
        samples={"family_step_seconds": seconds},
        details={
            "foreign_cpu_share": timed.foreign_share,
            "notes": [*timed.notes, *clock.notes_of_faults(timed.samples)],
        },
    )
