"""Every metric: its unit, its direction, whether it is exact, and what it is a figure of."""

from dataclasses import asdict, dataclass, replace
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
    of_kernels: bool = False  # other kernels for the same work give another figure

    def to_dict(self) -> dict[str, Any]:
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


def _saved(name: str, label: str, by: str) -> Metric:
    return _bytes(
        f"activation_{name}_bytes", label, f"part of the activations: saved first by {by}"
    )


def _live(name: str, label: str) -> Metric:
    title = f"highest live bytes during {label}, beyond what lives between steps; torch's allocator"
    found = _bytes(f"{name}_live_peak_bytes", f"{label} live peak", title)
    return replace(found, of_kernels=True)


def _flops(name: str, label: str, title: str, by: str = "trace") -> Metric:
    return Metric(name, label, title, "flops", "exact", _NETWORK, by)


def _energy(name: str, label: str, unit: str, title: str) -> Metric:
    scope = "what the meter meters"  # a note of the record says what that is
    return Metric(name, label, title, unit, "noisy", scope, "energy", threshold=0.05)


def _gradient(kind: str, moment: str, when: str) -> Metric:
    what = {
        "cosine": "cosine between the method's weight gradients and vanilla's",
        "error": "norm of their difference over that of vanilla's weight gradients",
    }[kind]
    return Metric(
        f"gradient_{kind}{moment}",
        f"gradient {kind}{' ' + moment[1:] if moment else ''}",
        f"{what}, {when}",
        "",
        "noisy",
        "treated layers",
        "fidelity",
        threshold=0.02,
        lower_is_better=kind == "error",
    )


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
    _rss("warmup_peak_rss_bytes", "warm-up peak", "peak RSS during the first step, absolute"),
    _rss("inference_peak_rss_bytes", "inference peak", "peak RSS during inference, absolute"),
    _rss("rss_batch_bytes", "batch", "part of the peak: what came with the batch"),
    _rss("rss_weights_bytes", "weights", "part of the peak: what came with the model"),
    _rss("rss_optimizer_bytes", "optimizer", "part of the peak: what the optimizer keeps"),
    _rss(
        "rss_libraries_bytes",
        "libraries",
        "part of the peak: pages of files touched since the runtime floor (code of LAPACK …)",
    ),
    _rss(
        "rss_warmup_bytes",
        "after warm-up",
        "part of the peak: what else stays after the first step (a method's state, caches)",
    ),
    _rss("rss_step_bytes", "step", "part of the peak: what the step itself adds"),
    _bytes(
        "activation_bytes",
        "activations",
        "kept for backward when forward ends, beyond what is resident anyway",
    ),
    _bytes(
        "activation_allocated_bytes",
        "activations, allocator",
        "the same by torch's record of allocations: a second source",
    ),
    _saved("treated_layers", "of treated layers", "the layers that the method treats"),
    _saved("other_layers", "of other layers", "other linears, convolutions and embeddings"),
    _saved("attention", "of attention", "attention itself, without its linears"),
    _saved("normalisation", "of normalisation", "batch-norm, layer-norm and the like"),
    _saved("activation_functions", "of activation functions", "ReLU, GELU and the like"),
    _saved("loss", "of the loss", "what comes after the network"),
    _saved("other", "of all else", "pooling, products, and what a method packs itself"),
    _live("forward", "forward"),
    _live("backward", "backward"),
    _live("update", "the update"),
    _flops(
        "step_flops",
        "step FLOPs",
        "products, convolutions and attention of one step, two for each multiply-add",
    ),
    _flops("forward_flops", "forward FLOPs", "of the step: forward and loss"),
    _flops("backward_flops", "backward FLOPs", "of the step: backward"),
    _flops("update_flops", "update FLOPs", "of the step: clipping and update"),
    _flops(
        "decomposition_flops",
        "decomposition FLOPs",
        "of the step: compressing what is stored for backward",
    ),
    _flops(
        "factorisation_flops",
        "factorisations",
        "QR, eigenproblems and the like of one step: an estimate, not part of the step's FLOPs",
    ),
    _flops("inference_flops", "inference FLOPs", "of a forward pass in evaluation mode"),
    Metric(
        "step_elements",
        "element-wise work",
        "elements that element-wise work, reductions and normalisations of one step go through",
        "elements",
        "exact",
        _NETWORK,
        "trace",
    ),
    replace(
        _bytes(
            "step_traffic_bytes",
            "operator traffic",
            "tensors that the operators of one step read and write, once an operator: no caches, "
            "no scratch of kernels",
        ),
        of_kernels=True,
    ),
    _bytes("parameter_bytes", "parameters", "all parameters"),
    _bytes("method_state_bytes", "method state", "what a method keeps from step to step"),
    Metric(
        "calibration_seconds",
        "calibration",
        "choosing ranks, once per cell, never inside a step; operators are counted meanwhile",
        "seconds",
        "noisy",
        _NETWORK,
        "calibrate",
        threshold=0.2,
    ),
    _flops(
        "calibration_flops",
        "calibration FLOPs",
        "of choosing ranks, without factorisations",
        "calibrate",
    ),
    _flops(
        "calibration_factorisation_flops",
        "calibration's factorisations",
        "eigenproblems of choosing ranks: an estimate",
        "calibrate",
    ),
    _gradient("cosine", "_first", "at the first step"),
    _gradient("error", "_first", "at the first step"),
    _gradient("cosine", "", "after ten steps"),
    _gradient("error", "", "after ten steps"),
    _gradient("cosine", "_original", "at the first step, vanilla's at the weights before cutting"),
    _gradient("error", "_original", "at the first step, vanilla's at the weights before cutting"),
    Metric(
        "loss_after_steps",
        "loss after 10 steps",
        "loss of the batch after ten steps on it",
        "",
        "noisy",
        _NETWORK,
        "fidelity",
        threshold=0.02,
    ),
    Metric(
        "accuracy",
        "accuracy",
        "share of held-out examples that are right after a short fine-tuning",
        "",
        "noisy",
        _NETWORK,
        "accuracy",
        threshold=0.02,
        lower_is_better=False,
    ),
    _energy("step_joules", "energy", "joules", "energy of one step, idle power included"),
    _energy("idle_watts", "idle power", "watts", "mean power while the process sleeps"),
    _energy("active_watts", "power", "watts", "mean power while it trains"),
    _bytes("buffer_bytes", "buffers", "running statistics and the like"),
    _bytes("gradient_bytes", "gradients", "gradients after backward"),
    _bytes("optimizer_state_bytes", "optimizer", "tensors that the optimizer keeps between steps"),
    _bytes("batch_bytes", "batch", "images and labels of one batch"),
)

BY_NAME = {metric.name: metric for metric in ALL}


def described(name: str) -> Metric:
    """The metric of that name, also of one that only a newer version of bench knows."""
    unknown = Metric(name, name, "unknown to this version of bench", "", "noisy", "unknown", "")
    return BY_NAME.get(name, unknown)


# what of the peak over the runtime floor came when: in each process these add up to it exactly
PEAK_PARTS = (
    "rss_batch_bytes",
    "rss_weights_bytes",
    "rss_optimizer_bytes",
    "rss_libraries_bytes",
    "rss_warmup_bytes",
    "rss_step_bytes",
)
