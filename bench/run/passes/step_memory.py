"""Resident memory of a step of the user's own, without hooks; the process is a spawned one."""

from bench.measure import floors, memory
from bench.run.job import Findings, Job
from bench.run.passes.memory import unless_swapped
from bench.run.step_call import prepared

NAMES = (
    "peak_rss_bytes",
    "peak_rss_over_runtime_bytes",
    "peak_rss_over_ready_bytes",
    "runtime_floor_bytes",
    "ready_floor_bytes",
    "setup_peak_rss_bytes",
    "warmup_peak_rss_bytes",
)


def measure(job: Job) -> Findings:
    """The peak of one step over two floors: torch is up, and all is built and warmed up."""
    return unless_swapped(lambda: _stages(job), NAMES)


def _stages(job: Job) -> Findings:
    floors.warm_runtime()
    runtime = floors.floor().total
    step = prepared(job)
    setup_peak = floors.peak()
    memory.reset_peak()
    step()
    warmup_peak = floors.peak()
    ready = floors.floor().total
    step()
    peak = floors.peak()
    found = (peak, peak - runtime, peak - ready, runtime, ready, setup_peak, warmup_peak)
    return Findings(metrics=dict(zip(NAMES, map(float, found), strict=True)))
