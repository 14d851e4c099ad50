"""A history in words, the same in the terminal and on the page."""

from ondevice_bench import units
from ondevice_bench.analyse.history import Finding, History, Series
from ondevice_bench.record import metrics
from ondevice_bench.report.quantities import exact

SHORT = 7  # digits of a commit that people say


def basis(found: History) -> str:
    """How many runs there are, and by what they are ordered."""
    by = "by their commits in this repository, then by time"
    if not found.by_commits:
        by = "by time alone: this repository does not have all of their commits"
    return f"{len(found.runs)} runs, ordered {by}"


def known(series: Series) -> str:
    """A series in a few words."""
    if series.why_not:
        return series.why_not
    kinds = [finding.kind for finding in series.findings]
    words = {"changed": "changed", "stepped": "stepped", "drifts": "drifts"}
    counted = [(word, kinds.count(kind)) for kind, word in words.items() if kind in kinds]
    told = [word if count == 1 else f"{word} {count} times" for word, count in counted]
    told += ["perhaps stepped"] if "pending" in kinds else []
    return ", ".join(told) or "no change seen"


def said(series: Series, finding: Finding) -> str:
    """A finding as a sentence, without the cell."""
    metric = metrics.BY_NAME[series.metric]
    where = f"{metric.label} on {series.machine}"
    before, after = (short(point.run.commit) for point in (finding.before, finding.after))
    between = f"somewhere between {before} and {after}"
    if before == after:  # both are of one commit, perhaps with unlike changes beyond it
        between = f"at {before}, between {finding.before.run.id} and {finding.after.run.id}"
    worse = "better" if finding.is_better else "worse"
    causes = "; ".join(finding.causes)
    if finding.kind == "changed":
        ends = (finding.before, finding.after)
        old, new = (exact(metric.name, point.estimate.estimate) for point in ends)
        return f"{where} changed for the {worse}, {between}: {old} → {new}; {causes}"
    assert finding.ratio is not None
    size = units.change(finding.ratio, finding.lower, finding.upper)
    if finding.kind == "drifts":
        return f"{where} drifts by {size} from {before} to {after}: no single place"
    if finding.kind == "pending":
        return (
            f"{where}: {size} since {after}, not yet confirmed: needs at least "
            f"{finding.needs} more run{'s' * (finding.needs > 1)} like the latest"
        )
    return f"{where} became {worse}, {between}, {size}; perhaps {causes}"


def short(commit: str) -> str:
    """A commit's first digits, and a plus where there were changes."""
    head, plus, _ = commit.partition("+")
    return f"{head[:SHORT]}{plus}"
