"""The metrics that are counted: bytes of tensors and FLOPs, also those of choosing ranks."""

from typing import Any

from ondevice_bench.metrics.descriptor import NETWORK, Metric, Role

# two sources count activation bytes; a note says so if they differ by more than this share
SOURCE_TOLERANCE = 0.01


def _bytes(name: str, label: str, title: str, *roles: Role, **more: Any) -> Metric:
    return Metric(name, label, title, "bytes", "exact", NETWORK, "trace", roles=roles, **more)


def _saved(name: str, label: str, by: str, colour: str) -> Metric:
    title = f"part of the activations: saved first by {by}"
    return _bytes(f"activation_{name}_bytes", label, title, part_of="activations", colour=colour)


def _resident(name: str, label: str, title: str, colour: str, *roles: Role) -> Metric:
    return _bytes(name, label, title, *roles, part_of="resident tensors", colour=colour)


def _live(name: str, label: str) -> Metric:
    return _bytes(
        f"{name}_live_peak_bytes",
        f"{label} live peak",
        f"most bytes of live tensors during {label}, minus those that live between steps "
        "(by torch's allocator)",
        of_kernels=True,
    )


def _flops(
    name: str, label: str, title: str, *roles: Role, by: str = "trace", phrase: str = ""
) -> Metric:
    return Metric(name, label, title, "flops", "exact", NETWORK, by, roles=roles, phrase=phrase)


TRACE = (
    _bytes(
        "activation_bytes",
        "activations",
        "tensors saved by forward for backward (without weights and batch)",
        "headline",
        "goal",
        "axis",
        "scope",
        "carried",
        "step line",
        phrase="activation bytes",
    ),
    _bytes(
        "activation_allocated_bytes",
        "activations, allocator",
        "tensors saved by forward for backward, from the record of torch's allocator: a second "
        "source",
    ),
    _saved("treated_layers", "of changed layers", "the layers that the method changes", "#C2410C"),
    _saved(
        "other_layers",
        "of other linear/conv layers",
        "linear layers, convolutions and embeddings that the method does not change",
        "#4C86B8",
    ),
    _saved("attention", "of attention", "attention itself, without its linear layers", "#8FBDE3"),
    _saved("normalisation", "of normalisation", "batch-norm, layer-norm and the like", "#3F9D87"),
    _saved("activation_functions", "of activation functions", "ReLU, GELU and the like", "#8CCBBB"),
    _saved("loss", "of the loss", "the loss, which comes after the network", "#6F4E9A"),
    _saved(
        "other",
        "of all else",
        "everything else: pooling, products, and what a method saves in its own way",
        "#B9A5D9",
    ),
    _live("forward", "forward"),
    _live("backward", "backward"),
    _live("update", "the update"),
    _resident("parameter_bytes", "parameters", "all parameters", "#7E8790", "table"),
    _resident("buffer_bytes", "buffers", "running statistics and the like", "#373C42"),
    _resident(
        "method_state_bytes",
        "method state",
        "tensors that the method keeps from step to step",
        "#E8A87C",
    ),
    _resident(
        "optimizer_state_bytes",
        "optimizer",
        "tensors that the optimizer keeps from step to step",
        "#59626A",
    ),
    _resident("batch_bytes", "batch", "inputs and targets of one batch", "#B4BBC2"),
    _flops(
        "step_flops",
        "step FLOPs",
        "FLOPs of products, convolutions and attention in one step; a multiply-add counts as two",
        "table",
        "goal",
        "axis",
        "scope",
        "carried",
        "step line",
        phrase="FLOPs of a step",
    ),
    _flops("forward_flops", "forward FLOPs", "part of the step's FLOPs: forward and loss"),
    _flops("backward_flops", "backward FLOPs", "part of the step's FLOPs: backward"),
    _flops("update_flops", "update FLOPs", "part of the step's FLOPs: clipping and update"),
    _flops(
        "decomposition_flops",
        "decomposition FLOPs",
        "part of the step's FLOPs: compressing what is stored for backward",
    ),
    _flops(
        "factorisation_flops",
        "factorisations",
        "an estimate for QR, eigenproblems and the like in one step; not part of the step's FLOPs",
    ),
    _flops("inference_flops", "inference FLOPs", "FLOPs of a forward pass in evaluation mode"),
    Metric(
        "step_elements",
        "element-wise work",
        "elements that element-wise operators, reductions and normalisations process in one step",
        "elements",
        "exact",
        NETWORK,
        "trace",
    ),
    _bytes(
        "step_traffic_bytes",
        "operator traffic",
        "bytes that the operators of one step read and write, counted once per operator (without "
        "caches, without the scratch memory of kernels)",
        of_kernels=True,
    ),
    _bytes("gradient_bytes", "gradients", "gradients after backward"),
)

CALIBRATE = (
    Metric(
        "calibration_seconds",
        "calibration",
        "wall time to choose the ranks, once per cell and outside of every step; a counter of "
        "operators runs at the same time",
        "seconds",
        "noisy",
        NETWORK,
        "calibrate",
        threshold=0.2,
    ),
    _flops(
        "calibration_flops",
        "calibration FLOPs",
        "FLOPs to choose the ranks, without factorisations",
        by="calibrate",
    ),
    _flops(
        "calibration_factorisation_flops",
        "calibration's factorisations",
        "an estimate for the eigenproblems that are solved to choose the ranks",
        by="calibrate",
    ),
)
