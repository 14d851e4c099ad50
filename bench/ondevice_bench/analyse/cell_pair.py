"""A cell on two sides that are measured in turn, with its results so far.

The interval of the ratio is judged again after every quarter more rounds. `benchmarks/gate.py` and
`benchmarks/noise.py` show how often that raises a false alarm.
"""

import math
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.analyse.judgement import Verdict, exact_verdict, noisy_verdict
from ondevice_bench.stats import Change, change, is_look

MOST_ROUNDS = 400
FEWEST = 8  # rounds before the first judgement
# later rounds would change no verdict
LAST_LOOK = next(n for n in range(MOST_ROUNDS, FEWEST, -1) if is_look(n, FEWEST))
CONFIDENCE = 0.995  # of one judgement, over all cells together


def confidence_of(pairs: int) -> float:
    """The confidence of one judgement if this number of pairs shares `CONFIDENCE`."""
    return 1 - (1 - CONFIDENCE) / pairs


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


@dataclass(frozen=True)
class MissingMetric:
    """An exact metric that only the base has. `reason` is what the new side says about it."""

    metric: str
    base: float
    reason: str = ""


@dataclass
class CellPair:
    """A cell on both sides, with its results so far."""

    name: str
    base_id: str
    new_id: str
    differences: list[ExactDifference] = field(default_factory=list)
    base: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    step: Change | None = None
    problem: str = ""
    judged: int = 0  # the number of rounds in its interval
    seconds: float = 0.0  # the time of its rounds
    equal: dict[str, float] = field(default_factory=dict)  # the exact metrics that do not differ
    missing: list[MissingMetric] = field(default_factory=list)
    skips: tuple[str, str] = ("", "")  # why a side does not measure the cell
    of_other_kernels: tuple[str, ...] = ()  # exact metrics left out, because the kernels differ

    def add_round(self, base: float, new: float, threshold: float, pairs: int = 1) -> None:
        """Add one step of each side, and judge the ratio if enough rounds are there.

        `pairs` is the number of pairs that share the confidence.
        """
        self.base.append(base)
        self.new.append(new)
        if is_look(len(self.base), FEWEST):
            self.step = change(self.base, self.new, threshold, confidence_of(pairs))
            self.judged = len(self.base)

    @property
    def shift(self) -> float:
        """The logarithm of the ratio so far: above 0, the new side was slower. It may be noise."""
        ratios = [new / base for base, new in zip(self.base, self.new, strict=True)]
        return math.log(median(ratios)) if ratios else 0.0

    @property
    def is_open(self) -> bool:
        """Whether another round can help."""
        undecided = self.step is None or self.step.direction == "unknown"
        is_compared = not self.problem and not any(self.skips)
        return is_compared and undecided and len(self.base) < LAST_LOOK

    @property
    def is_skipped(self) -> bool:
        """Whether there is nothing to compare, because the base does not measure the cell."""
        return bool(self.skips[0]) and not self.problem

    @property
    def remark(self) -> str:
        """Why the cell was not compared; empty if it was."""
        base, new = self.skips
        if self.problem or not (base or new):
            return self.problem
        if base and new:
            return f"both sides skip it: {new}"
        return f"the base skips it: {base}" if base else f"the new side skips it: {new}"

    @property
    def step_verdict(self) -> Verdict:
        """The verdict on the step time."""
        if self.problem:
            return "failed"
        if any(self.skips):
            return "skipped" if self.is_skipped else "missing"
        if self.step is None:
            return "inconclusive"
        return noisy_verdict(metrics.BY_NAME["step_seconds"], self.step)

    @property
    def verdicts(self) -> set[Verdict]:
        """The verdicts on the step time and on every exact metric that differs or is missing."""
        differing: set[Verdict] = {difference.verdict for difference in self.differences}
        missing: set[Verdict] = {"missing"} if self.missing else set()
        return {self.step_verdict, *differing, *missing}

    def to_dict(self) -> dict[str, Any]:
        """The pair as plain values. The interval is null if there is none yet."""
        has_interval = self.step is not None and self.step.upper != float("inf")
        return {
            "cell": self.name,
            "verdict": self.step_verdict,
            "step_ratio": self.step.ratio if self.step is not None else None,
            "lower": self.step.lower if self.step is not None and has_interval else None,
            "upper": self.step.upper if self.step is not None and has_interval else None,
            "rounds": len(self.base),
            "exact": [
                {**asdict(difference), "verdict": difference.verdict}
                for difference in self.differences
            ],
            "missing": [asdict(each) for each in self.missing],
            "of_other_kernels": list(self.of_other_kernels),
            "problem": self.problem,
            "skipped": list(self.skips),
        }
