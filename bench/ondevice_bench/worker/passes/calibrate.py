"""The calibrate pass: the ranks of a cell as numbers, for every other pass of the cell."""

import time
from dataclasses import asdict

from ondevice_bench.measure.flops import FlopCounter, left_out
from ondevice_bench.models.families import family
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import build_model, load_batch


def measure(job: Job) -> PassResult:
    """Choose ranks on a batch of the cell's data that no other pass uses."""
    treatment = build_model(job)
    batch = load_batch(job)
    counter = FlopCounter()
    start = time.perf_counter_ns()
    with counter.phase("calibration"):
        ranks = treatment.calibrate(batch, family(job.model).loss)
    seconds = (time.perf_counter_ns() - start) / 1e9
    operations = counter.of("calibration")
    return PassResult(
        metrics={
            "calibration_seconds": seconds,
            "calibration_flops": operations.flops,
            "calibration_factorisation_flops": operations.factorisation_flops,
        },
        details={
            "ranks": {name: asdict(numbers) for name, numbers in ranks.items()},
            "operators": {"calibration": operations.to_dict()},
            "notes": [
                *treatment.rank_notes,
                *left_out(operations, "the FLOPs of the calibration"),
            ],
        },
    )
