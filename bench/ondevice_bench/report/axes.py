"""The quantities of cells that can be an axis of a figure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ondevice_bench import metrics, units
from ondevice_bench.analyse.gradient import lowest_cosine
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.report import drawing

PEAK, STEP, ACTIVATIONS, COSINE = (
    "peak_rss_over_runtime_bytes",
    "step_seconds",
    "activation_bytes",
    "lowest cosine",
)


@dataclass(frozen=True)
class Axis:
    """What a point's place on an axis means. `value` is None if nothing was measured."""

    title: str
    value: Callable[[CellWithBaseline], float | None]
    unit: str = ""
    scale: float = 1.0
    lower_is_better: bool = True


def _axis_of(name: str) -> Axis:
    """The axis of a metric."""
    metric = metrics.BY_NAME[name]
    scale, title = drawing.axis_of(name)

    def value(member: CellWithBaseline) -> float | None:
        estimate = member.cell.estimates.get(name)
        return None if estimate is None else estimate.estimate

    return Axis(title, value, units.axis(metric.unit)[1], scale, metric.lower_is_better)


# the plot of own axes begins with the first one across and the second one up
AXES: Mapping[str, Axis] = {
    **{name: _axis_of(name) for name in (ACTIVATIONS, STEP, PEAK)},
    COSINE: Axis("lowest gradient cosine", lowest_cosine, lower_is_better=False),
    **{name: _axis_of(name) for name in ("step_flops", *metrics.with_role("axis"))},
}


def is_noisy(name: str) -> bool:
    """Whether the axis is a metric that varies from process to process."""
    return name in metrics.BY_NAME and metrics.BY_NAME[name].kind == "noisy"


def values_of(members: Sequence[CellWithBaseline], name: str) -> list[float]:
    """The values that are known."""
    return [value for member in members if (value := AXES[name].value(member)) is not None]


def scaled_values(members: Sequence[CellWithBaseline], name: str) -> list[float | None]:
    """The values in the unit of the axis."""
    axis = AXES[name]
    values = [axis.value(member) for member in members]
    return [None if value is None else value * axis.scale for value in values]


def cost_of(member: CellWithBaseline, name: str) -> float:
    """A cost, of which less is better. Where more is better, the sign is turned."""
    axis = AXES[name]
    value = axis.value(member)
    assert value is not None
    return value if axis.lower_is_better else -value
