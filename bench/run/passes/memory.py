"""The memory pass: resident memory of a spawned process, stage by stage, without hooks.

The floors and peaks are readings of one kernel figure at settled moments, so the parts (batch,
weights, optimizer, libraries, warm-up, step) add up to the headline exactly.
"""

import torch
from torch import nn

from bench.measure import curve, memory
from bench.record.metrics import ALL
from bench.run.job import Findings, Job
from bench.run.workload import Workload, build_model, load_batch


def measure(job: Job) -> Findings:
    """Peak memory of one step over two floors: `runtime` (torch is up) and `ready` (built)."""
    swapped = memory.swapped_pages()
    try:
        found = _measure(job)
    except memory.PeakUnavailable as error:
        names = [metric.name for metric in ALL if metric.pass_name == job.pass_name]
        return Findings(unavailable=dict.fromkeys(names, str(error)))
    after = memory.swapped_pages()
    pages = after - swapped if after is not None and swapped is not None else 0
    notes = [f"the machine swapped {pages} pages meanwhile"] if pages else []
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
    setup_peak = _peak()
    weighted = _floor()
    drawn.mark("warm-up")
    workload = Workload(job, batch, treatment)
    workload.step()
    warmup_peak = _peak()
    ready = _floor()

    forward_peak = backward_peak = 0
    for part in range(workload.parts):
        drawn.mark("forward")
        loss = workload.forward(part)
        forward_peak = max(forward_peak, _peak())
        memory.reset_peak()
        drawn.mark("backward")
        workload.backward(loss)
        del loss
        backward_peak = max(backward_peak, _peak())
        memory.reset_peak()
    drawn.mark("update")
    workload.update()
    update_peak = _peak()

    _floor()
    drawn.mark("inference")
    with workload.evaluating():
        workload.infer()
    inference_peak = _peak()
    drawn.mark("end")
    optimizer = _optimizer_bytes(workload)

    peak = max(forward_peak, backward_peak, update_peak)
    return {
        "peak_rss_bytes": peak,
        "peak_rss_over_runtime_bytes": peak - runtime.total,
        "peak_rss_over_ready_bytes": peak - ready.total,
        "runtime_floor_bytes": runtime.total,
        "ready_floor_bytes": ready.total,
        "setup_peak_rss_bytes": setup_peak,
        "warmup_peak_rss_bytes": warmup_peak,
        "forward_peak_rss_bytes": forward_peak,
        "backward_peak_rss_bytes": backward_peak,
        "update_peak_rss_bytes": update_peak,
        "inference_peak_rss_bytes": inference_peak,
        "rss_batch_bytes": loaded.anonymous - runtime.anonymous,
        "rss_weights_bytes": weighted.anonymous - loaded.anonymous,
        "rss_optimizer_bytes": optimizer,
        "rss_libraries_bytes": ready.of_files - runtime.of_files,
        "rss_warmup_bytes": ready.anonymous - weighted.anonymous - optimizer,
        "rss_step_bytes": peak - ready.total,
    }


def _peak() -> int:
    """The highest since the last reset; pages in swap are missing in it, so there is none then."""
    in_swap = memory.swap_bytes()
    if in_swap:
        raise memory.PeakUnavailable(
            f"{in_swap} bytes of the process lay in swap, which resident memory leaves out"
        )
    return memory.peak_bytes()


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
