"""Every metric, one row each. Standard library only."""

from typing import Any

from ondevice_bench.metrics.descriptor import Metric, Role

# two sources count activation bytes; a note says so where they differ by more of the larger count
SOURCE_TOLERANCE = 0.01

_LAYERS = "changed layers"
_CHOSEN = "chosen layers"  # also those of them that the method leaves as they are
_NETWORK = "whole network"
_PROCESS = "process"
_MACHINE = "whole machine"  # other programs count, too
_METER = "what the meter meters"  # a note of the record says what that is


def _time(name: str, label: str, title: str, *roles: Role, **more: Any) -> Metric:
    return Metric(
        name, label, title, "seconds", "noisy", _NETWORK, "time", 0.05, roles=roles, **more
    )


def _layer_time(part: str, label: str, title: str, *roles: Role) -> Metric:
    return Metric(
        f"treated_layers_{part}seconds",
        f"chosen layers{label}",
        f"wall time inside the layers that `layers` chooses, {title}",
        "seconds",
        "noisy",
        _CHOSEN,
        "treated_layers",
        0.05,
        roles=roles,
        phrase=f"time in the chosen layers{label}",
    )


def _rss(name: str, label: str, title: str, *roles: Role, **more: Any) -> Metric:
    return Metric(
        name, label, title, "bytes", "noisy", _PROCESS, "memory", 0.08, roles=roles, **more
    )


def _peak_part(name: str, label: str, title: str, colour: str) -> Metric:
    return _rss(name, label, f"part of the peak: {title}", part_of="peak", colour=colour)


def _bytes(name: str, label: str, title: str, *roles: Role, **more: Any) -> Metric:
    return Metric(name, label, title, "bytes", "exact", _NETWORK, "trace", roles=roles, **more)


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
    return Metric(name, label, title, "flops", "exact", _NETWORK, by, roles=roles, phrase=phrase)


def _energy(name: str, label: str, unit: str, title: str, *roles: Role, phrase: str = "") -> Metric:
    return Metric(
        name, label, title, unit, "noisy", _METER, "energy", 0.05, roles=roles, phrase=phrase
    )


def _sustained(
    name: str, label: str, unit: str, title: str, scope: str = _NETWORK, **more: Any
) -> Metric:
    roles = more.pop("roles", ("table",))
    return Metric(name, label, title, unit, "noisy", scope, "sustained", 0.05, roles=roles, **more)


def _learning(
    name: str,
    label: str,
    title: str,
    *roles: Role,
    unit: str = "",
    scope: str = _NETWORK,
    lower_is_better: bool = True,
) -> Metric:
    return Metric(
        name,
        label,
        title,
        unit,
        "noisy",
        scope,
        "learning",
        0.05 if unit else 0.02,
        lower_is_better=lower_is_better,
        roles=roles,
    )


def _cosine(moment: str, at: tuple[str, str], *roles: Role) -> Metric:
    step, when = at
    return Metric(
        f"gradient_cosine{moment}",
        f"cosine {step}",
        f"cosine between the method's weight gradients and those of plain training, {when}",
        "",
        "noisy",
        _LAYERS,
        "fidelity",
        0.02,
        lower_is_better=False,
        roles=roles,
    )


def _error(moment: str, at: tuple[str, str], *roles: Role) -> Metric:
    step, when = at
    return Metric(
        f"gradient_error{moment}",
        f"error {step}",
        "norm of the difference between the method's weight gradients and those of plain training, "
        f"divided by the norm of the gradients of plain training, {when}",
        "",
        "noisy",
        _LAYERS,
        "fidelity",
        0.02,
        roles=roles,
    )


# when gradients are compared: in a label, and in a title
_FIRST = ("at step 1", "at step 1; both have the same weights")
_AFTER = ("at step 10", "at step 10, after ten updates on one batch; both have the same weights")
_ORIGINAL = (
    "at step 1, against the uncompressed network",
    "at step 1, against the uncompressed network, which has the weights from before the method",
)

ALL = (
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
        colour="#56B4E9",
    ),
    _time(
        "backward_seconds",
        "backward",
        "wall time of backward",
        "table",
        part_of="step",
        colour="#0072B2",
    ),
    _time(
        "update_seconds",
        "update",
        "wall time to clip and clear the gradients and to do the optimizer's step",
        "table",
        part_of="step",
        colour="#E69F00",
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
        _PROCESS,
        "time",
        0.1,
        roles=("table", "compared", "goal", "axis"),
        phrase="number of minor page faults",
        negligible=100,
    ),
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
    _rss(
        "peak_rss_over_runtime_bytes",
        "peak RSS over runtime",
        "most resident memory of the process during a step, minus that of a process that has only "
        "loaded torch",
        "headline",
        "compared",
        "goal",
        "axis",
        "scope",
        "carried",
        "step line",
        phrase="peak memory",
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
    _peak_part("rss_weights_bytes", "weights", "the model", "#8F98A1"),
    _peak_part("rss_optimizer_bytes", "optimizer", "the state of the optimizer", "#6B747D"),
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
        "#E8A87C",
    ),
    _peak_part("rss_step_bytes", "step's own memory", "what the step itself adds", "#C2410C"),
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
        "of other layers",
        "other linear layers, convolutions and embeddings",
        "#4C86B8",
    ),
    _saved("attention", "of attention", "attention itself, without its linear layers", "#8FBDE3"),
    _saved("normalisation", "of normalisation", "batch-norm, layer-norm and the like", "#3F9D87"),
    _saved("activation_functions", "of activation functions", "ReLU, GELU and the like", "#8CCBBB"),
    _saved("loss", "of the loss", "the loss, which comes after the network", "#7F5AB6"),
    _saved(
        "other",
        "of all else",
        "everything else: pooling, products, and what a method saves in its own way",
        "#B9A5D9",
    ),
    _live("forward", "forward"),
    _live("backward", "backward"),
    _live("update", "the update"),
    _resident("parameter_bytes", "parameters", "all parameters", "#8F98A1", "table"),
    _resident("buffer_bytes", "buffers", "running statistics and the like", "#D5DADF"),
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
        "#6B747D",
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
        _NETWORK,
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
    Metric(
        "calibration_seconds",
        "calibration",
        "wall time to choose the ranks, once per cell and outside of every step; a counter of "
        "operators runs at the same time",
        "seconds",
        "noisy",
        _NETWORK,
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
    _cosine("_first", _FIRST, "learning"),
    _error("_first", _FIRST),
    _cosine("", _AFTER, "axis", "learning", "carried"),
    _error("", _AFTER, "learning", "carried"),
    _cosine("_original", _ORIGINAL),
    _error("_original", _ORIGINAL),
    Metric(
        "loss_after_steps",
        "loss after 10 steps",
        "loss on a batch after ten steps on the same batch",
        "",
        "noisy",
        _NETWORK,
        "fidelity",
        threshold=0.02,
        roles=("learning", "carried"),
    ),
    Metric(
        "accuracy",
        "accuracy",
        "share of correct predictions on held-out examples after a short fine-tuning",
        "",
        "noisy",
        _NETWORK,
        "accuracy",
        threshold=0.02,
        lower_is_better=False,
        roles=("axis", "learning", "carried"),
    ),
    _learning(
        "final_accuracy",
        "accuracy after training",
        "share of correct predictions on the test examples after the last epoch",
        "axis",
        "learning",
        "carried",
        lower_is_better=False,
    ),
    _learning(
        "loss_after_training",
        "loss of the last epoch",
        "mean loss over the training steps of the last epoch",
        "carried",
    ),
    _learning(
        "training_seconds",
        "training time",
        "wall time of all epochs, without the tests between them",
        "axis",
        "carried",
        unit="seconds",
    ),
    _learning(
        "time_to_accuracy_seconds",
        "time to target",
        "training time until the first test that reaches the target of the suite",
        "axis",
        "learning",
        "carried",
        unit="seconds",
    ),
    _learning(
        "training_joules",
        "training energy",
        "energy of all epochs, without the tests between them; idle power included",
        "axis",
        unit="joules",
        scope=_METER,
    ),
    _learning(
        "energy_to_accuracy_joules",
        "energy to target",
        "energy of training until the first test that reaches the target of the suite; idle power "
        "included",
        "axis",
        "learning",
        unit="joules",
        scope=_METER,
    ),
    _energy(
        "step_joules",
        "energy",
        "joules",
        "energy of one step, idle power included",
        "compared",
        "goal",
        "axis",
        "carried",
        phrase="energy of a step",
    ),
    _energy("idle_watts", "idle power", "watts", "mean power while the process sleeps"),
    _energy("active_watts", "power", "watts", "mean power while the process trains"),
    _sustained(
        "sustained_ratio",
        "last/first minute",
        "",
        "step time in the last minute of training without pause, divided by that in the first "
        "minute: the seconds of both minutes in pairs",
        roles=("table", "axis"),
        phrase="step time of the last minute against the first",
    ),
    _sustained(
        "sustained_step_seconds",
        "step, last minute",
        "seconds",
        "wall time of a training step in the last minute of training without pause: of each second "
        "the median",
        roles=("table", "axis"),
        phrase="step time of the last minute",
    ),
    _sustained(
        "steps_per_minute",
        "steps a minute",
        "",
        "steps in a minute, over the whole training without pause",
        lower_is_better=False,
    ),
    _sustained(
        "throttled_after_seconds",
        "throttled after",
        "seconds",
        "time from the beginning of training without pause until the board first lowered its clock",
        _MACHINE,
        lower_is_better=False,
    ),
    _sustained(
        "highest_celsius",
        "highest temperature",
        "celsius",
        "highest temperature of the hottest zone while training without pause",
        _MACHINE,
    ),
    _sustained(
        "sustained_step_joules",
        "energy, sustained",
        "joules",
        "energy of one step over the whole training without pause, idle power included",
        _METER,
        roles=("table", "axis"),
    ),
    _sustained(
        "step_swapped_bytes",
        "swapped a step",
        "bytes",
        "bytes that the machine moved to swap or back, for each step",
        _MACHINE,
    ),
    _sustained(
        "step_written_bytes",
        "written a step",
        "bytes",
        "bytes that the machine wrote to its disks and cards, for each step",
        _MACHINE,
    ),
    _sustained(
        "step_own_written_bytes",
        "written by the process",
        "bytes",
        "bytes that the training process had written to disks and cards, for each step",
        _PROCESS,
    ),
    Metric(
        "loading_seconds",
        "loading",
        "wall time to load one batch from the folder in one thread: read, decode, crop, resize, "
        "normalise and stack the images; nothing is augmented",
        "seconds",
        "noisy",
        _PROCESS,
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
        _PROCESS,
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
        _PROCESS,
        "loading",
        0.08,
        roles=("table",),
    ),
    Metric(
        "latency_seconds",
        "latency",
        "wall time of a forward pass on one example in evaluation mode: the median",
        "seconds",
        "noisy",
        _NETWORK,
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
        _NETWORK,
        "latency",
        0.1,
        roles=("table",),
    ),
)
