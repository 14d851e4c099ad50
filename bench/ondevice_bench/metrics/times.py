"""The metrics of time: a step, the chosen layers, loading (with its memory), and latency."""

from typing import Any

from ondevice_bench.metrics.descriptor import CHOSEN_LAYERS, NETWORK, PROCESS, Metric, Role


def _time(name: str, label: str, title: str, *roles: Role, **more: Any) -> Metric:
    return Metric(
        name, label, title, "seconds", "noisy", NETWORK, "time", 0.05, roles=roles, **more
    )


def _layer_time(part: str, label: str, title: str, *roles: Role) -> Metric:
    return Metric(
        f"treated_layers_{part}seconds",
        f"chosen layers{label}",
        f"wall time inside the layers that `layers` chooses, {title}",
        "seconds",
        "noisy",
        CHOSEN_LAYERS,
        "treated_layers",
        0.05,
        roles=roles,
        phrase=f"time in the chosen layers{label}",
    )


FAMILY = (
    Metric(
        "family_step_seconds",
        "step of the shared cell",
        "wall time of one training step of the cell that every board of a fleet measures",
        "seconds",
        "noisy",
        NETWORK,
        "family",
        0.05,
    ),
)
TIME = (
    _time(
        "step_seconds",
        "step",
        "wall time of one training step",
        "headline",
        "compared",
        "goal",
        "axis",
        "scope",
        "step line",
        phrase="step time",
    ),
    _time(
        "forward_seconds",
        "forward",
        "wall time of forward and loss",
        "table",
        part_of="step",
        colour="#9AA3DB",
    ),
    _time(
        "backward_seconds",
        "backward",
        "wall time of backward",
        "table",
        part_of="step",
        colour="#5560B5",
    ),
    _time(
        "update_seconds",
        "update",
        "wall time to clip and clear the gradients and to do the optimizer's step",
        "table",
        part_of="step",
        colour="#D2D6F2",
    ),
    _time(
        "inference_seconds",
        "inference",
        "wall time of a forward pass in evaluation mode",
        "table",
        "compared",
        "goal",
        "axis",
        phrase="inference time",
    ),
    Metric(
        "step_minor_faults",
        "minor faults",
        "minor page faults of one training step: pages of memory that the kernel gave to the "
        "process, often because the allocator had just given them back",
        "faults",
        "noisy",
        PROCESS,
        "time",
        0.1,
        roles=("table", "compared", "goal", "axis"),
        phrase="number of minor page faults",
        negligible=100,
    ),
)

TREATED_LAYERS = (
    _layer_time(
        "",
        "",
        "forward and backward, summed over one step",
        "table",
        "compared",
        "axis",
        "scope",
    ),
    _layer_time("forward_", ", forward", "forward, summed over one step", "table"),
    _layer_time("backward_", ", backward", "backward, summed over one step", "table"),
    _layer_time("inference_", ", inference", "summed over one inference", "table"),
)

LOADING = (
    Metric(
        "loading_seconds",
        "loading",
        "wall time to load one batch from the folder in one thread: read, decode, crop, resize, "
        "normalise and stack the images; nothing is augmented",
        "seconds",
        "noisy",
        PROCESS,
        "loading",
        0.05,
        roles=("table", "axis"),
        phrase="time to load a batch",
    ),
    Metric(
        "loading_share",
        "share of loading",
        "time to load a batch, as a share of loading it and then training one step on it",
        "",
        "noisy",
        PROCESS,
        "loading",
        0.05,
        roles=("table",),
    ),
    Metric(
        "loading_peak_bytes",
        "memory of loading",
        "most resident memory of the process while it loads a batch, minus its memory before",
        "bytes",
        "noisy",
        PROCESS,
        "loading",
        0.08,
        roles=("table",),
    ),
)

LATENCY = (
    Metric(
        "latency_seconds",
        "latency",
        "wall time of a forward pass on one example in evaluation mode: the median",
        "seconds",
        "noisy",
        NETWORK,
        "latency",
        0.05,
        roles=("table", "axis"),
    ),
    Metric(
        "latency_p95_seconds",
        "latency, 95th percentile",
        "wall time of a forward pass on one example in evaluation mode: 95 of 100 take no longer",
        "seconds",
        "noisy",
        NETWORK,
        "latency",
        0.1,
        roles=("table",),
    ),
)
