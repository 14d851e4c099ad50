"""A history in words, equal in the terminal and on the page."""

from ondevice_bench import metrics, units
from ondevice_bench.analyse.history import History
from ondevice_bench.analyse.series import HistoryChange, Series
from ondevice_bench.record.origin import commit_text
from ondevice_bench.report.quantities import exact_text
from ondevice_bench.units import number_of

SHORT = 7  # digits of a short commit


def order_text(history: History) -> str:
    """The number of runs, and their order."""
    order = "by their commits in this repository, then by time"
    if not history.by_commits:
        order = "by time alone: this repository does not have all of their commits"
    return f"{number_of(len(history.runs), 'run')}, ordered {order}"


def counts_text(history: History) -> str:
    """How many changes there are, and how many series have none."""
    changes = [change for _, change in history.changes if change.kind != "pending"]
    better = sum(change.is_better for change in changes)
    calm = sum(not series.changes and not series.why_not for series in history.series)
    return (
        f"{number_of(len(changes) - better, 'change')} for the worse, {better} for the better; "
        f"no change seen in {calm} of {len(history.series)} series"
    )


def series_text(series: Series) -> str:
    """A series in a few words."""
    if series.why_not:
        return series.why_not
    kinds = [change.kind for change in series.changes]
    counts = {kind: kinds.count(kind) for kind in ("changed", "stepped", "drifts")}
    words = [
        kind if count == 1 else f"{kind} {count} times" for kind, count in counts.items() if count
    ]
    words += ["perhaps stepped"] if "pending" in kinds else []
    return ", ".join(words) or "no change seen"


def change_text(series: Series, change: HistoryChange) -> str:
    """A change as a sentence, without the cell."""
    metric = metrics.BY_NAME[series.metric]
    where = f"{metric.label} on {series.machine}"
    before, after = (short_commit(point.run.commit) for point in (change.before, change.after))
    between = f"somewhere between {before} and {after}"
    if before == after:  # the same commit, perhaps with different uncommitted changes
        between = f"at {before}, between {change.before.run.id} and {change.after.run.id}"
    direction = "better" if change.is_better else "worse"
    causes = "; ".join(change.causes)
    if change.kind == "changed":
        ends = (change.before, change.after)
        old, new = (exact_text(metric.name, point.estimate.estimate) for point in ends)
        return f"{where} changed for the {direction}, {between}: {old} → {new}; {causes}"
    assert change.ratio is not None
    size = units.ratio(change.ratio)
    if change.lower is not None and change.upper is not None:
        size += f" ({units.ratio(change.lower)} … {units.ratio(change.upper)})"
    if change.kind == "drifts":
        return f"{where} drifts to {size} from {before} to {after}: a slow change, not one step"
    if change.kind == "pending":
        runs = f"{change.needs} more run{'s' * (change.needs > 1)}"
        return f"{where}: {size} since {after}, not yet confirmed: it needs at least {runs}"
    return f"{where} became {direction}, {between}, {size}; perhaps {causes}"


def short_commit(commit: str) -> str:
    """The first digits of a commit, with a plus if there were uncommitted changes; or "none"."""
    head, plus, _ = commit_text(commit).partition("+")
    return f"{head[:SHORT]}{plus}"
