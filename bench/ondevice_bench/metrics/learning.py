"""The metrics of learning: fidelity of gradients, and what a training reaches."""

from ondevice_bench.metrics.descriptor import CHANGED_LAYERS, METER, NETWORK, Metric, Role

NOT_FINITE = "the loss was not finite"  # why a training has no loss
# when gradients are compared: in a label, and in a title
_FIRST = ("at step 1", "at step 1; both have the same weights")
_AFTER = ("at step 10", "at step 10, after ten updates on one batch; both have the same weights")
_ORIGINAL = (
    "at step 1, against the uncompressed network",
    "at step 1, against the uncompressed network, which has the weights from before the method",
)


def _cosine(moment: str, at: tuple[str, str], *roles: Role) -> Metric:
    step, when = at
    return Metric(
        f"gradient_cosine{moment}",
        f"cosine {step}",
        f"cosine between the method's weight gradients and those of plain training, {when}",
        "",
        "noisy",
        CHANGED_LAYERS,
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
        CHANGED_LAYERS,
        "fidelity",
        0.02,
        roles=roles,
    )


def _learning(
    name: str,
    label: str,
    title: str,
    *roles: Role,
    unit: str = "",
    scope: str = NETWORK,
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


FIDELITY = (
    _cosine("_first", _FIRST, "learning"),
    _error("_first", _FIRST),
    _cosine("", _AFTER, "axis", "learning", "carried"),
    _error("", _AFTER, "carried"),
    _cosine("_original", _ORIGINAL, "learning"),
    _error("_original", _ORIGINAL),
    Metric(
        "loss_after_steps",
        "loss after 10 steps",
        "loss on a batch after ten steps on the same batch",
        "",
        "noisy",
        NETWORK,
        "fidelity",
        threshold=0.02,
        roles=("learning", "carried"),
    ),
)

ACCURACY = (
    Metric(
        "accuracy",
        "accuracy",
        "share of correct predictions on held-out examples after a short fine-tuning",
        "",
        "noisy",
        NETWORK,
        "accuracy",
        threshold=0.02,
        lower_is_better=False,
        roles=("axis", "learning", "carried"),
    ),
)

LEARNING = (
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
        scope=METER,
    ),
    _learning(
        "energy_to_accuracy_joules",
        "energy to target",
        "energy of training until the first test that reaches the target of the suite; idle power "
        "included",
        "axis",
        "learning",
        unit="joules",
        scope=METER,
    ),
)
