"""The answer: what to run, what comes next to it, what is out and why, and what is not sure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ondevice_bench.recommend.candidates import RuledOut
from ondevice_bench.recommend.question import PEAK, STEP, Question
from ondevice_bench.recommend.race import Defeat
from ondevice_bench.stats import Change, Estimate
from ondevice_bench.suite.cell import Cell

# what is known of a rival beside the winner
Standing = Literal["winner", "equal", "open", "worse"]


@dataclass(frozen=True)
class Way:
    """A way to train that meets the limits, as far as that was measured."""

    cell: Cell
    label: str
    standing: Standing
    is_exact: bool
    meets_limits: bool  # false: there was no time to measure the limits
    cost: float | None  # the median of the goal, of one example where batches are compared
    ratio: Change | None  # of its cost to the winner's
    estimates: Mapping[str, Estimate]
    cosine: float | None  # the lowest of all moments
    accuracy: float | None
    rounds: int
    tensor_bytes: int | None  # at the peak, by shapes

    @property
    def least_bytes(self) -> float | None:
        """The peak memory over the runtime, if it was measured."""
        peak = self.estimates.get(PEAK)
        return None if peak is None else peak.estimate

    def to_dict(self) -> dict[str, Any]:
        """The way as plain values."""
        return {
            "cell": self.cell.id,
            "label": self.label,
            "standing": self.standing,
            "exact": self.is_exact,
            "limits_measured": self.meets_limits,
            "batch": self.cell.batch,
            "cost": self.cost,
            "ratio": None if self.ratio is None else _ratio(self.ratio),
            "rounds": self.rounds,
            "cosine": self.cosine,
            "accuracy": self.accuracy,
            "tensor_bytes_by_shapes": self.tensor_bytes,
            "metrics": {name: each.to_dict() for name, each in self.estimates.items()},
        }


@dataclass(frozen=True)
class Behind:
    """A candidate that was left behind, and by what."""

    label: str
    defeat: Defeat
    ratio: float | None  # of its cost to the winner's, or of its guess to the best one


@dataclass(frozen=True)
class Place:
    """Where the figures are from, and what they stand for."""

    board: str
    is_here: bool  # whether this machine is that board
    machine: str
    store: str
    run: str
    command: str


@dataclass(frozen=True)
class Recommendation:
    """What `bench recommend` answers. Without a winner, nothing was found in time."""

    question: Question
    place: Place
    model: str
    data: str
    weights: str
    space: str
    candidates: int
    winner: Way | None
    rivals: tuple[Way, ...]  # that meet the limits and were measured, the best first
    behind: tuple[Behind, ...]
    ruled_out: tuple[RuledOut, ...]
    labels: Mapping[str, str]
    unreached: tuple[str, ...]  # labels of those that there was no time for
    is_decided: bool  # whether the search ended by itself
    doubts: tuple[str, ...]  # what disturbed the measurements
    measured: int  # processes of this call; others were stored already
    paste: tuple[str, ...]

    @property
    def open_rivals(self) -> tuple[Way, ...]:
        """The rivals of which nobody knows whether they are better."""
        return tuple(way for way in self.rivals if way.standing == "open")

    @property
    def margins(self) -> dict[str, float]:
        """How far the winner is from each limit; less than 0 is beyond."""
        if self.winner is None:
            return {}
        limits, margins = self.question.limits, {}
        peak = self.winner.estimates.get("peak_rss_bytes")
        if peak is not None:
            margins["memory_bytes"] = limits.memory_bytes - peak.estimate
        if limits.min_cosine is not None and self.winner.cosine is not None:
            margins["cosine"] = self.winner.cosine - limits.min_cosine
        if limits.min_accuracy is not None and self.winner.accuracy is not None:
            margins["accuracy"] = self.winner.accuracy - limits.min_accuracy
        return margins

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values."""
        return {
            **self.question.to_dict(),
            "board": self.place.board,
            "measured_on_the_board": self.place.is_here,
            "machine": self.place.machine,
            "model": self.model,
            "data": self.data,
            "weights": self.weights,
            "space": self.space,
            "candidates": self.candidates,
            "decided": self.is_decided,
            "winner": None if self.winner is None else self.winner.to_dict(),
            "margins": self.margins,
            "rivals": [way.to_dict() for way in self.rivals],
            "behind": [
                {"label": each.label, "by": each.defeat, "ratio": each.ratio}
                for each in self.behind
            ],
            "ruled_out": [
                {
                    "label": self.labels[each.name],
                    "cause": each.cause,
                    "reason": each.reason,
                    "value": each.value,
                }
                for each in self.ruled_out
            ],
            "unreached": list(self.unreached),
            "doubts": list(self.doubts),
            "paste": list(self.paste),
            "store": self.place.store,
            "run": self.place.run,
            "measurements_of_this_call": self.measured,
        }


def shown_metrics(question: Question) -> tuple[str, ...]:
    """The metrics of a way that an answer shows."""
    return tuple(dict.fromkeys((question.goal.name, STEP, PEAK, "peak_rss_bytes")))


def _ratio(ratio: Change) -> dict[str, float | str | None]:
    """A ratio as plain values. The bounds are null if there is no interval yet."""
    has_interval = ratio.upper != math.inf
    return {
        "estimate": ratio.ratio,
        "lower": ratio.lower if has_interval else None,
        "upper": ratio.upper if has_interval else None,
        "direction": ratio.direction,
    }
