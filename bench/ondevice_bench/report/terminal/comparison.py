"""Two runs against each other, in the terminal."""

from collections.abc import Iterable, Mapping, Sequence

from ondevice_bench import metrics
from ondevice_bench.analyse.compare import OTHER_KERNELS
from ondevice_bench.analyse.comparison import VERDICTS, Comparison, Difference
from ondevice_bench.analyse.failed_rounds import MoreFailed
from ondevice_bench.analyse.judgement import DRIFT
from ondevice_bench.report.quantities import exact_text
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.labels import labelled
from ondevice_bench.terminal import Table, one_line
from ondevice_bench.units import number_of, quantity, ratio

LISTED = 5  # the most cells that have a line each
AMBIGUOUS = "one side has several cells that differ only in the version of a file"


def comparison_tables(comparison: Comparison, cells: Iterable[Cell]) -> list[Table]:
    """The changes by verdict and workload, the worst first. `cells` are those of the base run.

    A number in brackets stands for a reason: see `reasons`.
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
                size = "" if item.reason else size_of(item)
                marks = [f"[{numbers[text]}]" for text in _remarks(item)]
                tables[-1].add_row(
                    label, item.metric, *both(item), " ".join([size, *marks]).strip()
                )
    return tables


def reasons(comparison: Comparison) -> list[str]:
    """Why there is no ratio, and who accepted what, with the numbers that stand in the tables."""
    return [f"[{number}] {text}" for number, text in enumerate(_reasons(comparison), start=1)]


def _reasons(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(text for item in changes(comparison) for text in _remarks(item)))


def _remarks(item: Difference) -> list[str]:
    """What there is to say of a difference beside its numbers."""
    return [*filter(None, [item.reason, accepted_text(item), more_rounds_text(item)])]


def accepted_text(item: Difference) -> str:
    """Who accepted a change of the metric, and whether it has changed again since."""
    if not item.accepted or item.verdict == "accepted":
        return item.accepted
    return f"the base value is {item.accepted}"


def more_rounds_text(item: Difference) -> str:
    """How many rounds would decide an inconclusive metric, in plain words."""
    if item.verdict != "inconclusive" or item.lower is None:
        return ""
    if item.rounds_needed is None:
        return "the ratio lies on the threshold, so more rounds would probably not decide it"
    return f"about {item.rounds_needed} rounds of each run would decide it (`rounds` in the suite)"


def both(item: Difference) -> tuple[str, str]:
    """Both values, to the last digit if fewer digits show no difference."""
    if item.new is None:
        return _text(item.metric, item.base), _text(item.metric, None)
    unit = metrics.BY_NAME[item.metric].unit
    base, new = quantity(item.base, unit), quantity(item.new, unit)
    if base != new:
        return base, new
    return _text(item.metric, item.base), _text(item.metric, item.new)


def comparison_lines(comparison: Comparison) -> list[str]:
    """The changes, each on a line with the id of its cell, then the notes."""
    return [*map(difference_line, changes(comparison)), *comparison_notes(comparison)]


def worse_lines(comparison: Comparison) -> list[str]:
    """What makes the new run worse, each on a line with the id of its cell."""
    regressed = comparison.with_verdict("regressed")
    return [*map(difference_line, regressed), *map(failed_line, comparison.failed)]


def failed_line(item: MoreFailed) -> str:
    """How many rounds of a pass failed on both sides, and why in the new run."""
    return one_line(
        f"worse: {item.cell}: {item.pass_name}: {item.new} (base: {item.base}): {item.new.reason}"
    )


def changes(comparison: Comparison) -> list[Difference]:
    """All differences but the unchanged ones, the most important first."""
    return [item for verdict in VERDICTS[:-1] for item in comparison.with_verdict(verdict)]


def comparison_notes(comparison: Comparison) -> list[str]:
    """What failed or was not compared, with ids, and the number of each verdict."""
    lines = [*map(failed_line, comparison.failed)]
    lines += [f"code: {text}" for text in code_texts(comparison)]
    lines += _only_in(comparison.base, comparison.only_in_base)
    lines += _only_in(comparison.new, comparison.only_in_new)
    lines += other_notes(comparison)
    return [*lines, f"base {comparison.base}, new {comparison.new}: {counts_text(comparison)}"]


def _only_in(run: str, cells: Sequence[str]) -> list[str]:
    """A line for each cell that the other run lacks; only their number if they are many."""
    if len(cells) <= LISTED:
        return [f"only in {run}: {cell}" for cell in cells]
    return [f"only in {run}: {number_of(len(cells), 'cell')}, the first is {cells[0]}"]


def other_notes(comparison: Comparison) -> list[str]:
    """What could not be compared and why, and what differs between the runs."""
    lines = []
    if comparison.base == comparison.new:
        lines.append("both sides are the same run, so nothing was measured a second time")
    if comparison.ambiguous:
        lines.append(f"not joined: {AMBIGUOUS}: {', '.join(comparison.ambiguous)}")
    lines += _not_judged(comparison.not_judged)
    lines += [f"different: {text}" for text in comparison.unlike]
    lines += [f"not compared: {comparison.not_compared}"] if comparison.not_compared else []
    if comparison.of_other_kernels:
        names = ", ".join(comparison.of_other_kernels)
        lines.append(f"not compared: {names}: {OTHER_KERNELS}")
    lines += [
        f"not interleaved: {run}: its rounds do not show how the machine drifts, so the "
        f"thresholds of noisy metrics are {DRIFT} times as high"
        for run in comparison.not_interleaved
    ]
    return lines


def _not_judged(reasons: Mapping[str, str]) -> list[str]:
    """A line for each cell of which the base lacks a result; only their number if they are many."""
    lines = [f"{cell}: the base has {why}" for cell, why in reasons.items()]
    if len(lines) > LISTED:
        lines = [f"{number_of(len(lines), 'cell')}, the first is {lines[0]}"]
    return [one_line(f"not judged: {line}") for line in lines]


def counts_text(comparison: Comparison) -> str:
    """The number of metrics of each verdict, and of cells that one side lacks."""
    parts = [
        f"{count} {verdict}"
        for verdict, count in comparison.counts.items()
        if count or verdict != "accepted"
    ]
    if comparison.failed:
        cells = len({item.cell for item in comparison.failed})
        parts.append(f"more rounds failed in {number_of(cells, 'cell')}")
    if comparison.only_in_base:
        parts.append(f"{number_of(len(comparison.only_in_base), 'cell')} only in the base")
    if comparison.only_in_new:
        parts.append(f"{number_of(len(comparison.only_in_new), 'cell')} new")
    return ", ".join(parts)


def code_texts(comparison: Comparison) -> list[str]:
    """Which files of the user's code changed, and in how many cells."""
    return [
        f"{change}, in {number_of(count, 'cell')}"
        for change, count in comparison.code_changes.items()
    ]


def difference_line(item: Difference) -> str:
    """A metric before and after, and the size of the change."""
    before, after = (_text(item.metric, value) for value in (item.base, item.new))
    inside = "; ".join(filter(None, [size_of(item), accepted_text(item), more_rounds_text(item)]))
    change = f" ({inside})" if inside else ""
    return one_line(f"{item.verdict}: {item.cell}: {item.metric}: {before} → {after}{change}")


def size_of(item: Difference) -> str:
    """The ratio with its interval, or why there is none."""
    if item.ratio is not None and item.lower is not None and item.upper is not None:
        values = [value for value in (item.base, item.new) if value is not None]
        note = metrics.BY_NAME[item.metric].ratio_note(*values)
        bounds = f"{ratio(item.lower)} … {ratio(item.upper)}"
        return f"{ratio(item.ratio)}, {bounds}{f'; {note}' if note else ''}"
    if metrics.BY_NAME[item.metric].kind == "exact" and item.base > 0 and item.new is not None:
        return exact_size(item.base, item.new)
    return item.reason


def exact_size(base: float, new: float) -> str:
    """The ratio of two values that differ."""
    size = ratio(new / base)
    return size if size != ratio(1.0) else "less than 0.5 %"


def _text(metric: str, value: float | None) -> str:
    if value is None:
        return "not measured"
    described = metrics.BY_NAME[metric]
    return (
        quantity(value, described.unit) if described.kind == "noisy" else exact_text(metric, value)
    )
