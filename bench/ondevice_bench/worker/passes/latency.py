"""The latency pass: inference of one example, as a device meets them one by one."""

from math import ceil
from statistics import median

from ondevice_bench.data import nested
from ondevice_bench.measure import clock
from ondevice_bench.metrics import of_pass
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.suite.suite import Sampling
from ondevice_bench.worker.workload import build

LEAST = 40  # samples: the two longest of them are beyond the 95th percentile
_P95 = "latency_p95_seconds"


def measure(job: Job) -> PassResult:
    """Time a forward pass on the first example of the batch."""
    workload = build(job)
    sizes = {len(leaf) if leaf.ndim else 0 for leaf in nested.leaves(workload.batch)}
    if sizes != {job.cell.batch}:
        reason = "the batch cannot be cut: its tensors do not have the examples in their first rows"
        return PassResult(unavailable=dict.fromkeys(of_pass(job.pass_name), reason))
    workload.batch = nested.mapped(workload.batch, lambda leaf: leaf[:1])
    with workload.evaluating():
        timed = clock.time_inference(workload, _many(job.sampling))
    return PassResult(
        metrics={"latency_seconds": median(timed.samples), _P95: percentile_95(timed.samples)},
        samples={"latency_seconds": timed.samples},
        details={
            "warmup": {"latency_seconds": timed.warmups},
            "precision": timed.precision(job.sampling),
            "disturbed": {"latency_seconds": timed.disturbed},
            "notes": [*workload.treatment.notes(), *timed.notes],
        },
    )


def percentile_95(samples: list[float]) -> float:
    """The smallest sample that at least 95 of 100 samples do not exceed."""
    return sorted(samples)[ceil(0.95 * len(samples)) - 1]


def _many(sampling: Sampling) -> Sampling:
    """The sampling of the suite, with enough samples for a percentile."""
    return Sampling(
        warmup=sampling.warmup,
        min_samples=max(LEAST, sampling.min_samples),
        max_samples=max(LEAST, sampling.max_samples),
        max_seconds=sampling.max_seconds,
        precision=sampling.precision,
    )
