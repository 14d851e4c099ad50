"""A change of a metric in a few words, for the tables of a site."""

from ondevice_bench import units
from ondevice_bench.analyse.series import HistoryChange
from ondevice_bench.report.quantities import exact_text
from ondevice_bench.units import number_of


def kind_text(change: HistoryChange) -> str:
    """What happened: `changed for the worse`, `became worse`, or that it is not sure yet."""
    word = "better" if change.is_better else "worse"
    match change.kind:
        case "changed":
            return f"changed for the {word}"
        case "stepped":
            return f"became {word}"
        case "drifts":
            return f"drifts slowly, for the {word}"
        case _:
            return f"not yet confirmed: needs {number_of(change.needs, 'more run')}"


def size_text(metric: str, change: HistoryChange) -> str:
    """How much: both values of an exact metric, or the ratio of a noisy one with its interval."""
    if change.kind == "changed":
        old, new = (p.estimate.estimate for p in (change.before, change.after))
        return f"{exact_text(metric, old)} → {exact_text(metric, new)}"
    if change.ratio is None:
        return ""
    size = units.ratio(change.ratio)
    if change.lower is None or change.upper is None:
        return size
    return f"{size} ({units.ratio(change.lower)} … {units.ratio(change.upper)})"
