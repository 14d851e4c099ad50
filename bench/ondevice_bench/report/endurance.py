"""What a training without pause shows, in one sentence. The page and the terminal share it."""

from ondevice_bench import metrics, units
from ondevice_bench.analyse.summary import CellSummary
from ondevice_bench.report.sentences import SENTENCES
from ondevice_bench.stats import direction_of

RATIO, THROTTLED = "sustained_ratio", "throttled_after_seconds"
_NEVER = "did not throttle"
_KINDS = {"more": "slower", "less": "faster", "same": "steady", "unknown": "unsteady"}


def endurance(cell: CellSummary, label: str) -> str:
    """How fast the last minute was, and when the board throttled; empty without the pass."""
    found = cell.estimates.get(RATIO)
    if found is None:
        return ""
    lower, upper = found.lower, found.upper
    kind, interval = "unsteady", ""
    if lower is not None and upper is not None:
        threshold = metrics.BY_NAME[RATIO].threshold
        kind = _KINDS[direction_of(lower, upper, threshold)]
        if kind == "unsteady" and upper <= 1 + threshold:
            kind = "not slower"
        interval = f" ({lower:.2f} … {upper:.2f})"
    return SENTENCES[kind].format(
        cell=label, ratio=f"{found.estimate:.2f}", interval=interval, throttled=throttled(cell)
    )


def throttled(cell: CellSummary) -> str:
    """When the board first lowered its clock, and why."""
    after = cell.estimates.get(THROTTLED)
    if after is None:
        reason = cell.unavailable[THROTTLED]
        return reason if _NEVER in reason else f"whether it throttled is unknown: {reason}"
    causes = ", ".join(cell.details_of("sustained").sustained.throttled_by)
    why = f": {causes}" if causes else ""
    if not after.estimate:
        return f"it was throttled from the beginning{why}"
    return f"it throttled after {units.clock(after.estimate)}{why}"
