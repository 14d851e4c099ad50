"""How many rounds, and how much time, `bench ab` would need to decide the open pairs.

These are estimates: they assume that an interval narrows with the root of the number of rounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from ondevice_bench.analyse.cell_pair import FEWEST, LAST_LOOK, CellPair, confidence_of
from ondevice_bench.stats import fewest_pairs, is_look, rounds_to_decide


@dataclass(frozen=True)
class BudgetNeeded:
    """The rounds that each open pair needs, by name, and the seconds that all of them take.

    A pair has None if its ratio lies on the threshold: no number of rounds would surely decide it.
    `seconds` is None if no round was taken: then the time of a round is unknown.
    """

    rounds: dict[str, int | None]
    seconds: float | None


def budget_needed(pairs: Sequence[CellPair], threshold: float) -> BudgetNeeded:
    """The rounds and the time that the open pairs still need."""
    rounds = {pair.name: _rounds(pair, threshold, len(pairs)) for pair in pairs if pair.is_open}
    taken, spent = sum(len(pair.base) for pair in pairs), sum(pair.seconds for pair in pairs)
    if not taken or not spent:
        return BudgetNeeded(rounds, None)
    by_name = {pair.name: pair for pair in pairs}
    missing = 0.0
    for name, needed in rounds.items():
        pair = by_name[name]
        one = pair.seconds / len(pair.base) if pair.base else spent / taken
        missing += one * max(0, (needed or 0) - len(pair.base))
    return BudgetNeeded(rounds, spent + missing)


def _rounds(pair: CellPair, threshold: float, pairs: int) -> int | None:
    if pair.step is None or pair.step.upper == inf:
        needed: int | None = max(FEWEST, fewest_pairs(confidence_of(pairs)))
    else:
        needed = rounds_to_decide(pair.step, pair.judged, threshold)
    if needed is None or needed > LAST_LOOK:
        return None
    needed = max(needed, len(pair.base) + 1)
    return next(n for n in range(needed, LAST_LOOK + 1) if is_look(n, FEWEST))
