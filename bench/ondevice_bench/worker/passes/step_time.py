"""The time of a step of the user's own, as a whole, without hooks."""

from statistics import median

from ondevice_bench.measure import clock
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.user_step import prepared


def measure(job: Job) -> PassResult:
    """Time the step until its median is known well enough."""
    timed = clock.time_calls(prepared(job), job.sampling)
    precision = timed.precision(job.sampling)
    notes = ["disturbed by other processes, and there was no time to measure again"]
    return PassResult(
        metrics={"step_seconds": median(timed.samples)},
        samples={"step_seconds": timed.samples},
        details={"precision": precision, "notes": notes if timed.spoilt else []},
    )
