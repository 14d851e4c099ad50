"""The memory pass: resident memory of a spawned process, stage by stage, without hooks.

The floors and peaks are readings of one kernel figure at settled moments, so the parts (batch,
weights, optimizer and warm-up, step) add up to the headline exactly.
"""

import torch
from torch import nn

from bench.measure import memory
from bench.run.job import Findings, Job
from bench.run.workload import Workload, build_model, load_batch

_HEADLINE = "peak_rss_over_runtime_bytes"


def measure(job: Job) -> Findings:
    """Peak memory of one step over two floors: `runtime` (torch is up) and `ready` (built)."""
    try:
        return _measure(job)
    except memory.PeakUnavailable as error:
        return Findings(unavailable={_HEADLINE: str(error), "peak_rss_bytes": str(error)})


def _measure(job: Job) -> Findings:
    _warm_runtime()
    runtime = _floor()
    batch = load_batch(job)
    loaded = _floor()
    treatment = build_model(job)
    setup_peak = memory.peak_bytes()
    weighted = _floor()
    workload = Workload(job, batch, treatment)
    workload.step()
    ready = _floor()

    forward_peak = backward_peak = 0
    for part in range(workload.parts):
        loss = workload.forward(part)
        forward_peak = max(forward_peak, memory.peak_bytes())
        memory.reset_peak()
        workload.backward(loss)
        del loss
        backward_peak = max(backward_peak, memory.peak_bytes())
        memory.reset_peak()
    workload.update()
    update_peak = memory.peak_bytes()

    peak = max(forward_peak, backward_peak, update_peak)
    return Findings(
        metrics={
            "peak_rss_bytes": peak,
            _HEADLINE: peak - runtime,
            "peak_rss_over_ready_bytes": peak - ready,
            "runtime_floor_bytes": runtime,
            "ready_floor_bytes": ready,
            "setup_peak_rss_bytes": setup_peak,
            "forward_peak_rss_bytes": forward_peak,
            "backward_peak_rss_bytes": backward_peak,
            "update_peak_rss_bytes": update_peak,
            "rss_batch_bytes": loaded - runtime,
            "rss_weights_bytes": weighted - loaded,
            "rss_warmup_bytes": ready - weighted,
            "rss_step_bytes": peak - ready,
        },
        details={
            "swap_bytes": memory.swap_bytes(),
            "allocator": "libc's default, malloc_trim at each floor",
        },
    )


def _floor() -> int:
    """Settle, forget earlier peaks, and return what is resident."""
    memory.settle()
    return memory.reset_peak()


def _warm_runtime() -> None:
    """A throwaway step: threads start, and lazily loaded parts of torch are loaded."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 30 * 30, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = nn.functional.cross_entropy(model(torch.zeros(4, 3, 32, 32)), torch.zeros(4).long())
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
