"""A suite as the engine uses it: frozen, complete, free of YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ondevice_bench import passes
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite.cell import LearningPlan, Train, Value
from ondevice_bench.suite.goal import Goal


@dataclass(frozen=True)
class Axis:
    """An option and its values in the matrix."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class ModelChoice:
    """One entry of `models`; without weights of its own it has the suite's."""

    name: str
    batches: tuple[int, ...]
    axes: tuple[Axis, ...]
    weights: tuple[WeightSource, ...] = ()


@dataclass(frozen=True)
class MethodChoice:
    """One entry of `methods`. The user may have given a label to a mix."""

    name: str
    axes: tuple[Axis, ...]
    label: str = ""
    places: tuple[str, ...] = ()  # of the entries of a mix, for messages


PATTERNS = ("include", "exclude", "when")  # the keys of a file that have patterns
SUSTAIN = 1200.0  # seconds
# of a core; if other processes use more, a sample is measured again
DISTURBED_SHARE = 0.1


@dataclass(frozen=True)
class Sampling:
    """When a time pass has enough samples."""

    warmup: int = 2
    min_samples: int = 10
    max_samples: int = 100
    max_seconds: float = 60.0
    precision: float = 0.02


@dataclass(frozen=True)
class Condition:
    """Cells that run only on boards with this much memory."""

    cells: tuple[str, ...]
    memory_gib: float


@dataclass(frozen=True)
class Suite:
    """The cells to run and the passes to measure. `variants` are the suite on certain boards."""

    name: str
    path: Path
    text: str
    title: str
    purpose: str
    models: tuple[ModelChoice, ...]
    methods: tuple[MethodChoice, ...]
    layers: tuple[str, ...]
    hardware: tuple[str, ...]
    data: DataSource
    weights: WeightSource
    dtypes: tuple[str, ...]
    train: Train
    seeds: tuple[int, ...]
    rounds: Mapping[str, int]
    measure: tuple[str, ...]
    sampling: Sampling
    timeout: float
    baseline: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    when: tuple[Condition, ...] = ()
    goal: Goal = Goal()  # noqa: RUF009  # frozen
    expected: Mapping[str, float] = field(default_factory=dict)  # seconds by board
    variants: Mapping[str, "Suite"] = field(default_factory=dict)
    learning: LearningPlan = LearningPlan()  # noqa: RUF009  # frozen
    allocators: tuple[str, ...] = ()  # empty: that of the profile, or none is named
    sustain: float = SUSTAIN  # seconds of the pass `sustained`
    inherited: tuple[str, ...] = ()  # those of PATTERNS that another file wrote
    places: Mapping[str, str] = field(default_factory=dict)  # of `exclude[0]` and the like

    def on(self, board: Sequence[str]) -> "Suite":
        """The suite on the board with these names, the most specific name first."""
        return next((self.variants[name] for name in board if name in self.variants), self)

    def timeout_of(self, pass_name: str) -> float:
        """The time limit of a process of the pass, plus the time that `sustain` asks for."""
        return self.timeout + (self.sustain if passes.BY_NAME[pass_name].lasts else 0.0)

    @property
    def lasting(self) -> dict[str, float]:
        """The seconds of those passes that take as long as the suite asks for."""
        return {name: self.sustain for name in self.measure if passes.BY_NAME[name].lasts}

    def sustained(self, seconds: float) -> "Suite":
        """The suite with the pass `sustained`, for so long, on every board."""
        measure = tuple(dict.fromkeys((*self.measure, passes.SUSTAINED)))
        variants = {board: each.sustained(seconds) for board, each in self.variants.items()}
        return replace(self, measure=measure, sustain=seconds, variants=variants)

    def under(self, allocator: str) -> "Suite":
        """The suite with this allocator, if it names none itself."""
        return replace(self, allocators=(allocator,)) if allocator and not self.allocators else self

    @cached_property
    def weight_sources(self) -> dict[str, WeightSource]:
        """Every source of weights that a cell of this suite, on any board, can name."""
        of_models = [source for model in self.models for source in model.weights]
        of_variants = [s for suite in self.variants.values() for s in suite.weight_sources.values()]
        return {source.name: source for source in (self.weights, *of_models, *of_variants)}
