"""The suite file's schema; the options of models and methods come from their specs."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, create_model, model_validator

from ondevice_bench.declare.check import Strict
from ondevice_bench.declare.folders import declared
from ondevice_bench.errors import unknown
from ondevice_bench.specs import data, registry, weights
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.option import Option
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite.entries import (
    AS_LIST,
    NOT_EMPTY,
    Entry,
    method_entries,
    model_entries,
)
from ondevice_bench.suite.goal import Goal, Minimised
from ondevice_bench.suite.layers import parse
from ondevice_bench.units import parse_bytes, parse_duration


def _known(kind: str, names: Callable[[], Mapping[str, object]]) -> BeforeValidator:
    """A name that must be one of `names()`."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be the name of a {kind}, got {value!r}")
        if value not in names():
            raise ValueError(unknown(kind, value, names()))
        return value

    return BeforeValidator(check)


def _percent(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip())
        if match is None:
            raise ValueError(f"must be a share such as 2% or 0.02, got {value!r}")
        value = float(match[1]) / 100
    return Option("share", "", default=0.02, kind="float", above=0, maximum=1).check(value)


def _duration(value: object) -> object:
    if isinstance(value, str):
        value = parse_duration(value)
    return Option("duration", "", default=1.0, kind="float", above=0).check(value)


PROFILE_NAME = _known("hardware profile", lambda: declared("hardware"))
METHOD_NAME = _known("method", registry.methods)


def _of_profiles(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        if name not in declared("hardware"):
            raise ValueError(unknown("hardware profile", name, declared("hardware")))
    return value


class TrainSettings(Strict):
    """`train`: how a step trains."""

    optimizer: Literal["sgd"] = "sgd"
    lr: float = Field(0.05, gt=0)
    momentum: float = Field(0.0, ge=0, le=1)
    weight_decay: float = Field(1e-4, ge=0)
    clip: Annotated[float, Field(gt=0)] | None = 2.0
    zero_grad: Literal["none", "zero"] = "none"
    freeze_bn: bool = True


class SamplingSettings(Strict):
    """`time`: when a time pass has seen enough."""

    warmup: int = Field(2, ge=1, le=1000)
    min_samples: int = Field(10, ge=1, le=100_000)
    max_samples: int = Field(100, ge=1, le=100_000)
    max_seconds: Annotated[float, BeforeValidator(_duration)] = 60.0
    precision: Annotated[float, BeforeValidator(_percent)] = 0.02

    @model_validator(mode="after")
    def _ordered(self) -> "SamplingSettings":
        if self.min_samples > self.max_samples:
            raise ValueError(
                f"min_samples ({self.min_samples}) exceeds max_samples ({self.max_samples})"
            )
        return self


Processes = Annotated[int, Field(ge=1, le=1000)]


class Rounds(Strict):
    """Fresh processes of each pass; a peak takes few seconds to read, and one alone says little."""

    memory: Processes = 3
    time: Processes = 1
    energy: Processes = 1


def _of_every_pass(value: object) -> object:
    """`rounds: 5` means so many of each."""
    if isinstance(value, dict | Rounds):
        return value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"must be at least 1, or a mapping of passes, got {value!r}")
    return dict.fromkeys(Rounds.model_fields, value)


def _bytes(value: object) -> object:
    return parse_bytes(value) if isinstance(value, str) else value


class GoalSettings(Strict):
    """`goal`: what the report's verdict looks for."""

    minimise: Minimised = Goal.minimise
    min_cosine: Annotated[float, Field(ge=-1, le=1)] = Goal.min_cosine
    max_peak: Annotated[int | None, BeforeValidator(_bytes), Field(gt=0)] = None
    max_slowdown: Annotated[float | None, Field(gt=0)] = None

    def goal(self) -> Goal:
        """Give it to the engine."""
        return Goal(self.minimise, self.min_cosine, self.max_peak, self.max_slowdown)


class When(Strict):
    """`when`: these cells only where a board has so much memory."""

    cells: Annotated[tuple[str, ...], AS_LIST, NOT_EMPTY]
    memory_gib: float = Field(gt=0)


class Defaults(Strict):
    """`defaults`: options of every model or method that knows them."""

    models: dict[str, Any] = Field(default_factory=dict)
    methods: dict[str, Any] = Field(default_factory=dict)


class SuiteFile(Strict):
    """A suite file; `suite_schema` adds `models` and `methods`."""

    schema_version: Literal[1] = Field(alias="schema")
    title: str = Field(min_length=1)
    purpose: str = ""
    extends: str | None = None
    defaults: Defaults = Defaults()
    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)
    expected: Annotated[
        dict[str, Annotated[float, BeforeValidator(_duration)]], AfterValidator(_of_profiles)
    ] = Field(default_factory=dict)
    models: tuple[Entry, ...]
    methods: tuple[Entry, ...]
    layers: Annotated[
        tuple[Annotated[tuple[str, ...], BeforeValidator(parse)], ...], AS_LIST, NOT_EMPTY
    ] = (("all",),)
    hardware: Annotated[tuple[Annotated[str, PROFILE_NAME], ...], AS_LIST, NOT_EMPTY] = ()
    data: Any = DataSource()
    weights: Any = WeightSource()
    dtype: Annotated[tuple[Literal["float32", "float64", "bfloat16"], ...], AS_LIST, NOT_EMPTY] = (
        "float32",
    )
    train: TrainSettings = TrainSettings()
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], AS_LIST, NOT_EMPTY] = (0,)
    rounds: Annotated[Rounds, BeforeValidator(_of_every_pass)] = Rounds()
    measure: Annotated[
        tuple[Literal["memory", "trace", "time", "fidelity", "accuracy", "energy"], ...],
        AS_LIST,
        NOT_EMPTY,
    ] = ("memory", "trace", "time")
    time: SamplingSettings = SamplingSettings()
    timeout: Annotated[float, BeforeValidator(_duration)] = 600.0
    baseline: Annotated[str, METHOD_NAME] = "vanilla"
    goal: GoalSettings = GoalSettings()
    include: Annotated[tuple[str, ...], AS_LIST, NOT_EMPTY] = ()
    exclude: Annotated[tuple[str, ...], AS_LIST, NOT_EMPTY] = ()
    when: Annotated[tuple[When, ...], AS_LIST] = ()


def suite_schema(folder: Path = Path()) -> type[SuiteFile]:
    """Make the schema for the methods and models that are known now; files are under `folder`."""
    source = Annotated[Any, BeforeValidator(lambda value: data.parse(value, folder))]
    weight = Annotated[Any, BeforeValidator(lambda value: weights.parse(value, folder))]
    return create_model(
        "Suite",
        __base__=SuiteFile,
        models=(model_entries(folder, weight), ...),
        methods=(method_entries(folder), ...),
        data=(source, DataSource()),
        weights=(weight, WeightSource()),
    )
