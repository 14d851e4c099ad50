"""The calibrate pass: the ranks of a cell as numbers, for every other pass of the cell."""

import time
from dataclasses import asdict

from bench.models.family import family
from bench.run.job import Findings, Job
from bench.run.workload import build_model, load_batch


def measure(job: Job) -> Findings:
    """Choose ranks on a batch of the cell's data that nothing else uses."""
    treatment = build_model(job)
    batch = load_batch(job)
    start = time.perf_counter_ns()
    ranks = treatment.calibrate(batch, family(job.model).loss)
    seconds = (time.perf_counter_ns() - start) / 1e9
    return Findings(
        metrics={"calibration_seconds": seconds},
        details={"ranks": {name: asdict(numbers) for name, numbers in ranks.items()}},
    )
