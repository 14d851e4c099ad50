"""The question: the metric to minimise, and the limits that an answer must meet."""

from dataclasses import dataclass
from typing import Any

from ondevice_bench import metrics
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.metrics import Metric
from ondevice_bench.metrics.descriptor import METER
from ondevice_bench.passes import ENERGY, LEARNING, MEMORY, TIME, rounds_of
from ondevice_bench.passes import ROUNDS as ROUNDS_OF_PASSES
from ondevice_bench.recommend.race import OF_PROCESSES, Rounds
from ondevice_bench.suite.cell import Cell
from ondevice_bench.suite.goal import GOALS

STEP, PEAK = "step_seconds", "peak_rss_over_runtime_bytes"
STEP_ENERGY = "step_joules"
ACCURACY, FIDELITY, LOSS = "final_accuracy", "fidelity", "loss_after_steps"
LEAST_COST = 1e-30  # no cost is 0, so that two costs have a ratio
SEEDS, MOST_SEEDS = 3, 20  # of a training
# between the times of two seeds until a target, as a logarithm; a time is a number of whole epochs
NOISE_OF_TRAINING = 0.3
# goals of a search only: the verdict on a suite is about one seed, and so has no such goal
TO_TARGET = ("time_to_accuracy_seconds", "energy_to_accuracy_joules")
_SHORT = {
    "peak_rss": PEAK,
    "energy": STEP_ENERGY,
    "time_to_accuracy": TO_TARGET[0],
    "energy_to_accuracy": TO_TARGET[1],
}
# goals that grow with the batch
_OF_A_BATCH = frozenset({STEP, "inference_seconds", "step_minor_faults", "step_flops", STEP_ENERGY})


@dataclass(frozen=True)
class Limits:
    """What an answer must meet. A cosine or an accuracy is measured only if it has a limit."""

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
    """The metric to minimise under the limits.

    `target` is the accuracy to reach, if the metric is the time or the energy until then. `seeds`
    is the number of trainings of a candidate, if candidates are trained.
    """

    goal: Metric
    limits: Limits
    target: float | None = None
    seeds: int = SEEDS

    def __post_init__(self) -> None:
        short = next((word for word, name in _SHORT.items() if name == self.goal.name), "")
        if self.is_of_training and self.target is None:
            raise BadInput(f"--minimise {short}: give the accuracy to reach with --target")
        if self.target is not None and not self.is_of_training:
            raise BadInput(
                "--target: is the accuracy of --minimise time_to_accuracy or energy_to_accuracy; "
                "a limit is --min-accuracy"
            )
        if self.target is not None and not 0 < self.target <= 1:
            raise BadInput(f"--target: must be in (0, 1], got {self.target:g}")
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise BadInput(f"--seeds: must be from 1 to {MOST_SEEDS}, got {self.seeds}")

    @property
    def is_of_training(self) -> bool:
        """Whether the goal is about a whole training, not about a step."""
        return self.goal.pass_name == LEARNING

    @property
    def round_noun(self) -> str:
        """The noun for one reading of each candidate: a round, or a seed if they are trained."""
        return "seed" if self.is_of_training else "round"

    @property
    def learns(self) -> bool:
        """Whether candidates are trained and tested."""
        return self.is_of_training or self.limits.min_accuracy is not None

    @property
    def is_by_example(self) -> bool:
        """Whether the goal grows with the batch, so that the cost of one example is compared."""
        return self.goal.name in _OF_A_BATCH

    @property
    def repeats(self) -> bool:
        """Whether another process gives another reading."""
        if self.is_of_training:
            return True  # with another seed
        return self.goal.kind == "noisy" and self.goal.pass_name in ROUNDS_OF_PASSES

    @property
    def has_quick_limits(self) -> bool:
        """Whether one process says that a candidate meets the limits, and several give its cost."""
        return self.repeats and not self.learns

    @property
    def rounds(self) -> Rounds:
        """How many rounds a race has. A round of trainings is a seed."""
        if not self.is_of_training:
            return OF_PROCESSES
        return Rounds(first=1, fewest=self.seeds, most=self.seeds, noise=NOISE_OF_TRAINING)

    @property
    def measure(self) -> tuple[str, ...]:
        """The passes of the run. The first three are in every run, so that limits may change."""
        wanted = [MEMORY, TIME, FIDELITY, self.goal.pass_name]
        if self.learns:
            wanted.append(LEARNING)
        if self.is_of_training and self.goal.scope == METER:
            wanted.append(ENERGY)  # once, before the first training: it asks the meter
        return tuple(dict.fromkeys(wanted))

    def cost(self, cell: Cell, value: float, smallest_batch: int) -> float:
        """The number by which candidates are compared: less is better.

        A negligible count costs the same whatever the batch: that of the smallest one.
        """
        if self.is_by_example:
            value = max(value / cell.batch, self.goal.negligible / smallest_batch)
        else:
            value = self.goal.for_ratio(value)
        value = max(value, LEAST_COST)
        return value if self.goal.lower_is_better else 1 / value

    def to_dict(self) -> dict[str, Any]:
        """The question as plain values."""
        return {
            "minimise": self.goal.name,
            "by_example": self.is_by_example,
            "memory_bytes": self.limits.memory_bytes,
            "min_cosine": self.limits.min_cosine,
            "min_accuracy": self.limits.min_accuracy,
            "target": self.target,
            "seeds": self.seeds if self.learns else None,
        }


def goal_named(text: str) -> Metric:
    """The metric that `--minimise` names, by its own name or by a short one."""
    named = _SHORT.get(text, text)
    if named not in (*GOALS, *TO_TARGET):
        raise BadInput(f"--minimise: {unknown('goal', text, (*GOALS, *TO_TARGET, *_SHORT))}")
    return metrics.BY_NAME[named]


def fewest_rounds(pass_name: str) -> int:
    """The fewest processes of a pass that an answer needs."""
    return rounds_of(pass_name, ROUNDS_OF_PASSES)
