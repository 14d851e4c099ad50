"""What is asked: the metric to minimise, and the limits that an answer must meet."""

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
ACCURACY, FIDELITY = "final_accuracy", "fidelity"
LEAST_COST = 1e-30  # costs have ratios, so none is 0
SEEDS, MOST_SEEDS = 3, 20  # of a training
# of the time until a target, from seed to seed, as a logarithm: it has steps of one epoch
NOISE_OF_TRAINING = 0.3
# what a suite cannot name as its goal, because its verdict is about one seed
TO_TARGET = ("time_to_accuracy_seconds", "energy_to_accuracy_joules")
_SHORT = {
    "peak_rss": PEAK,
    "energy": STEP_ENERGY,
    "time_to_accuracy": TO_TARGET[0],
    "energy_to_accuracy": TO_TARGET[1],
}
# what belongs to a batch, so that different batches are compared by example
_OF_A_BATCH = frozenset({STEP, "inference_seconds", "step_minor_faults", "step_flops", STEP_ENERGY})


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
    """The metric to minimise under the limits.

    If something is to be learned, `target` is the accuracy whose time or energy is minimised, and
    each candidate trains with so many seeds.
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
        """Whether the goal is of a whole training, not of a step."""
        return self.goal.pass_name == LEARNING

    @property
    def round_noun(self) -> str:
        """What another reading of a candidate is: a round of processes, or a training by a seed."""
        return "seed" if self.is_of_training else "round"

    @property
    def learns(self) -> bool:
        """Whether candidates are trained and tested."""
        return self.is_of_training or self.limits.min_accuracy is not None

    @property
    def is_by_example(self) -> bool:
        """Whether candidates of different batches are compared by the share of one example."""
        return self.goal.name in _OF_A_BATCH

    @property
    def repeats(self) -> bool:
        """Whether another process gives another reading."""
        if self.is_of_training:
            return True  # with another seed
        return self.goal.kind == "noisy" and self.goal.pass_name in ROUNDS_OF_PASSES

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
    """How many processes of a pass the answer rests on at least."""
    return rounds_of(pass_name, ROUNDS_OF_PASSES)
