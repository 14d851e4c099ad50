"""Estimates as the text that tables show, the same in the terminal and on the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ondevice_bench import metrics, passes, units
from ondevice_bench.analyse.choice import PEAK
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.analyse.learning import METRICS as LEARNING
from ondevice_bench.analyse.learning import Learning
from ondevice_bench.specs import trained
from ondevice_bench.specs.builtin_methods import BY_CONTENT
from ondevice_bench.stats import Estimate, is_too_wide
from ondevice_bench.suite.cell import Cell

_LOSS = "loss_after_steps"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of a table, its interval if it has one, and what it means."""

    estimate: str
    interval: str
    meaning: str
    value: float | None = None  # the value by which a table sorts
    is_noisy: bool = False  # the interval is too wide to use the number
    share: str = ""  # of the memory that a step may use


class Measured(Protocol):
    """Anything with estimates, and the reason for each missing one."""

    @property
    def estimates(self) -> Mapping[str, Estimate]:
        """The estimates, by metric."""

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Why each other metric is missing."""


def measured_columns(
    names: Iterable[str], settings: Mapping[str, Any]
) -> tuple[metrics.Metric, ...]:
    """The metrics of the default passes, and of those that the run measures besides."""
    wanted = {*passes.BY_DEFAULT, *settings["measure"]}
    found = (metrics.BY_NAME[name] for name in names)
    return tuple(metric for metric in found if metric.pass_name in wanted)


def quantity_of(measured: Measured, name: str) -> Quantity:
    """A metric of a cell. A missing one is a dash, with the reason as its meaning."""
    estimate = measured.estimates.get(name)
    if estimate is None:
        return dash(f"{_meaning(name)}; not measured: {measured.unavailable[name]}")
    return quantity_of_estimate(name, estimate)


def quantity_of_estimate(name: str, estimate: Estimate) -> Quantity:
    """An estimate of a metric. An exact one shows no interval."""
    metric, bounds = metrics.described(name), _bounds(estimate)
    unit = metric.unit
    is_noisy = "compared" in metric.roles and is_too_wide(estimate)
    return Quantity(
        units.quantity(estimate.estimate, unit),
        units.interval(*bounds, unit) if bounds else "",
        f"{_meaning(name)}; {estimate.basis}{_warning(is_noisy=is_noisy)}",
        estimate.estimate,
        is_noisy,
    )


def ratio_to_baseline(member: CellWithBaseline, name: str) -> Quantity:
    """A metric as a multiple of the baseline's. A missing one is a dash, with the reason."""
    ratio, meaning = member.ratio(name), f"{_meaning(name)}; as a multiple of the baseline's"
    if ratio is None:
        if why_not := member.why_no_ratio(name):
            return dash(f"{meaning}; not compared: {why_not}")
        missing = member.cell.unavailable.get(name) or member.why_no_base
        return dash(f"{meaning}; not measured: {missing or 'the baseline has none'}")
    return ratio_quantity(ratio, meaning)


def ratio_quantity(ratio: Estimate, meaning: str) -> Quantity:
    """A ratio of two numbers, with its interval if it has one."""
    bounds = _bounds(ratio)
    return Quantity(
        units.ratio(ratio.estimate),
        " … ".join(map(units.ratio, bounds)) if bounds else "",
        f"{meaning}; {ratio.basis}{_warning(is_noisy=is_too_wide(ratio))}",
        ratio.estimate,
        is_too_wide(ratio),
    )


def dash(meaning: str) -> Quantity:
    """A dash. Its meaning says why there is no number."""
    return Quantity("–", "", meaning)


def with_share(quantity: Quantity, name: str, limit: int | None) -> Quantity:
    """The peak memory beside the memory that a step may use. Other metrics have no limit."""
    if name != PEAK or not limit or quantity.value is None:
        return quantity
    return replace(quantity, share=units.share(quantity.value, limit))


def exact_text(metric: str, value: float) -> str:
    """A value of an exact metric, to its last digit."""
    unit = metrics.BY_NAME[metric].unit
    whole = f"{value:,.0f} {unit}".rstrip()
    is_rounded = unit == "bytes" and abs(value) >= units.KIB
    return f"{units.quantity(value, unit)} ({whole})" if is_rounded else whole


def learning_metrics(lines: Sequence[Learning]) -> list[metrics.Metric]:
    """The metrics of learning that at least one of the lines has.

    A loss is left out if it tells no line from another, as on random labels.
    """
    return [metrics.BY_NAME[name] for name in LEARNING if _tells(name, lines)]


def _tells(name: str, lines: Sequence[Learning]) -> bool:
    found = [line.estimates[name].estimate for line in lines if name in line.estimates]
    if name != _LOSS or len(found) < 2:
        return bool(found)
    return len({f"{value:.2f}" for value in found}) > 1


def rank_basis(cell: Cell) -> str:
    """The data and weights that the cell's ranks depend on; empty if there are none."""
    rules = [name.rpartition(".")[2] for name, _ in cell.method_options]
    if trained.RULE in rules and trained.refuses(cell.model) is None:
        return f"ranks as measured on {trained.basis(cell.model)}"
    by_content = [rule for rule in BY_CONTENT if rule in rules]
    if not by_content:
        return ""
    return f"ranks by {' and '.join(by_content)}, on data: {cell.data}; weights: {cell.weights}"


def _warning(*, is_noisy: bool) -> str:
    return "; too noisy to use" if is_noisy else ""


def _meaning(name: str) -> str:
    metric = metrics.described(name)
    return f"{metric.title}; scope: {metric.scope}"


def _bounds(estimate: Estimate) -> tuple[float, float] | None:
    """The ends of the interval; None if there is none, or if the number is exact."""
    if estimate.lower is None or estimate.upper is None or estimate.basis == "exact":
        return None
    return estimate.lower, estimate.upper
