"""The time of the user's own step as a whole, without hooks."""

from statistics import median

from ondevice_bench.measure import clock
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.user_step import prepare


def measure(job: Job) -> PassResult:
    """Time the step until its median is precise enough or a limit of the suite is reached."""
    timed = clock.time_calls(prepare(job), job.sampling)
    precision = timed.precision(job.sampling)
    return PassResult(
        metrics={"step_seconds": median(timed.samples)},
        samples={"step_seconds": timed.samples},
        details={"precision": precision, "notes": timed.notes},
    )
