"""The answer: what to run, which candidates come next, which are out and why, what is not sure."""

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
    """A candidate that costs more than the winner, and how this was found out."""

    label: str
    defeat: Defeat
    ratio: float | None  # its cost over the winner's; or its guessed cost over the best guess


@dataclass(frozen=True)
class Place:
    """Which machine measured the numbers, and which board they are for."""

    board: str
    is_here: bool  # whether this machine is that board
    machine: str
    store: str
    run: str
    command: str
    about_board: str = ""  # what is known about times on such a board


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
    batches: tuple[int, ...]  # of the candidates that fit by shapes
    trainings: int  # the number of different `train` settings among them
    winner: Way | None
    rivals: tuple[Way, ...]  # they meet the limits and were measured; the best comes first
    behind: tuple[Behind, ...]
    ruled_out: tuple[RuledOut, ...]
    labels: Mapping[str, str]
    unreached: tuple[str, ...]  # labels of candidates for which no time was left
    is_decided: bool  # whether the search ended by itself
    doubts: tuple[str, ...]  # what disturbed the measurements
    measured: int  # records that this call added; the others were stored before
    budget: float
    at_the_edge: tuple[str, ...]  # labels of candidates that chose the first or last rate tried
    tested_on: int | None  # the fewest test examples of a training
    next_training: float | None  # the seconds of the training for which no time was left
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
        """The rivals that an answer shows, each with what it does better than the winner."""
        return () if self.winner is None else runners_up(self.rivals, self.winner)

    @property
    def open_rivals(self) -> tuple[Way, ...]:
        """The rivals that may be better than the winner: the readings did not decide."""
        return tuple(way for way in self.rivals if way.standing == "open")

    @property
    def is_accuracy_open(self) -> bool:
        """Whether the seeds leave open if the winner meets the limit of accuracy."""
        least = self.question.limits.min_accuracy
        if least is None or self.winner is None or self.winner.accuracy is None:
            return False
        return judged(self.winner.accuracy, least) == "undecided"

    @property
    def out_by_chance(self) -> tuple[str, ...]:
        """The candidates that are out, but may meet the limit with more seeds."""
        return tuple(self.labels[each.name] for each in self.ruled_out if each.is_open)

    @property
    def margins(self) -> dict[str, float]:
        """How far the winner is from each limit. Below 0, it does not meet the limit."""
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
