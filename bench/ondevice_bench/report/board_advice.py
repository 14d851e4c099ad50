"""What to run on each board, in one or two sentences: the answers before their table."""

from collections.abc import Sequence

from ondevice_bench import metrics
from ondevice_bench.analyse.choice import PEAK
from ondevice_bench.analyse.verdict import listing
from ondevice_bench.report.board_answers import BoardAnswer
from ondevice_bench.suite.goal import Goal

OnBoards = Sequence[BoardAnswer | None]  # None if the board did not measure the workload


def advice_on_boards(
    names: Sequence[str], asked: OnBoards, memory: OnBoards, goal: Goal, baseline: str
) -> tuple[str, ...]:
    """What to run for the goal, and if memory is short. Boards without an answer are left out."""
    sentences = [_for_goal(_answered(names, asked), goal, baseline)]
    if goal.minimise != PEAK:
        sentences.append(_for_memory(_answered(names, memory), baseline))
    return tuple(filter(None, sentences))


def _answered(names: Sequence[str], answers: OnBoards) -> list[tuple[str, BoardAnswer]]:
    return [(name, each) for name, each in zip(names, answers, strict=True) if each and each.method]


def _for_goal(answered: Sequence[tuple[str, BoardAnswer]], goal: Goal, baseline: str) -> str:
    """A method where it is proven to be lower, and the baseline on all other boards."""
    noun = metrics.BY_NAME[goal.minimise].noun
    better = [(name, each) for name, each in answered if each.cell and each.proof == "proven"]
    others = [name for name, each in answered if (name, each) not in better]
    parts = [
        f"run {method}: {numbers}" for method, numbers in _by_method(better, f"{baseline}'s {noun}")
    ]
    if others:
        where = listing(others)
        parts.append(f"run {baseline} on {where}: no method is proven to have a lower {noun} there")
    return f"For the goal, {'; '.join(parts)}." if parts else ""


def _for_memory(answered: Sequence[tuple[str, BoardAnswer]], baseline: str) -> str:
    """The method with the least memory on each board that has one below the baseline."""
    noun = metrics.BY_NAME[PEAK].noun
    lower = [(name, each) for name, each in answered if each.cell]
    parts = [
        f"run {method}: {numbers}" for method, numbers in _by_method(lower, f"{baseline}'s {noun}")
    ]
    return f"If memory is short, {'; '.join(parts)}." if parts else ""


def _by_method(answered: Sequence[tuple[str, BoardAnswer]], of_what: str) -> list[tuple[str, str]]:
    """Each method with its number on each board: what it is of is said once for each method."""
    methods: dict[str, list[str]] = {}
    for name, each in answered:
        numbers = methods.setdefault(each.method, [])
        of = "" if numbers else f" of {of_what}"
        proof = "" if "proven" in each.badges else " (not proven)"
        numbers.append(f"{each.number}{of} on {name}{proof}")
    return [(method, ", ".join(numbers)) for method, numbers in methods.items()]
