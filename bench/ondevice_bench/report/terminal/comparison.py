"""Two runs against each other, in the terminal."""

from ondevice_bench import metrics
from ondevice_bench.analyse.compare import DRIFT, Comparison, Difference
from ondevice_bench.analyse.judgement import Verdict
from ondevice_bench.report.quantities import exact_text
from ondevice_bench.units import quantity, ratio

VERDICTS: tuple[Verdict, ...] = ("regressed", "improved", "missing", "inconclusive", "unchanged")


def comparison_lines(comparison: Comparison) -> list[str]:
    """What changed, then what could not be compared, then how many have each verdict."""
    lines = [
        difference_line(item)
        for verdict in VERDICTS[:-1]
        for item in comparison.with_verdict(verdict)
    ]
    lines += [f"only in {comparison.base}: {cell}" for cell in comparison.only_in_base]
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
    return f"{item.verdict}: {item.cell}: {item.metric}: {before} → {after}{_interval(item)}"


def _interval(item: Difference) -> str:
    if item.lower is not None and item.upper is not None and item.new is not None:
        return f" ({ratio(item.new / item.base)}, {ratio(item.lower)} … {ratio(item.upper)})"
    return f" ({item.reason})" if item.reason else ""


def _text(metric: str, value: float | None) -> str:
    if value is None:
        return "not measured"
    described = metrics.BY_NAME[metric]
    return (
        quantity(value, described.unit) if described.kind == "noisy" else exact_text(metric, value)
    )
