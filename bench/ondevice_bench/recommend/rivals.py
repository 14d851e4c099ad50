"""The rivals that an answer shows beside the winner, and what each does better. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ondevice_bench.recommend.question import PEAK, STEP
from ondevice_bench.recommend.way import Way
from ondevice_bench.stats import Estimate

MOST_RIVALS = 5
POINT = 0.01  # of accuracy
WORTH = 0.05  # a smaller share of the winner's memory is no gain

# what a rival may do better than the winner; `tensors` is memory by shapes
GainName = Literal["exact_gradient", "cosine", "memory", "tensors", "step_seconds", "accuracy"]


@dataclass(frozen=True)
class Gain:
    """What a rival does better than the winner, with both values if it has values."""

    name: GainName
    rivals: float | None = None
    winners: float | None = None
    is_of_one_process: bool = False  # whether only one process, or seed, of a side was measured

    def to_dict(self) -> dict[str, Any]:
        """The gain as plain values."""
        return {
            "what": self.name,
            "rival": self.rivals,
            "winner": self.winners,
            "of_one_process": self.is_of_one_process,
        }


@dataclass(frozen=True)
class RunnerUp:
    """A rival that an answer shows. Without bounds, its ratio is that of two medians."""

    way: Way
    ratio: float | None  # of its cost to the winner's; None if one of them was not measured
    bounds: tuple[float, float] | None
    gains: tuple[Gain, ...]

    def to_dict(self) -> dict[str, Any]:
        """The rival as plain values."""
        lower, upper = self.bounds or (None, None)
        return {
            "cell": self.way.cell.id,
            "label": self.way.label,
            "times_the_winners": {"estimate": self.ratio, "lower": lower, "upper": upper},
            "buys": [gain.to_dict() for gain in self.gains],
        }


def runners_up(rivals: Sequence[Way], winner: Way) -> tuple[RunnerUp, ...]:
    """The best rivals. The one with the least memory and the fastest exact one are among them."""
    chosen = list(rivals[: MOST_RIVALS - 2])
    least = min(rivals, key=lambda way: way.tensor_bytes or math.inf, default=None)
    exact = next((way for way in rivals if way.is_exact and not winner.is_exact), None)
    for way in (least, exact):
        if way is not None and way not in chosen:
            chosen.append(way)
    return tuple(_runner_up(way, winner) for way in chosen)


def _runner_up(way: Way, winner: Way) -> RunnerUp:
    ratio, gains = way.ratio, tuple(_gains(way, winner))
    if ratio is not None and ratio.lower > 0 and ratio.upper != math.inf:
        return RunnerUp(way, ratio.ratio, (ratio.lower, ratio.upper), gains)
    of_medians = way.cost / winner.cost if way.cost is not None and winner.cost else None
    return RunnerUp(way, of_medians, None, gains)


def _gains(way: Way, winner: Way) -> Iterator[Gain]:
    if way.is_exact and not winner.is_exact:
        yield Gain("exact_gradient")
    elif way.cosine and winner.cosine and way.cosine > winner.cosine and not winner.is_exact:
        yield Gain("cosine", way.cosine, winner.cosine)
    yield from _memory(way, winner)
    yield from _time(way, winner)
    yield from _accuracy(way, winner)


def _accuracy(way: Way, winner: Way) -> Iterator[Gain]:
    """A higher accuracy: the intervals do not overlap, or one seed was trained."""
    rivals, winners = way.accuracy, winner.accuracy
    if rivals is None or winners is None or rivals.estimate <= winners.estimate + POINT:
        return
    if _is_less(winners, rivals):
        alone = is_of_one_process(rivals) or is_of_one_process(winners)
        yield Gain("accuracy", rivals.estimate, winners.estimate, alone)


def _memory(way: Way, winner: Way) -> Iterator[Gain]:
    """Less memory: measured, or else by shapes. A rival often has only one process."""
    rivals, winners = way.estimates.get(PEAK), winner.estimates.get(PEAK)
    if rivals is not None and winners is not None:
        if _is_less(rivals, winners) and _is_worth(rivals.estimate, winners.estimate):
            alone = is_of_one_process(rivals) or is_of_one_process(winners)
            yield Gain("memory", rivals.estimate, winners.estimate, alone)
    elif (
        way.tensor_bytes is not None
        and winner.tensor_bytes is not None
        and _is_worth(way.tensor_bytes, winner.tensor_bytes)
    ):
        yield Gain("tensors", way.tensor_bytes, winner.tensor_bytes)


def _time(way: Way, winner: Way) -> Iterator[Gain]:
    """A shorter step, if the goal is another metric."""
    rivals, winners = way.estimates.get(STEP), winner.estimates.get(STEP)
    if rivals is None or winners is None or way.cell.batch != winner.cell.batch:
        return
    if _is_less(rivals, winners):
        alone = is_of_one_process(rivals) or is_of_one_process(winners)
        yield Gain("step_seconds", rivals.estimate, winners.estimate, alone)


def is_of_one_process(estimate: Estimate) -> bool:
    """Whether the number comes from one process or one seed. Another one may differ more."""
    return estimate.lower is None or estimate.basis.endswith("one process")


def _is_less(rivals: Estimate, winners: Estimate) -> bool:
    """Whether the rival's interval is below the winner's. A single value is its own interval."""
    upper = rivals.estimate if rivals.upper is None else rivals.upper
    lower = winners.estimate if winners.lower is None else winners.lower
    return upper < lower


def _is_worth(rivals: float, winners: float) -> bool:
    return winners - rivals > WORTH * winners
