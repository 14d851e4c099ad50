"""A cell on two sides that are measured in turn, and what is known of it so far.

The interval of the ratio is looked at now and then, each time after a quarter more rounds:
`benchmarks/gate.py` and `benchmarks/noise.py` show how often that claims what is not so.
"""

import math
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.judgement import Verdict, exact_verdict, noisy_verdict
from ondevice_bench.stats import Change, change, is_look

MOST_ROUNDS = 400
FEWEST = 8  # rounds before the first look
CONFIDENCE = 0.995  # of one look, over all cells together


@dataclass(frozen=True)
class ExactDifference:
    """An exact metric that differs."""

    metric: str
    base: float
    new: float

    @property
    def verdict(self) -> Verdict:
        """Any difference counts."""
        return exact_verdict(metrics.BY_NAME[self.metric], self.base, self.new)


@dataclass
class CellPair:
    """A cell on both sides, and what is known of it so far."""

    name: str
    base_id: str
    new_id: str
    differences: list[ExactDifference] = field(default_factory=list)
    base: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    step: Change | None = None
    problem: str = ""

    def add_round(self, base: float, new: float, threshold: float, pairs: int = 1) -> None:
        """A step of each side, one of so many pairs; judged where it is time for a look."""
        self.base.append(base)
        self.new.append(new)
        if is_look(len(self.base), FEWEST):
            confidence = 1 - (1 - CONFIDENCE) / pairs
            self.step = change(self.base, self.new, threshold, confidence)

    @property
    def shift(self) -> float:
        """How much slower the rounds so far show the new side, as a logarithm; sure or not."""
        ratios = [new / base for base, new in zip(self.base, self.new, strict=True)]
        return math.log(median(ratios)) if ratios else 0.0

    @property
    def is_open(self) -> bool:
        """Whether another round may tell more."""
        undecided = self.step is None or self.step.direction == "unknown"
        return not self.problem and undecided and len(self.base) < MOST_ROUNDS

    @property
    def step_verdict(self) -> Verdict:
        """What the rounds say of the step's time."""
        if self.problem:
            return "failed"
        if self.step is None:
            return "inconclusive"
        return noisy_verdict(metrics.BY_NAME["step_seconds"], self.step)

    @property
    def verdicts(self) -> set[Verdict]:
        """Of the step, and of every exact metric that differs."""
        return {self.step_verdict, *(found.verdict for found in self.differences)}

    def to_dict(self) -> dict[str, Any]:
        """The pair as plain values; an interval that does not exist yet is null."""
        known = self.step is not None and self.step.upper != float("inf")
        return {
            "cell": self.name,
            "verdict": self.step_verdict,
            "step_ratio": self.step.ratio if self.step is not None else None,
            "lower": self.step.lower if self.step is not None and known else None,
            "upper": self.step.upper if self.step is not None and known else None,
            "rounds": len(self.base),
            "exact": [{**asdict(found), "verdict": found.verdict} for found in self.differences],
            "problem": self.problem,
        }
