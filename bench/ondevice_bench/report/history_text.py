"""A history in words, the same in the terminal and on the page."""

from ondevice_bench import metrics, units
from ondevice_bench.analyse.history import History, HistoryChange, Series
from ondevice_bench.report.quantities import exact_text

SHORT = 7  # digits of a commit that people say


def order_text(history: History) -> str:
    """How many runs there are, and how they are ordered."""
    order = "by their commits in this repository, then by time"
    if not history.by_commits:
        order = "by time alone: this repository does not have all of their commits"
    return f"{len(history.runs)} runs, ordered {order}"


def series_text(series: Series) -> str:
    """A series in a few words."""
    if series.why_not:
        return series.why_not
    kinds = [finding.kind for finding in series.findings]
    counts = {kind: kinds.count(kind) for kind in ("changed", "stepped", "drifts")}
    words = [
        kind if count == 1 else f"{kind} {count} times" for kind, count in counts.items() if count
    ]
    words += ["perhaps stepped"] if "pending" in kinds else []
    return ", ".join(words) or "no change seen"


def finding_text(series: Series, finding: HistoryChange) -> str:
    """A finding as a sentence, without the cell."""
    metric = metrics.BY_NAME[series.metric]
    where = f"{metric.label} on {series.machine}"
    before, after = (short_commit(point.run.commit) for point in (finding.before, finding.after))
    between = f"somewhere between {before} and {after}"
    if before == after:  # both are of one commit, perhaps with different changes beyond it
        between = f"at {before}, between {finding.before.run.id} and {finding.after.run.id}"
    direction = "better" if finding.is_better else "worse"
    causes = "; ".join(finding.causes)
    if finding.kind == "changed":
        ends = (finding.before, finding.after)
        old, new = (exact_text(metric.name, point.estimate.estimate) for point in ends)
        return f"{where} changed for the {direction}, {between}: {old} → {new}; {causes}"
    assert finding.ratio is not None
    size = units.change(finding.ratio, finding.lower, finding.upper)
    if finding.kind == "drifts":
        return f"{where} drifts by {size} from {before} to {after}, without a single step"
    if finding.kind == "pending":
        runs = f"{finding.needs} more run{'s' * (finding.needs > 1)}"
        return f"{where}: {size} since {after}, not yet confirmed: {runs} at least are needed"
    return f"{where} became {direction}, {between}, {size}; perhaps {causes}"


def short_commit(commit: str) -> str:
    """A commit's first digits, and a plus where there were changes."""
    head, plus, _ = commit.partition("+")
    return f"{head[:SHORT]}{plus}"
