"""Every metric: its unit, its direction, whether it is exact, and what it is a figure of."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["exact", "noisy"]


@dataclass(frozen=True)
class Metric:
    """A named figure; exact metrics compare by equality, noisy ones by interval and threshold."""

    name: str
    label: str
    title: str
    unit: str
    kind: Kind
    scope: str
    pass_name: str
    threshold: float = 0.0
    lower_is_better: bool = True

    def to_json(self) -> dict[str, Any]:
        """The descriptor as plain values."""
        return asdict(self)


_NETWORK = "whole network"
_PROCESS = "process"


def _time(name: str, label: str, title: str) -> Metric:
    return Metric(name, label, title, "seconds", "noisy", _NETWORK, "time", threshold=0.05)


def _rss(name: str, label: str, title: str) -> Metric:
    return Metric(name, label, title, "bytes", "noisy", _PROCESS, "memory", threshold=0.08)


def _bytes(name: str, label: str, title: str) -> Metric:
    return Metric(name, label, title, "bytes", "exact", _NETWORK, "trace")


ALL = (
    _time("step_seconds", "step", "wall time of one training step"),
    _time("forward_seconds", "forward", "wall time of forward and loss"),
    _time("backward_seconds", "backward", "wall time of backward"),
    _time("update_seconds", "update", "wall time of clipping, optimizer step, clearing gradients"),
    _time("inference_seconds", "inference", "wall time of a forward pass in evaluation mode"),
    _rss(
        "peak_rss_over_runtime_bytes",
        "peak RSS over runtime",
        "highest resident memory during a step, over that of a process with torch ready",
    ),
    _rss("peak_rss_bytes", "peak RSS", "highest resident memory during a step, absolute"),
    _rss(
        "peak_rss_over_ready_bytes",
        "peak RSS over ready",
        "highest resident memory during a step, over that of the built and warmed-up cell",
    ),
    _rss("runtime_floor_bytes", "runtime floor", "RSS with torch imported, its threads warm"),
    _rss(
        "ready_floor_bytes",
        "ready floor",
        "RSS with batch, model and optimizer built and one step done",
    ),
    _rss("setup_peak_rss_bytes", "set-up peak", "peak RSS while the model is built, absolute"),
    _rss("forward_peak_rss_bytes", "forward peak", "peak RSS during forward, absolute"),
    _rss("backward_peak_rss_bytes", "backward peak", "peak RSS during backward, absolute"),
    _rss("update_peak_rss_bytes", "update peak", "peak RSS during the update, absolute"),
    _rss("rss_batch_bytes", "batch", "part of the peak: what came with the batch"),
    _rss("rss_weights_bytes", "weights", "part of the peak: what came with the model"),
    _rss(
        "rss_warmup_bytes",
        "after warm-up",
        "part of the peak: what stays after the first step (optimizer state, libraries' caches)",
    ),
    _rss("rss_step_bytes", "step", "part of the peak: what the step itself adds"),
    _bytes(
        "activation_bytes",
        "activations",
        "kept for backward when forward ends, beyond what is resident anyway",
    ),
    _bytes("parameter_bytes", "parameters", "all parameters"),
    _bytes("method_state_bytes", "method state", "what a method keeps from step to step"),
    Metric(
        "calibration_seconds",
        "calibration",
        "choosing ranks, once per cell, never inside a step",
        "seconds",
        "noisy",
        _NETWORK,
        "calibrate",
        threshold=0.2,
    ),
    _bytes("buffer_bytes", "buffers", "running statistics and the like"),
    _bytes("gradient_bytes", "gradients", "gradients after backward"),
    _bytes("optimizer_state_bytes", "optimizer", "tensors that the optimizer keeps between steps"),
    _bytes("batch_bytes", "batch", "images and labels of one batch"),
)

BY_NAME = {metric.name: metric for metric in ALL}

# what of the peak over the runtime floor came when: in each process these add up to it exactly
PEAK_PARTS = ("rss_batch_bytes", "rss_weights_bytes", "rss_warmup_bytes", "rss_step_bytes")
