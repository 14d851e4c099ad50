"""A ratio to the baseline as a bar inside a table: which way, how far, and how sure."""

import math
from dataclasses import dataclass
from typing import Literal

from ondevice_bench import metrics, units
from ondevice_bench.analyse.choice import direction
from ondevice_bench.analyse.groups import CellWithBaseline
from ondevice_bench.report.quantities import Quantity, quantity_of, ratio_to_baseline
from ondevice_bench.stats import Estimate, is_too_wide

REACH = 4.0  # the bar ends at 1/4 and at 4 times the baseline; what lies beyond is cut
Tone = Literal["good", "bad", "same", "unproven", "noisy"]


@dataclass(frozen=True)
class Span:
    """A part of the bar's width, in percent."""

    left: float
    width: float


@dataclass(frozen=True)
class Gauge:
    """A metric of a cell and its ratio to the baseline's; `bar` is None if there is no ratio."""

    quantity: Quantity
    ratio: Quantity | None
    tone: Tone
    bar: Span | None = None
    whisker: Span | None = None
    beyond: tuple[Literal["less", "more"], ...] = ()  # where number or interval go on


def gauge(member: CellWithBaseline, metric: str) -> Gauge:
    """The metric of a cell beside the baseline's."""
    quantity, ratio = quantity_of(member.cell, metric), member.ratio(metric)
    if ratio is None or member.is_baseline:
        return Gauge(quantity, None, "noisy" if quantity.is_noisy else "same")
    return Gauge(
        quantity,
        ratio_to_baseline(member, metric),
        _tone(member, metric, ratio),
        _span(1.0, ratio.estimate),
        None if ratio.lower is None or ratio.upper is None else _span(ratio.lower, ratio.upper),
        beyond(ratio),
    )


def ratio_text(member: CellWithBaseline, metric: str) -> str:
    """The ratio in words. One that is not proven says so; one that is too noisy is none."""
    ratio = member.ratio(metric)
    if ratio is None:
        return "not compared" if metric in member.cell.estimates else "not measured"
    if is_too_wide(ratio):
        return "too noisy to compare"
    if direction(member, metric) != "unknown":
        return units.ratio(ratio.estimate)
    if ratio.lower is None or ratio.upper is None:
        return f"{units.ratio(ratio.estimate)} (not proven)"
    bounds = f"{units.ratio(ratio.lower)} … {units.ratio(ratio.upper)}"
    return f"{units.ratio(ratio.estimate)} (not proven: {bounds})"


def _tone(member: CellWithBaseline, metric: str, ratio: Estimate) -> Tone:
    """The colour: only what is proven is good or bad."""
    if is_too_wide(ratio):
        return "noisy"
    proven = direction(member, metric)
    if proven == "unknown":
        return "unproven"
    if proven == "same":
        return "same"
    return "good" if (proven == "less") == metrics.BY_NAME[metric].lower_is_better else "bad"


def _span(one: float, other: float) -> Span:
    left, right = sorted((_place(one), _place(other)))
    return Span(left, round(right - left, 2))


def beyond(ratio: Estimate) -> tuple[Literal["less", "more"], ...]:
    """The ends of the bar beyond which the number or its interval goes on."""
    values = [each for each in (ratio.estimate, ratio.lower, ratio.upper) if each is not None]
    less: tuple[Literal["less"], ...] = ("less",) if min(values) < 1 / REACH else ()
    return (*less, "more") if max(values) > REACH else less


def _place(ratio: float) -> float:
    """The place of a ratio on the bar: 1 is in the middle, and equal factors are equally wide."""
    cut = min(max(ratio, 1 / REACH), REACH)
    return round(50 * (1 + math.log(cut, REACH)), 2)
