"""A suite as the engine uses it: frozen, complete, free of YAML."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.specs.data import DataSource
from bench.specs.weights import WeightSource
from bench.suite.cell import Train, Value


@dataclass(frozen=True)
class Axis:
    """An option and the values that the matrix takes for it."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class ModelChoice:
    """One entry of `models`; without weights of its own it takes the suite's."""

    name: str
    batches: tuple[int, ...]
    axes: tuple[Axis, ...]
    weights: tuple[WeightSource, ...] = ()


@dataclass(frozen=True)
class MethodChoice:
    """One entry of `methods`."""

    name: str
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Sampling:
    """When a time pass has seen enough."""

    warmup: int = 2
    min_samples: int = 10
    max_samples: int = 100
    max_seconds: float = 60.0
    precision: float = 0.02


@dataclass(frozen=True)
class Suite:
    """What to run and what to measure."""

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

    @property
    def weight_sources(self) -> dict[str, WeightSource]:
        """Every source of weights that a cell of this suite can name."""
        own = (source for model in self.models for source in model.weights)
        return {source.name: source for source in (self.weights, *own)}
