"""Two runs against each other, in the terminal."""

from collections.abc import Iterable

from ondevice_bench import metrics
from ondevice_bench.analyse.compare import DRIFT, Comparison, Difference
from ondevice_bench.analyse.judgement import Verdict
from ondevice_bench.report.quantities import exact_text
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import labelled
from ondevice_bench.terminal import Table
from ondevice_bench.units import quantity, ratio

VERDICTS: tuple[Verdict, ...] = ("regressed", "improved", "missing", "inconclusive", "unchanged")


def comparison_tables(comparison: Comparison, cells: Iterable[Cell]) -> list[Table]:
    """The changes by verdict and workload, the worst first. `cells` are those of the base run.

    Where there is no ratio, the number of a reason stands: see `reasons`.
    """
    numbers = {reason: number for number, reason in enumerate(_reasons(comparison), start=1)}
    groups = labelled(dict.fromkeys(cells))
    tables = []
    for verdict in VERDICTS[:-1]:
        changes: dict[str, list[Difference]] = {}
        for item in comparison.with_verdict(verdict):
            changes.setdefault(item.cell, []).append(item)
        for group in groups:
            rows = [
                (label, item)
                for cell, label in zip(group.cells, group.labels, strict=True)
                for item in changes.get(cell.id, ())
            ]
            if rows:
                heading = f"{verdict}: {group.heading}"
                tables.append(Table("method", "metric", "base", "new", "change", heading=heading))
            for label, item in rows:
                change = f"[{numbers[item.reason]}]" if item.reason else _size(item)
                tables[-1].add_row(label, item.metric, *_both(item), change)
    return tables


def reasons(comparison: Comparison) -> list[str]:
    """Why there is no ratio, with the numbers that stand in the tables."""
    return [f"[{number}] {text}" for number, text in enumerate(_reasons(comparison), start=1)]


def _reasons(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(item.reason for item in _changes(comparison) if item.reason))


def _both(item: Difference) -> tuple[str, str]:
    """Both values, to the last digit where fewer digits show no difference."""
    if item.new is None:
        return _text(item.metric, item.base), _text(item.metric, None)
    unit = metrics.BY_NAME[item.metric].unit
    base, new = quantity(item.base, unit), quantity(item.new, unit)
    if base != new:
        return base, new
    return _text(item.metric, item.base), _text(item.metric, item.new)


def comparison_lines(comparison: Comparison) -> list[str]:
    """The changes, each on a line with the id of its cell, then the notes."""
    return [*map(difference_line, _changes(comparison)), *comparison_notes(comparison)]


def _changes(comparison: Comparison) -> list[Difference]:
    return [item for verdict in VERDICTS[:-1] for item in comparison.with_verdict(verdict)]


def comparison_notes(comparison: Comparison) -> list[str]:
    """What was not compared, with ids, and the number of each verdict."""
    lines = [f"only in {comparison.base}: {cell}" for cell in comparison.only_in_base]
    lines += [f"only in {comparison.new}: {cell}" for cell in comparison.only_in_new]
    lines += [f"different: {text}" for text in comparison.unlike]
    lines += [f"not compared: {comparison.not_compared}"] if comparison.not_compared else []
    lines += [
        f"not interleaved: {run}: its rounds do not show how the machine drifts, so the "
        f"thresholds of noisy metrics are {DRIFT} times as high"
        for run in comparison.not_interleaved
    ]
    counts = ", ".join(f"{len(comparison.with_verdict(verdict))} {verdict}" for verdict in VERDICTS)
    return [*lines, f"base {comparison.base}, new {comparison.new}: {counts}"]


def difference_line(item: Difference) -> str:
    """A metric before and after, and the size of the change."""
    before, after = (_text(item.metric, value) for value in (item.base, item.new))
    size = _size(item)
    change = f" ({size})" if size else ""
    return f"{item.verdict}: {item.cell}: {item.metric}: {before} → {after}{change}"


def _size(item: Difference) -> str:
    """The ratio with its interval, or why there is none."""
    if item.lower is not None and item.upper is not None and item.new is not None:
        metric = metrics.BY_NAME[item.metric]
        size = ratio(metric.for_ratio(item.new) / metric.for_ratio(item.base))
        note = metric.ratio_note(item.base, item.new)
        bounds = f"{ratio(item.lower)} … {ratio(item.upper)}"
        return f"{size}, {bounds}{f'; {note}' if note else ''}"
    if metrics.BY_NAME[item.metric].kind == "exact" and item.base > 0 and item.new is not None:
        size = ratio(item.new / item.base)
        return size if size != ratio(1.0) else "less than 0.5 %"
    return item.reason


def _text(metric: str, value: float | None) -> str:
    if value is None:
        return "not measured"
    described = metrics.BY_NAME[metric]
    return (
        quantity(value, described.unit) if described.kind == "noisy" else exact_text(metric, value)
    )
