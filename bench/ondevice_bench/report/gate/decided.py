"""What a gate could decide at all, in words: of how many cells, and of the run as a whole."""

from ondevice_bench.analyse.comparison import Comparison, Decided, WholeRunChange
from ondevice_bench.units import number_of, ratio


def decision_lines(comparison: Comparison) -> list[str]:
    """What is worse in the whole run, and how many cells have a verdict, if not all of them."""
    return [*map(whole_run_text, comparison.whole_run), *_undecided(comparison.decided)]


def why_not_decided(comparison: Comparison) -> tuple[str, ...]:
    """What keeps the whole comparison from a decision."""
    is_blind = comparison.decided.is_blind
    return (
        *map(whole_run_text, comparison.whole_run),
        *([decided_text(comparison.decided)] if is_blind else []),
    )


def whole_run_text(change: WholeRunChange) -> str:
    """By how much the whole run is worse."""
    cells = f"{number_of(change.cells, 'cell')}, {ratio(change.lowest)} … {ratio(change.highest)}"
    return (
        f"the whole run is slower, {change.metric} {ratio(change.ratio)} ({cells}): the machine, "
        "torch or code that all cells share, not one method. `bench ab` can tell them apart"
    )


def decided_text(decided: Decided) -> str:
    """How many cells have a verdict on a time, and what that means if none has."""
    text = f"{decided.cells} of {number_of(decided.of, 'cell')} could be decided by their times"
    if decided.is_blind:
        return f"{text}: this gate cannot see a slow-down on this machine with these rounds"
    return text


def _undecided(decided: Decided) -> list[str]:
    return [] if decided.cells == decided.of else [decided_text(decided)]
