"""How often an interval misses the truth, and how often equal things are called different.

Numbers are drawn, seeded, and given to the code that decides: the intervals of a page, its cards,
`bench compare` over a whole suite, `bench ab`, a history that grows run by run, a search among
equal candidates, boards of a fleet, and accuracies over seeds. The truth is known.
`benchmarks/gate.py` shows how often each gate finds a true change, and what its kinds of noise are.

    python -m benchmarks.error_rates [--times 1000] [--only coverage cards ...]
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from statistics import median

from benchmarks.gate import CELLS, NOISES, Noise
from ondevice_bench import metrics
from ondevice_bench.analyse import compare, history
from ondevice_bench.analyse.cell_pair import CellPair
from ondevice_bench.analyse.change_points import find_change_points
from ondevice_bench.analyse.choice import PEAK, STEP, fewest, proven_direction
from ondevice_bench.analyse.family import MOST_PROCESSES, outside, unlike
from ondevice_bench.analyse.kept_accuracy import POINT, verdict
from ondevice_bench.analyse.ratios import ratio
from ondevice_bench.recommend.race import Race
from ondevice_bench.stats import Estimate, estimate, estimate_readings, relative_precision, shift
from ondevice_bench.suite.suite import Sampling

WITHIN = 0.02  # how far the steps of one process differ
SAMPLES = 10  # of one process
METHODS = 11  # beside the baseline
CLAIMS = 3 * CELLS  # of a comparison: three noisy metrics of each cell
AB_ROUNDS = 400
FIRST_RUNS, RUNS, RUNS_OF_PROCESSES = 14, 60, 5
BOARDS = 5  # of a fleet
SLOWER = (1.2, 1.3, 1.5, 2.0)  # the pace of one of them
POINTS = 0.02  # how far the differences of two trainings differ from seed to seed
Draw = Callable[[random.Random], float]


def main() -> None:
    """Print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=1000, help="draws of each row")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    said = parser.parse_args()
    for name in said.only:
        began = time.monotonic()
        title, part = PARTS[name]
        print(f"\n{name}: {title}")
        for row in part(said.times):
            print(f"  {row}", flush=True)
        print(f"  ({time.monotonic() - began:.0f} s)")


def _coverage(times: int) -> Iterator[str]:
    """How often the interval holds the median of all processes, and of the samples of one."""
    for name in ("long", "quiet", "outliers", "bimodal"):
        dice = random.Random(f"coverage {name}")
        draw = NOISES[name].process
        true = median(draw(dice) for _ in range(100_000))
        found = {
            f"{count} processes": [
                _holds(estimate(_rounds(draw, count, dice)), true) for _ in range(times)
            ]
            for count in (1, 2, 3, 5, 8)
        } | {
            f"{count} readings": [
                _holds(estimate([[draw(dice)] for _ in range(count)]), true) for _ in range(times)
            ]
            for count in (3, 5, 6, 10)
        }
        yield f"{name:9} " + ", ".join(f"{what} {_share(hits)}" for what, hits in found.items())
    for title, draw in (
        ("steps of one process differ by 5 % (sd)", _even(0.05)),
        ("by 10 %", _even(0.1)),
        ("by 10 %, one in ten up to three times as slow", NOISES["outliers"].process),
    ):
        dice = random.Random(title)
        true = median(draw(dice) for _ in range(100_000))
        hits = [_holds(estimate([_until_precise(draw, dice)]), true) for _ in range(times)]
        yield f"one process until it is precise to 2 %, {title}: {_share(hits)}"


def _rounds(draw: Draw, count: int, dice: random.Random) -> list[list[float]]:
    """The samples of so many processes, each with a speed of its own."""
    return [
        [level * dice.lognormvariate(0, WITHIN) for _ in range(SAMPLES)]
        for level in (draw(dice) for _ in range(count))
    ]


def _until_precise(draw: Draw, dice: random.Random) -> list[float]:
    """Samples until their median is precise enough, as the pass `time` takes them."""
    sampling, samples = Sampling(), list[float]()
    while len(samples) < sampling.max_samples:
        samples.append(draw(dice))
        is_enough = len(samples) >= sampling.min_samples
        if is_enough and relative_precision(samples) <= sampling.precision:
            break
    return samples


def _holds(found: Estimate, true: float) -> bool:
    return (
        found.lower is not None and found.upper is not None and found.lower <= true <= found.upper
    )


def _cards(times: int) -> Iterator[str]:
    """Pages of equal methods: how many are called less or more than the baseline."""
    for metric, noises in (
        (STEP, {name: NOISES[name].process for name in ("long", "quiet", "outliers", "bimodal")}),
        (
            PEAK,
            {
                "peaks of processes differ by 2.5 % (sd)": _even(0.025),
                "by 5 %": _even(0.05),
                "by 7 %": _even(0.07),
                "by 10 %": _even(0.1),
                "half of them are 12 % larger": NOISES["bimodal"].process,
            },
        ),
    ):
        for name, draw in noises.items():
            dice = random.Random(f"cards {metric} {name}")
            called: Counter[str] = Counter()
            pages = 0
            for _ in range(times):
                said = _page(metric, draw, dice)
                called.update(said)
                pages += "less" in said
            total = times * METHODS
            yield (
                f"{metric}, {fewest(metric)} processes, {name}: of {total} methods "
                f"{called['less']} less, {called['more']} more; a card is wrong on {pages} of "
                f"{times} pages of {METHODS} methods"
            )


def _page(metric: str, draw: Draw, dice: random.Random) -> list[str]:
    """What a page says of each of the methods, which are equal to the baseline."""
    count = fewest(metric)

    def measured() -> Estimate:
        if metric == PEAK:
            return estimate([[draw(dice)] for _ in range(count)])
        return estimate(_rounds(draw, count, dice))

    base = measured()
    return [
        proven_direction(ratio(metric, measured(), base), metric, count) for _ in range(METHODS)
    ]


def _compare(times: int) -> Iterator[str]:
    """Two runs of equal code, each with three noisy metrics of each cell."""
    threshold = metrics.BY_NAME[STEP].threshold
    confidence = 1 - (1 - compare.CONFIDENCE) / CLAIMS
    for rounds in (8, 20):
        for name, noise in NOISES.items():
            dice = random.Random(f"compare {rounds} {name}")
            wrong = sum(
                _claims(noise, rounds, threshold, confidence, dice) for _ in range(times // 10)
            )
            yield f"{rounds} rounds, {name}: a false claim in {wrong} of {times // 10} comparisons"


def _claims(
    noise: Noise, rounds: int, threshold: float, confidence: float, dice: random.Random
) -> bool:
    """Whether any metric is called changed. The level of a run is that of all its cells."""
    one, other = (dice.lognormvariate(0, noise.run) for _ in range(2))
    other *= 1 + noise.drift / 2  # of a drift, the second run has the later half
    directions = [
        shift(
            [one * noise.process(dice) for _ in range(rounds)],
            [other * noise.process(dice) for _ in range(rounds)],
            threshold,
            confidence,
        ).direction
        for _ in range(CLAIMS)
    ]
    return bool({"less", "more"} & set(directions))


def _ab(times: int) -> Iterator[str]:
    """One cell in turn, looked at until it is decided, with other thresholds than the default."""
    for threshold, change in ((0.02, 0.0), (0.02, 0.02), (0.02, 0.05), (0.005, 0.0)):
        for name in ("turns", "quiet", "bimodal"):
            dice = random.Random(f"ab {threshold} {change} {name}")
            pairs = [_pair(NOISES[name], threshold, change, dice) for _ in range(times // 4)]
            said = Counter(pair.step_verdict for pair in pairs)
            shown = [pair.step.ratio - 1 for pair in pairs if pair.step_verdict == "regressed"]
            yield (
                f"threshold {threshold:.1%}, true change {change:.1%}, {name}: "
                f"{said['regressed']} regressed, {said['improved']} improved, "
                f"{said['unchanged']} unchanged of {times // 4}"
                + (f"; the median slow-down shown is {median(shown):.1%}" if shown else "")
            )


def _pair(noise: Noise, threshold: float, change: float, dice: random.Random) -> CellPair:
    pair = CellPair("drawn", "base", "new")
    while pair.is_open and len(pair.base) < AB_ROUNDS:
        pair.add_round(noise.process(dice), (1 + change) * noise.process(dice), threshold)
    return pair


def _history(times: int) -> Iterator[str]:
    """One series of equal code, judged after each new run: whether it was ever called changed."""
    for name in ("turns", "quiet", "outliers", "moody"):
        dice = random.Random(f"history {name}")
        steps = waits = 0
        for _ in range(times // 10):
            kinds = _grown(NOISES[name], dice)
            steps += "stepped" in kinds or "drifts" in kinds
            waits += "pending" in kinds
        yield (
            f"{name}: in {RUNS} runs, {steps} of {times // 10} series were ever called changed, "
            f"{waits} ever not yet confirmed"
        )


def _grown(noise: Noise, dice: random.Random) -> set[str]:
    """All that was said of a series while it grew."""
    readings: list[float] = []
    said: set[str] = set()
    while len(readings) < RUNS:
        level = dice.lognormvariate(0, noise.run)
        readings.append(level * median(noise.process(dice) for _ in range(RUNS_OF_PROCESSES)))
        if len(readings) >= FIRST_RUNS:
            confidence = 1 - (1 - history.CONFIDENCE) / (len(readings) - 1)
            said |= {p.kind for p in find_change_points(readings, history.THRESHOLD, confidence)}
    return said


class _Equal:
    """Candidates that cost the same."""

    def __init__(self, noise: Noise, dice: random.Random) -> None:
        self._noise, self._dice = noise, dice

    def reading(self, name: str, number: int) -> float:
        return self._noise.process(self._dice)

    def is_stored(self, name: str, number: int) -> bool:
        return False

    def meets_limits(self, name: str) -> bool:
        return True

    def enters_final(self, name: str) -> bool:
        return True

    def confirms(self, name: str) -> bool:
        return True


def _search(times: int) -> Iterator[str]:
    """Searches among equal candidates: whether any of them is called costlier, by proof."""
    threshold = metrics.BY_NAME[STEP].threshold
    for candidates in (2, 4, 8):
        for name in ("turns", "long", "quiet", "bimodal"):
            dice = random.Random(f"search {candidates} {name}")
            names = [f"m{number}" for number in range(candidates)]
            races = [
                Race(names, _Equal(NOISES[name], dice), threshold=threshold).run()
                for _ in range(times // 4)
            ]
            wrong = sum("proven" in race.behind.values() for race in races)
            rounds = median(race.rounds for race in races)
            true = median(NOISES[name].process(dice) for _ in range(20_001))
            shown = median(race.cost(race.leader) for race in races if race.leader) / true
            yield (
                f"{candidates} equal candidates, {name}: in {wrong} of {len(races)} searches one "
                f"is proven to cost more; {rounds:.0f} rounds; the cost of the winner is shown as "
                f"{shown:.3f} of the true one"
            )


def _accuracy(times: int) -> Iterator[str]:
    """What is said of a method by its seeds. Exactly one point below the baseline is the limit."""
    for true in (0.0, -POINT, -3 * POINT):
        dice = random.Random(f"accuracy {true}")
        for seeds in (2, 3, 4, 5, 6, 12):
            said = Counter(
                verdict(estimate_readings([dice.gauss(true, POINTS) for _ in range(seeds)], ""))
                for _ in range(times)
            )
            yield (
                f"true difference {100 * true:+.0f} points, {seeds} seeds: kept {said['kept']}, "
                f"lost {said['lost']}, not decided {said['unsure']} of {times}"
            )


def _family(times: int) -> Iterator[str]:
    """Boards of one kind: whether one is lost; and whether a slower one among them is found."""
    for name in ("long", "turns", "quiet", "outliers", "bimodal"):
        dice = random.Random(f"family {name}")
        draw = NOISES[name].process
        equal = [_out_of_family(draw, [1.0] * BOARDS, dice) for _ in range(times)]
        lost = sum(bool(found) for found, _ in equal)
        processes = sum(needed for _, needed in equal) / times
        yield (
            f"{name}: {BOARDS} equal boards: one is out of family in {lost} of {times} fleets; "
            f"{processes:.1f} processes of each"
        )
        for slower in SLOWER:
            paces = [1.0] * (BOARDS - 1) + [slower]
            found = sum(BOARDS - 1 in _out_of_family(draw, paces, dice)[0] for _ in range(times))
            yield f"{name}: a board that is {slower - 1:.0%} slower is found in {found} of {times}"


def _out_of_family(
    draw: Draw, paces: Sequence[float], dice: random.Random
) -> tuple[Collection[int], int]:
    """The boards that are lost, and how many processes each board measured to know it."""
    seconds: dict[int, list[float]] = {board: [] for board in range(len(paces))}
    while True:
        for board, pace in enumerate(paces):
            seconds[board].append(pace * median(_rounds(draw, 1, dice)[0]))
        if not unlike(seconds) or len(seconds[0]) == MOST_PROCESSES:
            return outside(seconds).keys(), len(seconds[0])


def _even(spread: float) -> Draw:
    return lambda dice: dice.lognormvariate(0, spread)


def _share(hits: Sequence[bool]) -> str:
    return f"{sum(hits) / len(hits):.1%}"


PARTS: dict[str, tuple[str, Callable[[int], Iterator[str]]]] = {
    "coverage": ("how often an interval of a page holds the true median", _coverage),
    "cards": ("equal methods that a page calls proven", _cards),
    "compare": ("`bench compare`, a whole suite of equal code", _compare),
    "ab": ("`bench ab`, one cell, until it is decided", _ab),
    "history": ("`bench history`, after each new run", _history),
    "search": ("`bench recommend`, equal candidates", _search),
    "family": ("boards of a fleet, equal or one of them slower", _family),
    "accuracy": ("accuracies over seeds that differ by two points (sd)", _accuracy),
}


if __name__ == "__main__":
    main()
