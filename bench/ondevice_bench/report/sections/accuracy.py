"""Accuracy while training: which methods keep it, the curves, and the learning rates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ondevice_bench import metrics, passes
from ondevice_bench.analyse.groups import CellWithBaseline, Group
from ondevice_bench.analyse.kept_accuracy import (
    FINAL,
    POINT,
    MethodAccuracy,
    kept_accuracy,
    points,
)
from ondevice_bench.analyse.meters import are_mixed
from ondevice_bench.record.details import LearningCurve
from ondevice_bench.report import drawing
from ondevice_bench.report.accuracy_sentences import (
    accuracy_sentences,
    percent,
    range_text,
)
from ondevice_bench.report.plotly_builder import Canvas
from ondevice_bench.report.quantities import Quantity, dash, quantity_of
from ondevice_bench.report.sections.section import Plot, ReportData, Section
from ondevice_bench.suite.cell import LearningPlan
from ondevice_bench.suite.labels import row_labels
from ondevice_bench.units import number_of

HEIGHT = 420
# the columns after the accuracy; one without a number is left out
_COLUMNS = {
    "training_seconds": "training time",
    "time_to_accuracy_seconds": "time to target",
    "energy_to_accuracy_joules": "energy to target",
}
_ORDER = {"baseline": 0, "kept": 1, "unsure": 2, "lost": 3, "unknown": 4}


@dataclass(frozen=True)
class Tried:
    """A learning rate of the grid, with the validation accuracy of each seed."""

    rate: str
    accuracies: tuple[str, ...]
    chosen: int  # by how many seeds


@dataclass(frozen=True)
class AccuracyRow:
    """A line of the table."""

    cells: str
    label: str
    workload: str
    verdict: str
    seeds: int
    rates: str
    quantities: tuple[Quantity, ...]
    tried: tuple[Tried, ...]


def content(data: ReportData) -> Mapping[str, Any] | None:
    """The answer in sentences, then a line for each workload, those that keep the accuracy first.

    Workloads on other data are apart.
    """
    found = kept_accuracy(data.summary, data.baseline)
    if not found:
        return None
    columns = [
        metrics.BY_NAME[name]
        for name in _COLUMNS
        if any(name in one.line.estimates for one in found)
    ]
    headings = list(dict.fromkeys(each.heading for each in found))
    in_order = sorted(found, key=lambda one: (headings.index(one.heading), _ORDER[one.verdict]))
    return {
        "answers": [
            (
                heading,
                accuracy_sentences([one for one in found if one.heading == heading], data.baseline),
            )
            for heading in headings
        ],
        "plan": _plan_text(found),
        "baseline": data.baseline,
        "columns": [_COLUMNS[metric.name] for metric in columns],
        "has_rates": any(one.rates for one in found),
        "rows": [_row(one, columns) for one in in_order],
    }


def _plan_text(found: Sequence[MethodAccuracy]) -> str:
    """How the cells were trained. All cells of a run have one plan."""
    plan = found[0].line.cells[0].learning or LearningPlan()
    curves = [seed.curve for one in found for seed in one.seeds if seed.curve.accuracy]
    examples, test = (curves[0].examples, curves[0].test) if curves else (plan.examples, plan.test)
    tried = [rate.examples for one in found for seed in one.seeds for rate in seed.tried]
    validation = max(tried, default=0) or plan.validation  # an early record has no number
    rates = (
        f"Each method and seed was tried with the learning rates "
        f"{', '.join(f'{rate:g}' for rate in plan.learning_rates)} for "
        f"{number_of(plan.rate_epochs, 'epoch')}. It has the rate that was best on "
        f"{validation} other examples."
        if plan.learning_rates
        else "All methods have the learning rate of the suite."
    )
    target = f" The target is {percent(plan.target)}." if plan.target is not None else ""
    return (
        f"{number_of(plan.epochs, 'epoch')} over {examples} examples, tested on {test} that "
        f"nothing else sees. {rates}{target}"
    )


def _row(one: MethodAccuracy, columns: Sequence[metrics.Metric]) -> AccuracyRow:
    return AccuracyRow(
        cells=one.line.id,
        label=one.label,
        workload=one.heading,
        verdict=one.verdict,
        seeds=len(one.line.seeds),
        rates=", ".join(f"{rate:g}" for rate in one.rates) or "–",
        quantities=(
            _final(one),
            _difference(one),
            *(quantity_of(one.line, metric.name) for metric in columns),
        ),
        tried=_tried(one),
    )


def _final(one: MethodAccuracy) -> Quantity:
    found = one.line.estimates.get(FINAL)
    if found is None:
        return quantity_of(one.line, FINAL)
    interval = range_text(found, percent).removeprefix(", ")
    meaning = f"accuracy on the test examples after the last epoch; {found.basis}"
    return Quantity(percent(found.estimate), interval, meaning, found.estimate)


def _difference(one: MethodAccuracy) -> Quantity:
    if one.difference is None:
        is_baseline = one.verdict == "baseline"
        reason = one.divergence or "one side is missing"
        return dash("what the others are compared with" if is_baseline else reason)
    interval = range_text(one.difference, points).removeprefix(", ")
    meaning = (
        f"points of accuracy above the baseline with the same seed; {one.difference.basis}; a "
        f"method keeps the accuracy if the lower end is at least {points(-POINT)}"
    )
    return Quantity(points(one.difference.estimate), interval, meaning, one.difference.estimate)


def _tried(one: MethodAccuracy) -> tuple[Tried, ...]:
    """Each rate of the grid, over the seeds."""
    by_rate: dict[float, list[str]] = {}
    for seed in one.seeds:
        for tried in seed.tried:
            text = percent(tried.accuracy) if tried.accuracy is not None else tried.reason
            by_rate.setdefault(tried.rate, []).append(text)
    chosen = [seed.curve.rate for seed in one.seeds]
    return tuple(
        Tried(f"{rate:g}", tuple(texts), chosen.count(rate)) for rate, texts in by_rate.items()
    )


def _curves(
    along: Callable[[LearningCurve], Sequence[float]], title: str, cost: str, metric: str
) -> Callable[[Group], Canvas | None]:
    """The accuracy over a cost, for each method: the median over seeds, with lowest and highest.

    `cost` is that of a point in its tooltip, and `metric` the whole cost. A method whose seeds have
    energies of several meters has no line.
    """

    def draw(group: Group) -> Canvas | None:
        by_method: dict[str, list[CellWithBaseline]] = {}
        for member in group.members:
            if along(_curve(member)):
                by_method.setdefault(member.cell.planned.cell.of_any_seed, []).append(member)
        seeds = [
            members
            for members in by_method.values()
            if not are_mixed(metric, (member.cell.meters for member in members))
        ]
        if not seeds:
            return None
        labels = row_labels([members[0].cell.planned.cell for members in seeds])
        plot = Canvas()
        looks = drawing.lines(members[0].method for members in seeds)
        for label, members, look in zip(labels, seeds, looks, strict=True):
            _add_line(plot, label, members, along, look, cost)
        plot.lay_out(height=HEIGHT, legend={"orientation": "v", "y": 1, "yanchor": "top"})
        plot.x_axis(title)
        plot.y_axis("accuracy on the test examples, %")
        return plot

    return draw


def _add_line(
    plot: Canvas,
    label: str,
    members: Sequence[CellWithBaseline],
    along: Callable[[LearningCurve], Sequence[float]],
    look: Mapping[str, Any],
    cost: str,
) -> None:
    """A point for each test. Seeds whose training ended early have fewer."""
    curves = [_curve(member) for member in members]
    count = min(min(len(along(one)), len(one.accuracy)) for one in curves)
    reached = [[one.accuracy[place] * 100 for one in curves] for place in range(count)]
    middle = [median(values) for values in reached]
    plot.add(
        "scatter",
        x=[median(along(one)[place] for one in curves) for place in range(count)],
        y=middle,
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [max(v) - m for v, m in zip(reached, middle, strict=True)],
            "arrayminus": [m - min(v) for v, m in zip(reached, middle, strict=True)],
            "thickness": 1,
            "width": 3,
        },
        mode="lines+markers",
        name=label,
        line={**look, "width": 2},
        hovertemplate=f"{cost}: %{{y:.1f}} %<extra>%{{fullData.name}}</extra>",
    )


def _curve(member: CellWithBaseline) -> LearningCurve:
    return member.cell.details_of(passes.LEARNING).learned


def _epochs(curve: LearningCurve) -> Sequence[float]:
    return range(len(curve.accuracy))


def _plot(
    name: str,
    caption: str,
    along: Callable[[LearningCurve], Sequence[float]],
    title: str,
    cost: str,
    metric: str = "",
) -> Plot:
    return Plot(name, caption, _curves(along, title, cost, metric), is_over_seeds=True)


SECTION = Section(
    name="accuracy",
    title="Accuracy while training",
    text="A method keeps the accuracy if it is at most one point below the baseline. Both have the "
    "same seed, so they learn from the same examples in the same order. The small print is the "
    "lowest and the highest seed (up to five seeds) or the 95 % interval. The training time does "
    "not include the tests between the epochs.",
    content=content,
    plots=(
        _plot("accuracy-epochs", "Accuracy after each epoch.", _epochs, "epochs", "epoch %{x}"),
        _plot(
            "accuracy-seconds",
            "Accuracy and training time.",
            lambda curve: curve.seconds,
            "seconds of training",
            "%{x:,.4~r} s",
        ),
        _plot(
            "accuracy-joules",
            "Accuracy and energy of training.",
            lambda curve: curve.joules,
            "joules of training",
            "%{x:,.4~r} J",
            "training_joules",
        ),
    ),
)
