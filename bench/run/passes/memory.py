"""The memory pass: resident memory of a spawned process, stage by stage, without hooks.

The floors and peaks are readings of one kernel figure at settled moments, so the parts (batch,
weights, optimizer, libraries, warm-up, step) add up to the headline exactly.
"""

import torch
from torch import nn

from bench.measure import curve, memory
from bench.run.job import Findings, Job
from bench.run.workload import Workload, build_model, load_batch

_METRICS = (
    "peak_rss_over_runtime_bytes",
    "peak_rss_bytes",
    "peak_rss_over_ready_bytes",
    "runtime_floor_bytes",
    "ready_floor_bytes",
    "setup_peak_rss_bytes",
    "warmup_peak_rss_bytes",
    "forward_peak_rss_bytes",
    "backward_peak_rss_bytes",
    "update_peak_rss_bytes",
    "inference_peak_rss_bytes",
    "rss_batch_bytes",
    "rss_weights_bytes",
    "rss_optimizer_bytes",
    "rss_libraries_bytes",
    "rss_warmup_bytes",
    "rss_step_bytes",
)


def measure(job: Job) -> Findings:
    """Peak memory of one step over two floors: `runtime` (torch is up) and `ready` (built)."""
    swapped = memory.swapped_pages()
    try:
        found = _measure(job)
        in_swap = memory.swap_bytes()
    except memory.PeakUnavailable as error:
        return Findings(unavailable=dict.fromkeys(_METRICS, str(error)))
    if in_swap:
        # pages in swap are missing in every reading: not a low figure, but none
        reason = f"{in_swap} bytes of the process lay in swap, which resident memory leaves out"
        return Findings(unavailable=dict.fromkeys(_METRICS, reason))
    after = memory.swapped_pages()
    others = after - swapped if after is not None and swapped is not None else 0
    notes = [f"the machine swapped {others} pages of other processes meanwhile"] if others else []
    return Findings(metrics=found.metrics, details={**found.details, "notes": notes})


def _measure(job: Job) -> Findings:
    with curve.sampled() as drawn:
        metrics = _stages(job, drawn)
    allocator = "libc's default, malloc_trim at each floor"
    return Findings(metrics=metrics, details={"allocator": allocator, "curve": drawn.to_json()})


def _stages(job: Job, drawn: curve.Curve) -> dict[str, float]:
    drawn.mark("runtime")
    _warm_runtime()
    runtime = _floor()
    drawn.mark("batch")
    batch = load_batch(job)
    loaded = _floor()
    drawn.mark("model")
    treatment = build_model(job)
    setup_peak = memory.peak_bytes()
    weighted = _floor()
    drawn.mark("warm-up")
    workload = Workload(job, batch, treatment)
    workload.step()
    warmup_peak = memory.peak_bytes()
    ready = _floor()

    forward_peak = backward_peak = 0
    for part in range(workload.parts):
        drawn.mark("forward")
        loss = workload.forward(part)
        forward_peak = max(forward_peak, memory.peak_bytes())
        memory.reset_peak()
        drawn.mark("backward")
        workload.backward(loss)
        del loss
        backward_peak = max(backward_peak, memory.peak_bytes())
        memory.reset_peak()
    drawn.mark("update")
    workload.update()
    update_peak = memory.peak_bytes()

    _floor()
    drawn.mark("inference")
    with workload.evaluating():
        workload.infer()
    inference_peak = memory.peak_bytes()
    drawn.mark("end")
    optimizer = _optimizer_bytes(workload)

    peak = max(forward_peak, backward_peak, update_peak)
    values = (
        peak - runtime.total,
        peak,
        peak - ready.total,
        runtime.total,
        ready.total,
        setup_peak,
        warmup_peak,
        forward_peak,
        backward_peak,
        update_peak,
        inference_peak,
        loaded.anonymous - runtime.anonymous,
        weighted.anonymous - loaded.anonymous,
        optimizer,
        ready.of_files - runtime.of_files,
        ready.anonymous - weighted.anonymous - optimizer,
        peak - ready.total,
    )
    return dict(zip(_METRICS, values, strict=True))


def _floor() -> memory.Resident:
    """Settle, forget earlier peaks, and say what is resident."""
    memory.settle()
    memory.reset_peak()
    return memory.resident()


def _optimizer_bytes(workload: Workload) -> int:
    """What becomes free when the optimizer forgets its state; ends the workload's training."""
    if next(workload.optimizer_state(), None) is None:
        return 0
    before = _floor()
    workload.optimizer.state.clear()
    return before.anonymous - _floor().anonymous


def _warm_runtime() -> None:
    """A throwaway step: threads start, and lazily loaded parts of torch are loaded."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 30 * 30, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = nn.functional.cross_entropy(model(torch.zeros(4, 3, 32, 32)), torch.zeros(4).long())
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
