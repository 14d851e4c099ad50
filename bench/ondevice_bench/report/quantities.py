"""Estimates as the text that tables show, the same in the terminal and on the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ondevice_bench import units
from ondevice_bench.analyse.groups import Member
from ondevice_bench.analyse.learning import METRICS as LEARNING
from ondevice_bench.analyse.learning import Learning
from ondevice_bench.record import metrics
from ondevice_bench.specs import trained
from ondevice_bench.specs.builtin_methods import BY_CONTENT
from ondevice_bench.stats import Estimate
from ondevice_bench.suite.cell import Cell

HEADLINES = ("step_seconds", "peak_rss_over_runtime_bytes", "activation_bytes")
LESSONS = ("gradient_cosine", "gradient_error", "loss_after_steps", "accuracy")


@dataclass(frozen=True)
class Figure:
    """One number of a table, its interval where there is one, and what it is."""

    estimate: str
    interval: str
    meaning: str
    value: float | None = None  # what a table sorts by


class Measured(Protocol):
    """What has estimates, and the reason of each that is missing."""

    @property
    def estimates(self) -> Mapping[str, Estimate]:
        """What was measured."""

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Why each other metric was not."""


def figure(cell: Measured, name: str) -> Figure:
    """A metric of a cell; a dash, with the reason as its meaning, where there is none."""
    found = cell.estimates.get(name)
    if found is None:
        metric = metrics.described(name)
        what = f"{metric.title}; scope: {metric.scope}"
        return Figure("–", "", f"{what}; not measured: {cell.unavailable[name]}")
    return figure_of(name, found)


def figure_of(name: str, found: Estimate) -> Figure:
    """A metric's estimate; its interval where that says more."""
    metric = metrics.described(name)
    what = f"{metric.title}; scope: {metric.scope}"
    estimate = units.quantity(found.estimate, metric.unit)
    meaning = f"{what}; {found.basis}"
    if found.lower is None or found.upper is None or found.basis == "exact":
        return Figure(estimate, "", meaning, found.estimate)
    interval = units.interval(found.lower, found.upper, metric.unit)
    return Figure(estimate, interval, meaning, found.estimate)


def ratio_figure(member: Member, name: str) -> Figure:
    """A metric as a multiple of the baseline's; a dash, with the reason, where there is none."""
    metric, found = metrics.BY_NAME[name], member.ratio(name)
    what = f"{metric.title}; scope: {metric.scope}; as a multiple of the baseline's"
    if found is None:
        why = member.cell.unavailable.get(name) or "the baseline has none"
        return Figure("–", "", f"{what}; not measured: {why}")
    interval = ""
    if found.basis != "exact" and found.lower is not None and found.upper is not None:
        interval = f"{units.ratio(found.lower)} … {units.ratio(found.upper)}"
    return Figure(units.ratio(found.estimate), interval, f"{what}; {found.basis}", found.estimate)


def exact(metric: str, value: float) -> str:
    """A value of an exact metric, to its last digit."""
    unit = metrics.BY_NAME[metric].unit
    whole = f"{value:,.0f} {unit}".rstrip()
    return f"{units.quantity(value, unit)} ({whole})" if unit == "bytes" else whole


def learned(lines: Sequence[Learning]) -> list[metrics.Metric]:
    """The metrics of learning that at least one of the lines has."""
    return [metrics.BY_NAME[n] for n in LEARNING if any(n in line.estimates for line in lines)]


def rank_basis(cell: Cell) -> str:
    """On which data and weights the cell's ranks were chosen; empty where they depend on none."""
    said = [name.rpartition(".")[2] for name, _ in cell.method_options]
    if trained.RULE in said and trained.refuses(cell.model) is None:
        return f"ranks as measured on {trained.basis(cell.model)}"
    rules = [rule for rule in BY_CONTENT if rule in said]
    if not rules:
        return ""
    return f"ranks by {' and '.join(rules)}, on data: {cell.data}; weights: {cell.weights}"
