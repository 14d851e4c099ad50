"""How often each gate claims a change that is not there, and how often it finds a true one.

Step times are drawn, seeded, with a change that is known, under several kinds of noise, and given
to the code that decides: in `bench ab` (rounds in turn, looked at now and then; one cell, or a
suite of which one cell changed), in `bench compare` (two runs, one after the other) and in
`bench history` (forty runs, changed after the twentieth).

    python benchmarks/gate.py [--quick] [--comparisons 300] [--noise quiet ...]
"""

import argparse
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from statistics import median

from ondevice_bench import metrics
from ondevice_bench.ab.comparison import next_pairs
from ondevice_bench.analyse import compare, history
from ondevice_bench.analyse.cell_pair import MOST_ROUNDS, CellPair
from ondevice_bench.analyse.change_points import find_change_points
from ondevice_bench.stats import shift

CHANGES = (0.0, 0.02, 0.05, 0.10)
THRESHOLD = 0.02  # of `bench ab` and `bench history`, unless told otherwise
MOST_FALSE, LEAST_FOUND = 0.01, 0.95  # the goals: of equal code, and of 5 % where time suffices
AB = "bench ab, one cell, at most {} rounds"
CELLS = 22  # of `regression`
ROUNDS_OF_A_SUITE = (120, 450, 900)  # 10, 38 and 76 minutes where a round takes 5 s
ROUNDS_OF_COMPARE = 20
RUNS, ROUNDS_OF_A_RUN, CHANGED_FROM = 40, 5, 20


@dataclass(frozen=True)
class Noise:
    """How steps of one and the same code differ.

    `process`: from one process to the next. `run`: from one run to the next, the same for all its
    processes. `drift`: what a machine becomes slower by in the course of a whole comparison.
    """

    title: str
    process: Callable[[random.Random], float]
    run: float = 0.0
    drift: float = 0.0


def _even(spread: float) -> Callable[[random.Random], float]:
    return lambda dice: dice.lognormvariate(0, spread)


def _quiet(dice: random.Random) -> float:
    """As short steps of processes one after the other vary: equal ones by 15 % (sd)."""
    return dice.lognormvariate(0, 0.07 if dice.random() < 0.93 else 0.3)


def _outliers(dice: random.Random) -> float:
    slow = dice.uniform(1.2, 3) if dice.random() < 0.1 else 1
    return slow * dice.lognormvariate(0, 0.02)


def _two_modes(dice: random.Random) -> float:
    return (1.12 if dice.random() < 0.5 else 1) * dice.lognormvariate(0, 0.01)


NOISES = {
    "turns": Noise("short steps in turn: equal rounds differ by 5 %", _even(0.035)),
    "long": Noise("long steps: processes differ by 2 %", _even(0.02)),
    "quiet": Noise("short steps on a quiet machine: equal ones differ by 15 %", _quiet),
    "outliers": Noise("2 %, and one process in ten is up to three times as slow", _outliers),
    "bimodal": Noise("1 %, and half of the processes, at random, are 12 % slower", _two_modes),
    "drift": Noise("2 %, and the machine becomes 10 % slower meanwhile", _even(0.02), drift=0.1),
    "moody": Noise("2 %, and each run has a level of its own, 2 % apart", _even(0.02), run=0.02),
}


@dataclass(frozen=True)
class Outcome:
    """What a gate said of one comparison: a slow-down, a speed-up, or nothing; and its rounds."""

    slower: bool
    faster: bool
    rounds: int


def main() -> None:
    """Print a table for each gate, and the goals that it misses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=300)
    parser.add_argument("--rounds", type=int, nargs="+", default=[100, MOST_ROUNDS])
    parser.add_argument("--noise", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument("--quick", action="store_true", help="fewer comparisons, fewer rounds")
    said = parser.parse_args()
    count = 40 if said.quick else said.comparisons
    gates = (
        {AB.format(rounds): _ab(rounds) for rounds in ([100] if said.quick else said.rounds)}
        | {
            f"bench ab, one of {CELLS} cells, {rounds} rounds in all": _ab_of_a_suite(rounds)
            for rounds in ROUNDS_OF_A_SUITE[: 1 if said.quick else None]
        }
        | {
            f"bench compare, {ROUNDS_OF_COMPARE} rounds in each run": _compare,
            f"bench history, {RUNS} runs of {ROUNDS_OF_A_RUN} rounds": _history,
        }
    )
    began, missed = time.monotonic(), []
    for title, gate in gates.items():
        print(f"\n{title}; {count} comparisons each")
        print(f"{'noise':10} {'equal code':>22} " + " ".join(f"{c:>14.0%}" for c in CHANGES[1:]))
        for name in said.noise:
            found = {change: list(_outcomes(gate, name, change, count)) for change in CHANGES}
            print(_row(name, found), flush=True)
            false = sum(one.slower or one.faster for one in found[0.0]) / count
            if false > MOST_FALSE:
                missed.append(f"{title}, {name}: {false:.1%} of equal code was called changed")
            seen = sum(one.slower for one in found[0.05]) / count
            if title == AB.format(MOST_ROUNDS) and seen < LEAST_FOUND:
                missed.append(f"{title}, {name}: {seen:.1%} of steps of 5 % were found")
    print(f"\n{time.monotonic() - began:.0f} s")
    for name in said.noise:
        print(f"{name}: {NOISES[name].title}")
    for line in missed:
        print(f"goal missed: {line}")


Gate = Callable[[Noise, float, random.Random], Outcome]


def _outcomes(gate: Gate, noise: str, change: float, count: int) -> Iterator[Outcome]:
    for number in range(count):
        yield gate(NOISES[noise], change, random.Random(f"{noise} {change} {number}"))


def _row(name: str, found: dict[float, list[Outcome]]) -> str:
    equal = found[0.0]
    slower, faster = sum(one.slower for one in equal), sum(one.faster for one in equal)
    cells = [f"{slower} slower, {faster} faster"]
    for change in CHANGES[1:]:
        seen = [one for one in found[change] if one.slower]
        wrong = sum(one.faster for one in found[change])
        rounds = f" in {median(one.rounds for one in seen):.0f}" if seen else ""
        cells.append(f"{len(seen)}{rounds}{f', {wrong} wrong' if wrong else ''}")
    return f"{name:10} {cells[0]:>22} " + " ".join(f"{cell:>14}" for cell in cells[1:])


def _ab(rounds: int) -> Gate:
    """Rounds in turn until there is a verdict, or no time."""

    def gate(noise: Noise, change: float, dice: random.Random) -> Outcome:
        pair = CellPair("drawn", "base", "new")
        paces = _paces(noise, dice, 2 * rounds)
        while pair.is_open and len(pair.base) < rounds:
            _add_round(pair, change, paces)
        verdict = pair.step_verdict
        return Outcome(verdict == "regressed", verdict == "improved", len(pair.base))

    return gate


def _ab_of_a_suite(rounds: int) -> Gate:
    """The same, shared by the cells of a suite; a claim on another than the first is wrong."""

    def gate(noise: Noise, change: float, dice: random.Random) -> Outcome:
        changed, *equal = pairs = [CellPair(f"{n}", "base", "new") for n in range(CELLS)]
        paces, done = _paces(noise, dice, 2 * rounds), 0
        while waiting := [pair for pair in pairs if pair.is_open]:
            taken = next_pairs(waiting, THRESHOLD)
            dice.shuffle(taken)
            for pair in taken[: rounds - done]:
                _add_round(pair, change if pair is changed else 0.0, paces, CELLS)
                done += 1
            if done == rounds or (change and changed.step_verdict == "regressed"):
                break
        claimed = {pair.step_verdict for pair in equal} & {"regressed", "improved"}
        verdict = changed.step_verdict
        is_wrong = bool(claimed) or verdict == "improved"
        return Outcome(verdict == "regressed", is_wrong, len(changed.base))

    return gate


def _add_round(pair: CellPair, change: float, paces: Iterator[float], pairs: int = 1) -> None:
    """A round in turn: whoever goes first changes."""
    first, second = islice(paces, 2)
    base, new = (first, second) if len(pair.base) % 2 else (second, first)
    pair.add_round(base, (1 + change) * new, THRESHOLD, pairs)


def _compare(noise: Noise, change: float, dice: random.Random) -> Outcome:
    """Two runs, one after the other; one comparison, which is when the gate is least careful."""
    level = [dice.lognormvariate(0, noise.run) for _ in range(2)]
    paces = list(_paces(noise, dice, 2 * ROUNDS_OF_COMPARE))
    base = [level[0] * pace for pace in paces[:ROUNDS_OF_COMPARE]]
    new = [(1 + change) * level[1] * pace for pace in paces[ROUNDS_OF_COMPARE:]]
    threshold = metrics.BY_NAME["step_seconds"].threshold
    direction = shift(base, new, threshold, compare.CONFIDENCE).direction
    return Outcome(direction == "more", direction == "less", ROUNDS_OF_COMPARE)


def _history(noise: Noise, change: float, dice: random.Random) -> Outcome:
    """Runs one after the other; a true step counts where it is said to be within a run of it."""
    paces = _paces(noise, dice, RUNS * ROUNDS_OF_A_RUN)
    readings = []
    for number in range(RUNS):
        level = dice.lognormvariate(0, noise.run) * (1 + change * (number >= CHANGED_FROM))
        readings.append(level * median(islice(paces, ROUNDS_OF_A_RUN)))
    confidence = 1 - (1 - history.CONFIDENCE) / (RUNS - 1)
    found = [s for s in find_change_points(readings, THRESHOLD, confidence) if s.kind == "stepped"]
    if change:
        found = [step for step in found if abs(step.place - CHANGED_FROM) <= 1]
    slower, faster = (any((s.ratio > 1) == up for s in found) for up in (True, False))
    return Outcome(slower, faster, RUNS)


def _paces(noise: Noise, dice: random.Random, count: int) -> Iterator[float]:
    """Processes of equal code, one after the other."""
    for number in range(count):
        yield math.exp(noise.drift * number / count) * noise.process(dice)


if __name__ == "__main__":
    main()
