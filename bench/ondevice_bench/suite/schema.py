"""The suite file's schema; the options of models and methods come from their specs."""

import re
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, create_model

from ondevice_bench import allocators, passes
from ondevice_bench.declare.folders import declared
from ondevice_bench.declare.schema import StrictSchema, Version, is_name, read_as
from ondevice_bench.declare.shown import (
    LIKE_KEY,
    JsonSchema,
    ShownAs,
    ShownAsOneOf,
    ShownBeside,
    inheriting,
    names,
    one_or_list,
    reads,
    time_text,
)
from ondevice_bench.errors import unknown
from ondevice_bench.specs import data, registry, weights
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.layer_choice import parse
from ondevice_bench.specs.option import Option
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite import shown
from ondevice_bench.suite.cell import LearningPlan, Train
from ondevice_bench.suite.compose import OF_EVERY_BOARD
from ondevice_bench.suite.entries import (
    AS_LIST,
    MOST_EXAMPLES,
    NOT_EMPTY,
    ChoiceSchema,
    complete_methods,
    method_entries,
    model_entries,
)
from ondevice_bench.suite.goal import GOALS, Goal
from ondevice_bench.suite.suite import Condition, Sampling
from ondevice_bench.units import parse_bytes, parse_duration

LEAST_SUSTAINED, MOST_SUSTAINED = 120.0, 14_400.0  # seconds


def _name_of(kind: str, known: Callable[[], Collection[str]], mark: str = "") -> BeforeValidator:
    """A name that must be one of `known()`. The mark may stand before it."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be the name of a {kind}, got {value!r}")
        name = value.removeprefix(mark)
        if name not in known():
            raise ValueError(unknown(kind, name, known()))
        return value

    return reads(check, lambda: names(list(known())))


def _percent(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip())
        if match is None:
            raise ValueError(f"must be a share such as 2% or 0.02, got {value!r}")
        value = float(match[1]) / 100
    return Option("share", "", default=0.02, kind="float", above=0, maximum=1).check(value)


def duration(value: object) -> float:
    """Read a time: text such as 10m, or seconds."""
    if isinstance(value, str):
        value = parse_duration(value)
    return float(str(Option("duration", "", default=1.0, kind="float", above=0).check(value)))


def sustained_seconds(value: object) -> float:
    """Read `sustain: 20m`. Its first and last minute are compared, so they must be two."""
    seconds = duration(value)
    if not LEAST_SUSTAINED <= seconds <= MOST_SUSTAINED:
        raise ValueError(
            f"must be from 2m to 4h, because the first minute is compared with the last, got "
            f"{value!r}"
        )
    return seconds


def _profiles() -> list[str]:
    """The profiles that results can name."""
    return [name for name in declared("hardware") if is_name(name)]


PROFILE_NAME = _name_of("hardware profile", _profiles)
METHOD_NAME = _name_of("method", registry.methods)
ALLOCATOR_NAME = _name_of("allocator", lambda: allocators.BY_NAME)
GOAL_NAME = _name_of("goal", lambda: GOALS)
ADDED = "+"  # before the name of a pass: the default passes too
MEASURED_PASS = _name_of("pass", lambda: passes.IN_SUITES, mark=ADDED)


DURATION = reads(duration, time_text)


def _of_profiles(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        if name not in declared("hardware"):
            raise ValueError(unknown("hardware profile", name, declared("hardware")))
    return value


def _with_added(value: tuple[str, ...]) -> tuple[str, ...]:
    """The passes, each once. Marked ones come after the default passes."""
    marked = [name for name in value if name.startswith(ADDED)]
    if not marked:
        return tuple(dict.fromkeys(value))
    if len(marked) < len(value):
        raise ValueError(
            f"must name all passes ({value[0].removeprefix(ADDED)}), or only passes to add to the "
            f"default ({marked[0]}), not both"
        )
    return tuple(dict.fromkeys((*passes.BY_DEFAULT, *(name.removeprefix(ADDED) for name in value))))


def _without_momentum(value: Train) -> Train:
    if value.optimizer == "adamw" and value.momentum:
        raise ValueError("momentum is for sgd only: adamw has moments of its own")
    return value


_TRAIN: Any = read_as(
    Train,
    optimizer=Literal["sgd", "adamw"],
    lr=Annotated[float, Field(gt=0)],
    momentum=Annotated[float, Field(ge=0, le=1)],
    weight_decay=Annotated[float, Field(ge=0)],
    clip=Annotated[float, Field(gt=0)] | None,
    zero_grad=Literal["none", "zero"],
)
TRAIN: Any = Annotated[
    _TRAIN, AfterValidator(_without_momentum), ShownBeside(lambda: _SHOWN_WITHOUT_MOMENTUM)
]
_SHOWN_WITHOUT_MOMENTUM: JsonSchema = {
    "if": {"required": ["optimizer"], "properties": {"optimizer": {"const": "adamw"}}},
    "then": {"properties": {"momentum": {"const": 0}}},
}


def _ascending(value: tuple[float, ...]) -> tuple[float, ...]:
    rates = tuple(sorted(set(value)))
    if len(rates) < 2:
        raise ValueError("must have at least two rates: one rate alone is `train: {lr: RATE}`")
    return rates


_RATE: JsonSchema = {"type": "number", "exclusiveMinimum": 0}
_COUNT = Annotated[int, Field(ge=1, le=1_000_000)]
LEARNING: Any = read_as(
    LearningPlan,
    epochs=Annotated[int, Field(ge=1, le=1000)],
    target=Annotated[float, Field(gt=0, le=1)] | None,
    examples=_COUNT,
    validation=_COUNT,
    test=_COUNT,
    learning_rates=Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        AS_LIST,
        AfterValidator(_ascending),
        ShownAs(lambda: {"type": "array", "items": _RATE, "minItems": 2}),
    ],
    rate_epochs=Annotated[int, Field(ge=1, le=1000)],
)


def _in_order(value: Sampling) -> Sampling:
    if value.min_samples > value.max_samples:
        raise ValueError(
            f"min_samples ({value.min_samples}) exceeds max_samples ({value.max_samples})"
        )
    return value


SAMPLING: Any = Annotated[
    read_as(
        Sampling,
        warmup=Annotated[int, Field(ge=1, le=1000)],
        min_samples=Annotated[int, Field(ge=1, le=100_000)],
        max_samples=Annotated[int, Field(ge=1, le=100_000)],
        max_seconds=Annotated[float, DURATION],
        precision=Annotated[float, reads(_percent, shown.share)],
    ),
    AfterValidator(_in_order),
]


Processes = Annotated[int, Field(ge=1, le=1000)]


_ROUNDS: dict[str, Any] = {name: (Processes, usual) for name, usual in passes.ROUNDS.items()}
Rounds = create_model("Rounds", __base__=StrictSchema, **_ROUNDS)


def _of_every_pass(value: object) -> object:
    """Read `rounds: 5` as 5 new processes for each pass."""
    if isinstance(value, dict | Rounds):
        return value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"must be at least 1, or a mapping of passes, got {value!r}")
    return dict.fromkeys(passes.ROUNDS, value)


_SHOWN_ROUNDS = ShownAsOneOf(shown.rounds_of_all)


def _bytes(value: object) -> object:
    return parse_bytes(value) if isinstance(value, str) else value


GOAL = read_as(
    Goal,
    minimise=Annotated[str, GOAL_NAME],
    min_cosine=Annotated[float, Field(ge=-1, le=1)],
    max_peak_bytes=Annotated[
        Annotated[int, Field(gt=0)] | None, reads(_bytes, shown.peak), Field(alias="max_peak")
    ],
    max_slowdown=Annotated[float, Field(gt=0)] | None,
)
CONDITION = read_as(
    Condition,
    cells=Annotated[tuple[str, ...], AS_LIST, NOT_EMPTY],
    memory_gib=Annotated[float, Field(gt=0)],
)


class Defaults(StrictSchema):
    """`defaults`: options of every model or method that has them."""

    models: Annotated[dict[str, Any], ShownAs(lambda: _shown_defaults("models"))] = Field(
        default_factory=dict
    )
    methods: Annotated[dict[str, Any], ShownAs(lambda: _shown_defaults("methods"))] = Field(
        default_factory=dict
    )


def _shown_defaults(kind: str) -> JsonSchema:
    if kind == "methods":
        options = shown.default_options(registry.methods().values())
    else:  # with what every model has
        options = shown.default_options(registry.models().values()) | {
            "batch": one_or_list({"type": "integer", "minimum": 1, "maximum": MOST_EXAMPLES}),
            "weights": one_or_list(shown.weight_source()),
        }
    return {"type": "object", "properties": options, "additionalProperties": False}


class SuiteSchema(StrictSchema):
    """A suite file. `make_suite_schema` replaces the fields that depend on methods and models."""

    schema_version: Version = Field(alias="schema")
    title: str = Field(min_length=1)
    purpose: str = ""
    extends: str | None = None
    defaults: Defaults = Defaults()
    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)
    expected: Annotated[
        dict[str, Annotated[float, DURATION]],
        AfterValidator(_of_profiles),
        ShownBeside(lambda: {"propertyNames": names(list(declared("hardware")))}),
    ] = Field(default_factory=dict)
    models: tuple[ChoiceSchema, ...]
    methods: tuple[ChoiceSchema, ...]
    layers: Annotated[
        tuple[Annotated[tuple[str, ...], reads(parse, shown.layers)], ...], AS_LIST, NOT_EMPTY
    ] = (("all",),)
    hardware: Annotated[tuple[Annotated[str, PROFILE_NAME], ...], AS_LIST] = ()
    data: Any = DataSource()
    weights: Any = WeightSource()
    dtype: Annotated[tuple[Literal["float32", "float64", "bfloat16"], ...], AS_LIST, NOT_EMPTY] = (
        "float32",
    )
    train: Train = Train()
    learning: LearningPlan = LearningPlan()
    allocator: Annotated[tuple[Annotated[str, ALLOCATOR_NAME], ...], AS_LIST] = ()
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], AS_LIST, NOT_EMPTY] = (0,)
    rounds: Any = Rounds()
    measure: Annotated[
        tuple[Annotated[str, MEASURED_PASS], ...],
        AS_LIST,
        NOT_EMPTY,
        AfterValidator(_with_added),
        ShownAs(shown.measured),
    ] = passes.BY_DEFAULT
    time: Sampling = Sampling()
    sustain: Annotated[float | None, reads(sustained_seconds, lambda: _SHOWN_SUSTAIN)] = None
    timeout: Annotated[float, DURATION] = 600.0
    baseline: Annotated[str, METHOD_NAME] = "vanilla"
    goal: Goal = Goal()
    include: Annotated[tuple[str, ...], AS_LIST] = ()
    exclude: Annotated[tuple[str, ...], AS_LIST] = ()
    when: tuple[Condition, ...] = ()

    @classmethod
    def _shown(cls, found: JsonSchema) -> JsonSchema:
        """The keys of a file, and those of an override for a board, which has only some of them."""
        keys = found["properties"]
        on_a_board = {name: {LIKE_KEY: name} for name in keys if name not in OF_EVERY_BOARD}
        keys["overrides"] |= {
            "propertyNames": names(list(declared("hardware"))),
            "additionalProperties": {
                "type": "object",
                "properties": on_a_board,
                "additionalProperties": False,
            },
        }
        without_defaults = {
            "if": {"properties": {"defaults": {"not": {"required": ["methods"]}}}},
            "then": {"properties": {"methods": complete_methods()}},
        }
        return inheriting(found, without_defaults)


_SHOWN_SUSTAIN = shown.sustained(LEAST_SUSTAINED, MOST_SUSTAINED)


@cache
def make_suite_schema(folder: Path = Path()) -> type[SuiteSchema]:
    """Make the schema for all methods and models; files are under `folder`."""
    condition: Any = CONDITION
    source = Annotated[Any, reads(lambda value: data.parse(value, folder), shown.data_source)]
    weight = Annotated[Any, reads(lambda value: weights.parse(value, folder), shown.weight_source)]
    return create_model(
        "Suite",
        __base__=SuiteSchema,
        models=(model_entries(folder, weight), ...),
        methods=(method_entries(folder), ...),
        data=(source, DataSource()),
        weights=(weight, WeightSource()),
        train=(TRAIN, Train()),
        learning=(LEARNING, LearningPlan()),
        time=(SAMPLING, Sampling()),
        goal=(GOAL, Goal()),
        when=(Annotated[tuple[condition, ...], AS_LIST], ()),
        rounds=(Annotated[Rounds, BeforeValidator(_of_every_pass), _SHOWN_ROUNDS], Rounds()),
    )
