"""Resident memory of the user's own step, in a spawned process without hooks."""

from ondevice_bench.measure import memory, rss_floors
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.passes.memory import unless_swapped
from ondevice_bench.worker.user_step import prepare

NAMES = (
    "peak_rss_bytes",
    "peak_rss_over_runtime_bytes",
    "peak_rss_over_ready_bytes",
    "runtime_floor_bytes",
    "runtime_allocated_bytes",
    "ready_floor_bytes",
    "setup_peak_rss_bytes",
    "warmup_peak_rss_bytes",
)


def measure(job: Job) -> PassResult:
    """The peak of one step over two floors: torch only, and all built and warmed up."""
    return unless_swapped(lambda: _stages(job), NAMES)


def _stages(job: Job) -> PassResult:
    rss_floors.warm_runtime()
    floor = rss_floors.floor()
    runtime = floor.total
    step = prepare(job)
    setup_peak = rss_floors.peak()
    memory.reset_peak()
    step()
    warmup_peak = rss_floors.peak()
    ready = rss_floors.floor().total
    step()
    peak = rss_floors.peak()
    over = (peak - runtime, peak - ready)
    values = (peak, *over, runtime, floor.anonymous, ready, setup_peak, warmup_peak)
    return PassResult(metrics=dict(zip(NAMES, map(float, values), strict=True)))
