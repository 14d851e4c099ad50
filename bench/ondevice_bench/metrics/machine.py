"""The metrics of the machine under load: its energy, and what training without pause does to it."""

from typing import Any

from ondevice_bench.metrics.descriptor import MACHINE, METER, NETWORK, PROCESS, Metric, Role


def _energy(name: str, label: str, unit: str, title: str, *roles: Role, phrase: str = "") -> Metric:
    return Metric(
        name, label, title, unit, "noisy", METER, "energy", 0.05, roles=roles, phrase=phrase
    )


def _sustained(
    name: str, label: str, unit: str, title: str, scope: str = NETWORK, **more: Any
) -> Metric:
    roles = more.pop("roles", ("table",))
    return Metric(name, label, title, unit, "noisy", scope, "sustained", 0.05, roles=roles, **more)


ENERGY = (
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
)

SUSTAINED = (
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
        MACHINE,
        lower_is_better=False,
    ),
    _sustained(
        "highest_celsius",
        "highest temperature",
        "celsius",
        "highest temperature of the processor (or of the hottest zone, if the kernel does not name "
        "the processor's) while training without pause",
        MACHINE,
    ),
    _sustained(
        "sustained_step_joules",
        "energy, sustained",
        "joules",
        "energy of one step over the whole training without pause, idle power included",
        METER,
        roles=("table", "axis"),
    ),
    _sustained(
        "step_swapped_bytes",
        "swapped a step",
        "bytes",
        "bytes that the machine moved to swap or back, for each step",
        MACHINE,
    ),
    _sustained(
        "step_written_bytes",
        "written a step",
        "bytes",
        "bytes that the machine wrote to its disks and cards, for each step",
        MACHINE,
    ),
    _sustained(
        "step_own_written_bytes",
        "written by the process",
        "bytes",
        "bytes that the training process had written to disks and cards, for each step",
        PROCESS,
    ),
)
