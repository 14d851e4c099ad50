"""The answer: what to run, what comes next to it, what is out and why, and what is not sure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ondevice_bench.recommend.candidates import RuledOut
from ondevice_bench.recommend.question import PEAK, STEP, Question
from ondevice_bench.recommend.race import Defeat
from ondevice_bench.recommend.rivals import RunnerUp, runners_up
from ondevice_bench.recommend.training import judged
from ondevice_bench.recommend.way import Way


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
    about_board: str = ""  # what is known of times on a board like that


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
    batches: tuple[int, ...]  # of those that fit by shapes
    trainings: int  # how many ways of training they have: optimizers, rates and so on
    winner: Way | None
    rivals: tuple[Way, ...]  # that meet the limits and were measured, the best first
    behind: tuple[Behind, ...]
    ruled_out: tuple[RuledOut, ...]
    labels: Mapping[str, str]
    unreached: tuple[str, ...]  # labels of those that there was no time for
    is_decided: bool  # whether the search ended by itself
    doubts: tuple[str, ...]  # what disturbed the measurements
    measured: int  # processes of this call; others were stored already
    budget: float
    at_the_edge: tuple[str, ...]  # labels of those whose rate is the lowest or highest of the grid
    tested_on: int | None  # the fewest test examples of a training
    next_training: float | None  # its seconds, if there was no time for it
    paste: tuple[str, ...]

    @property
    def remaining(self) -> int:
        """How many candidates are not out."""
        return self.candidates - len({each.name for each in self.ruled_out})

    @property
    def compares_examples(self) -> bool:
        """Whether batches differ, so that the cost of one example is compared."""
        return self.question.is_by_example and len(self.batches) > 1

    @property
    def runners_up(self) -> tuple[RunnerUp, ...]:
        """The rivals that an answer shows, with what each would buy."""
        return () if self.winner is None else runners_up(self.rivals, self.winner)

    @property
    def open_rivals(self) -> tuple[Way, ...]:
        """The rivals of which nobody knows whether they are better."""
        return tuple(way for way in self.rivals if way.standing == "open")

    @property
    def is_accuracy_open(self) -> bool:
        """Whether the winner may or may not meet the limit of accuracy, as far as seeds tell."""
        least = self.question.limits.min_accuracy
        if least is None or self.winner is None or self.winner.accuracy is None:
            return False
        return judged(self.winner.accuracy, least) == "undecided"

    @property
    def out_by_chance(self) -> tuple[str, ...]:
        """Who is out by what a few seeds learned, although some of them met the limit."""
        return tuple(self.labels[each.name] for each in self.ruled_out if each.is_open)

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
            margins["accuracy"] = self.winner.accuracy.estimate - limits.min_accuracy
        return margins

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values."""
        return {
            **self.question.to_dict(),
            "board": self.place.board,
            "measured_on_the_board": self.place.is_here,
            "machine": self.place.machine,
            "about_board": self.place.about_board,
            "model": self.model,
            "data": self.data,
            "weights": self.weights,
            "space": self.space,
            "candidates": self.candidates,
            "decided": self.is_decided,
            "winner": None if self.winner is None else self.winner.to_dict(),
            "margins": self.margins,
            "runners_up": [each.to_dict() for each in self.runners_up],
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
            "undecided": {
                "accuracy_of_the_winner": self.is_accuracy_open,
                "rivals": [way.label for way in self.open_rivals],
                "ruled_out": list(self.out_by_chance),
            },
            "doubts": list(self.doubts),
            "at_the_edge_of_learning_rates": list(self.at_the_edge),
            "test_examples": self.tested_on,
            "paste": list(self.paste),
            "store": self.place.store,
            "run": self.place.run,
            "measurements_of_this_call": self.measured,
        }


def shown_metrics(question: Question) -> tuple[str, ...]:
    """The metrics of a way that an answer shows."""
    return tuple(dict.fromkeys((question.goal.name, STEP, PEAK, "peak_rss_bytes")))
