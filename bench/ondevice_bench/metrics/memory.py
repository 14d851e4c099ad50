"""The metrics of resident memory: what the kernel counts of a process."""

from typing import Any

from ondevice_bench.metrics.descriptor import PROCESS, Metric, Role


def _rss(name: str, label: str, title: str, *roles: Role, **more: Any) -> Metric:
    return Metric(
        name, label, title, "bytes", "noisy", PROCESS, "memory", 0.08, roles=roles, **more
    )


def _peak_part(name: str, label: str, title: str, colour: str) -> Metric:
    return _rss(name, label, f"part of the peak: {title}", part_of="peak", colour=colour)


MEMORY = (
    _rss(
        "peak_rss_over_runtime_bytes",
        "peak memory",
        "most resident memory of the process during a step, minus that of a process that has only "
        "loaded torch",
        "headline",
        "compared",
        "goal",
        "axis",
        "scope",
        "carried",
        "step line",
    ),
    _rss(
        "peak_rss_bytes",
        "peak RSS",
        "most resident memory of the process during a step",
        "table",
        "scope",
        "carried",
    ),
    _rss(
        "peak_rss_over_ready_bytes",
        "peak RSS over ready",
        "most resident memory of the process during a step, minus its memory before the step",
    ),
    _rss(
        "runtime_floor_bytes",
        "runtime floor",
        "resident memory of a process that has only loaded torch, with its threads started",
    ),
    _rss(
        "runtime_allocated_bytes",
        "runtime allocated",
        "the part of the runtime floor that a memory cap counts: all of it but pages of files",
    ),
    _rss(
        "ready_floor_bytes",
        "ready floor",
        "resident memory when batch, model and optimizer exist and one step is done",
    ),
    _rss("setup_peak_rss_bytes", "set-up peak", "most resident memory while the model is built"),
    _rss("forward_peak_rss_bytes", "forward peak", "most resident memory during forward"),
    _rss("backward_peak_rss_bytes", "backward peak", "most resident memory during backward"),
    _rss("update_peak_rss_bytes", "update peak", "most resident memory during the update"),
    _rss("warmup_peak_rss_bytes", "warm-up peak", "most resident memory during the first step"),
    _rss("inference_peak_rss_bytes", "inference peak", "most resident memory during inference"),
    _peak_part("rss_batch_bytes", "batch", "the batch", "#B4BBC2"),
    _peak_part("rss_weights_bytes", "model", "what it took to build the model", "#7E8790"),
    _peak_part("rss_optimizer_bytes", "optimizer", "the state of the optimizer", "#59626A"),
    _peak_part(
        "rss_libraries_bytes",
        "libraries",
        "pages of files, read after torch was loaded (code of LAPACK and other libraries)",
        "#D5DADF",
    ),
    _peak_part(
        "rss_warmup_bytes",
        "after warm-up",
        "everything else that stays after the first step (a method's state, caches)",
        "#EBD791",
    ),
    _peak_part("rss_step_bytes", "step's own memory", "what the step itself adds", "#B88A00"),
)
