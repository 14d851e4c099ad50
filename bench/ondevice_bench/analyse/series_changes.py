"""The changes in a series, and what in the records may explain them.

An exact metric changed where two consecutive runs differ. That is certain. A noisy metric has one
reading for each run, the median of its processes. The processes of a run share the state of the
machine in that hour, so one reading for each would turn every slow hour into a change. Changes of
noisy metrics are only advice, because the machine may have changed between two runs, too.
"""

from dataclasses import replace
from itertools import pairwise

from ondevice_bench import metrics
from ondevice_bench.analyse.change_points import ChangePoint, find_change_points
from ondevice_bench.analyse.changed_settings import changed_settings
from ondevice_bench.analyse.series import TRAITS, HistoryChange, Point, Series
from ondevice_bench.record.model import Run
from ondevice_bench.record.origin import commit_text
from ondevice_bench.stats import fewest_rounds, more_rounds
from ondevice_bench.suite.code import changed


def judged(series: Series, threshold: float, confidence: float) -> Series:
    """The series with its changes, or with the reason why it has no verdict."""
    points = series.points
    if len(points) < 2:
        return replace(series, why_not="one run: a history needs two")
    metric = metrics.BY_NAME[series.metric]
    if metric.kind == "exact":
        pairs = [(a, b) for a, b in pairwise(points) if a.estimate.estimate != b.estimate.estimate]
        return replace(series, changes=tuple(_exact_change(series.metric, *pair) for pair in pairs))
    readings = [metric.for_ratio(point.estimate.estimate) for point in points]
    if min(readings) <= 0:
        return replace(series, why_not="a reading is not positive, so there is no ratio")
    half = len(points) // 2
    fewest = fewest_rounds(confidence)
    return replace(
        series,
        changes=tuple(
            _noisy_change(series, change_point)
            for change_point in find_change_points(readings, threshold, confidence)
        ),
        why_not=f"{len(points)} runs: a change needs {fewest} runs before it and {fewest} after it"
        if more_rounds(half, len(points) - half, confidence)
        else "",
    )


def _exact_change(metric: str, before: Point, after: Point) -> HistoryChange:
    one, other = before.estimate.estimate, after.estimate.estimate
    disagreements = tuple(
        f"processes of {point.run.id} disagree: {point.estimate.basis}"
        for point in (before, after)
        if point.estimate.lower != point.estimate.upper
    )
    return HistoryChange(
        "changed",
        before,
        after,
        other / one if one else None,
        is_better=metrics.BY_NAME[metric].is_better(one, other),
        causes=(*disagreements, *_causes(before, after)),
    )


def _noisy_change(series: Series, change_point: ChangePoint) -> HistoryChange:
    is_drift = change_point.kind == "drifts"
    before = series.points[change_point.place if is_drift else change_point.place - 1]
    after = series.points[change_point.end if is_drift else change_point.place]
    return HistoryChange(
        change_point.kind,
        before,
        after,
        change_point.ratio,
        change_point.lower,
        change_point.upper,
        change_point.needs,
        is_better=metrics.BY_NAME[series.metric].is_better(1.0, change_point.ratio),
        causes=_causes(before, after),
    )


def software_changes(before: Run, after: Run) -> list[str]:
    """Software that differs between two runs."""
    return [
        f"{name} {before.software.get(name)} → {after.software.get(name)}"
        for name in sorted({*before.software, *after.software})
        if before.software.get(name) != after.software.get(name)
    ]


def _causes(before: Point, after: Point) -> tuple[str, ...]:
    """Differences between the records of both runs. They are the first causes to check."""
    old, new = before.run, after.run
    causes = [*software_changes(old, new), *changed_settings(old, new)]
    one, other = before.traits, after.traits
    for name, cause in TRAITS.items():
        values = one.details[name], other.details[name]
        if all(values) and values[0] != values[1]:  # a side without a trace says nothing
            causes.append(cause)
    causes += map(str, changed(one.code, other.code))
    if old.commit != new.commit:
        causes.append(f"code {commit_text(old.commit)} → {commit_text(new.commit)}")
    return tuple(causes) or ("no cause in the records: they have the same commit and software",)
