"""The memory pass: resident memory of a spawned process, stage by stage, without hooks.

All floors and peaks are readings of one kernel counter at settled moments. So the parts (batch,
weights, optimizer, libraries, warm-up, step) add up exactly to the peak over runtime.
"""

from collections.abc import Callable, Iterable

from ondevice_bench.measure import curve, memory, rss_floors
from ondevice_bench.metrics import of_pass
from ondevice_bench.protocol.job import Job, PassResult
from ondevice_bench.worker.workload import Workload, build_model, load_batch


def measure(job: Job) -> PassResult:
    """Peak memory of one step over two floors: `runtime` (torch only) and `ready` (all built)."""
    return unless_swapped(lambda: _measure(job), of_pass(job.pass_name))


def unless_swapped(run: Callable[[], PassResult], names: Iterable[str]) -> PassResult:
    """The result of `run`, or the reason why these metrics are missing.

    The result gets a note if the machine swapped.
    """
    swapped = memory.swapped_pages()
    try:
        result = run()
    except memory.PeakUnavailable as error:
        return PassResult(unavailable=dict.fromkeys(names, str(error)))
    after = memory.swapped_pages()
    pages = after - swapped if after is not None and swapped is not None else 0
    notes = [f"the machine swapped {pages} pages during the pass"] if pages else []
    notes += result.details.get("notes", [])
    return PassResult(metrics=result.metrics, details={**result.details, "notes": notes})


def _measure(job: Job) -> PassResult:
    with curve.sample() as rss_curve:
        metrics, notes = _stages(job, rss_curve)
    name, ways = job.cell.allocator or "libc's default", " and ".join(memory.ways_to_give_back())
    allocator = f"{name}, {ways or 'nothing'} at each floor"
    return PassResult(
        metrics=metrics,
        details={"allocator": allocator, "curve": rss_curve.to_dict(), "notes": notes},
    )


def _stages(job: Job, rss_curve: curve.Curve) -> tuple[dict[str, float], list[str]]:
    """The metrics, and notes."""
    rss_curve.mark("runtime")
    rss_floors.warm_runtime()
    runtime = rss_floors.floor()
    rss_curve.mark("batch")
    batch = load_batch(job)
    loaded = rss_floors.floor()
    rss_curve.mark("model")
    treatment = build_model(job)
    setup_peak = rss_floors.peak()
    weighted = rss_floors.floor()
    rss_curve.mark("warm-up")
    workload = Workload(job, batch, treatment)
    workload.step()
    warmup_peak = rss_floors.peak()
    ready = rss_floors.floor()

    forward_peak = backward_peak = 0
    for part in range(workload.parts):
        rss_curve.mark("forward")
        loss = workload.forward(part)
        forward_peak = max(forward_peak, rss_floors.peak())
        memory.reset_peak()
        rss_curve.mark("backward")
        workload.backward(loss)
        del loss
        backward_peak = max(backward_peak, rss_floors.peak())
        memory.reset_peak()
    rss_curve.mark("update")
    workload.update()
    update_peak = rss_floors.peak()

    rss_floors.floor()
    rss_curve.mark("inference")
    with workload.evaluating():
        workload.infer()
    inference_peak = rss_floors.peak()
    rss_curve.mark("end")
    optimizer = _optimizer_bytes(workload)

    peak = max(forward_peak, backward_peak, update_peak)
    metrics: dict[str, float] = {
        "peak_rss_bytes": peak,
        "peak_rss_over_runtime_bytes": peak - runtime.total,
        "peak_rss_over_ready_bytes": peak - ready.total,
        "runtime_floor_bytes": runtime.total,
        "runtime_allocated_bytes": runtime.anonymous,
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
        "rss_libraries_bytes": ready.file_backed - runtime.file_backed,
        "rss_warmup_bytes": ready.anonymous - weighted.anonymous - optimizer,
        "rss_step_bytes": peak - ready.total,
    }
    return metrics, workload.treatment.notes()


def _optimizer_bytes(workload: Workload) -> int:
    """Clear the optimizer's state and return the bytes that it used. Then training is over."""
    if next(workload.optimizer_state(), None) is None:
        return 0
    before = rss_floors.floor()
    workload.optimizer.state.clear()
    return before.anonymous - rss_floors.floor().anonymous
