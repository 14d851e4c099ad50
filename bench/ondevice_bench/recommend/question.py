"""What is asked: the metric to minimise, and the limits that an answer must meet."""

from dataclasses import dataclass
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.metrics import Metric
from ondevice_bench.passes import MEMORY, TIME, rounds_of
from ondevice_bench.passes import ROUNDS as ROUNDS_OF_PASSES
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.goal import GOALS

STEP, PEAK = "step_seconds", "peak_rss_over_runtime_bytes"
ACCURACY, FIDELITY = "accuracy", "fidelity"
LEAST_COST = 1e-30  # costs have ratios, so none is 0
# short names, each with the metrics that it may mean
_SHORT = {
    "peak_rss": (PEAK,),
    "energy": ("step_joules",),
    "time_to_accuracy": ("time_to_accuracy_seconds", "seconds_to_accuracy"),
    "energy_to_accuracy": ("energy_to_accuracy_joules", "joules_to_accuracy"),
}
# what belongs to a batch, so that different batches are compared by example
_OF_A_BATCH = frozenset(
    {STEP, "inference_seconds", "step_minor_faults", "step_flops", "step_joules"}
)


@dataclass(frozen=True)
class Limits:
    """What an answer must meet. Without a least cosine or accuracy, none is measured."""

    memory_bytes: int  # that a process may allocate
    min_cosine: float | None = None
    min_accuracy: float | None = None

    def __post_init__(self) -> None:
        if self.min_cosine is not None and not -1 <= self.min_cosine <= 1:
            raise BadInput(f"--min-cosine: must be in [-1, 1], got {self.min_cosine:g}")
        if self.min_accuracy is not None and not 0 < self.min_accuracy <= 1:
            raise BadInput(f"--min-accuracy: must be in (0, 1], got {self.min_accuracy:g}")


@dataclass(frozen=True)
class Question:
    """The metric to minimise under the limits."""

    goal: Metric
    limits: Limits

    @property
    def is_by_example(self) -> bool:
        """Whether candidates of different batches are compared by the share of one example."""
        return self.goal.name in _OF_A_BATCH

    @property
    def repeats(self) -> bool:
        """Whether another process gives another reading."""
        return self.goal.kind == "noisy" and self.goal.pass_name in ROUNDS_OF_PASSES

    @property
    def measure(self) -> tuple[str, ...]:
        """The passes of the run. The first three are in every run, so that limits may change."""
        wanted = [MEMORY, TIME, FIDELITY, self.goal.pass_name]
        if self.limits.min_accuracy is not None:
            wanted.append(metrics.BY_NAME[ACCURACY].pass_name)
        return tuple(dict.fromkeys(wanted))

    def cost(self, cell: Cell, value: float) -> float:
        """A value of the goal as candidates are compared by it: less is better."""
        value = max(self.goal.for_ratio(value), LEAST_COST)
        if self.is_by_example:
            value /= cell.batch
        return value if self.goal.lower_is_better else 1 / value

    def to_dict(self) -> dict[str, Any]:
        """The question as plain values."""
        return {
            "minimise": self.goal.name,
            "by_example": self.is_by_example,
            "memory_bytes": self.limits.memory_bytes,
            "min_cosine": self.limits.min_cosine,
            "min_accuracy": self.limits.min_accuracy,
        }


def goal_named(text: str) -> Metric:
    """The metric that `--minimise` names, by its own name or by a short one."""
    named = next((name for name in _SHORT.get(text, ()) if name in GOALS), text)
    if named not in GOALS:
        short = [word for word, meant in _SHORT.items() if any(name in GOALS for name in meant)]
        raise BadInput(f"--minimise: {unknown('goal', text, (*GOALS, *short))}")
    return metrics.BY_NAME[named]


def fewest_rounds(pass_name: str) -> int:
    """How many processes of a pass the answer rests on at least."""
    return rounds_of(pass_name, ROUNDS_OF_PASSES)
