"""The suite file's schema; the options of models and methods come from their specs."""

import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, create_model, model_validator

from bench.declare.check import Strict
from bench.declare.folders import declared
from bench.errors import unknown
from bench.specs import data, registry, weights
from bench.specs.data import DataSource
from bench.specs.method import MethodSpec, OneOf
from bench.specs.model import ModelSpec
from bench.specs.option import Option
from bench.specs.weights import WeightSource
from bench.suite.goal import Goal, Minimised
from bench.suite.layers import parse
from bench.suite.suite import Axis, MethodChoice, ModelChoice
from bench.units import parse_bytes, parse_duration


def _as_list(value: object) -> object:
    """A scalar is a list of one: every axis of the matrix may be written either way."""
    return tuple(value) if isinstance(value, list) else (value,)


COMPOSE, OWN, OWN_MODEL = "compose", "./FILE.py:CLASS", "./FILE.py:NAME"
AS_LIST = BeforeValidator(_as_list)
NOT_EMPTY = Field(min_length=1)


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
    models: tuple["Entry", ...]
    methods: tuple["Entry", ...]
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


class Entry(Strict):
    """One entry of `models` or `methods`: a name, or `name: {options}`."""

    key_kind: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _one_name(cls, value: object) -> object:
        if isinstance(value, str):
            return {value: {}}
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"must be one {cls.key_kind} name, or `name: {{options}}`")
        return {name: {} if options is None else options for name, options in value.items()}

    @property
    def chosen(self) -> tuple[str, Strict]:
        """The name and its options."""
        (name,) = self.model_fields_set
        options: Strict = getattr(self, name)
        return name, options

    def axes(self, spec: MethodSpec | ModelSpec, prefix: str = "") -> tuple[Axis, ...]:
        """The options that the user set, in the spec's order."""
        _, options = self.chosen
        if isinstance(options, OwnMethod | OwnModel):
            return tuple(Axis(f"{prefix}{name}", given) for name, given in options.options.items())
        return tuple(
            Axis(f"{prefix}{option.name}", getattr(options, option.name))
            for option in spec.options
            if option.name in options.model_fields_set
        )

    def model(self) -> ModelChoice:
        """Give this entry of `models` to the engine."""
        name, options = self.chosen
        if isinstance(options, OwnModel):
            name = options.name
        batches: tuple[int, ...] = getattr(options, "batch")  # noqa: B009  # a dynamic field
        sources: tuple[WeightSource, ...] = getattr(options, "weights")  # noqa: B009
        return ModelChoice(name, batches, self.axes(registry.model(name)), sources)

    def method(self) -> MethodChoice:
        """Give this entry of `methods` to the engine."""
        name, _ = self.chosen
        if name == COMPOSE:
            return self._composed()
        name = self.method_name
        return MethodChoice(name, axes=self.axes(registry.method(name)))

    @property
    def method_name(self) -> str:
        """The method's name in ids and in the registry."""
        name, options = self.chosen
        return options.name if isinstance(options, OwnMethod) else name

    def _composed(self) -> MethodChoice:
        entries: tuple[Entry, ...] = getattr(self, COMPOSE)
        by_name = {entry.method_name: entry for entry in entries}
        name = registry.composed(by_name)
        axes = (
            by_name[part].axes(registry.method(part), prefix=f"{part}.") for part in name.split("+")
        )
        return MethodChoice(name, axes=tuple(itertools.chain(*axes)))


class Options(Strict):
    """The options of one method or model; fields come from its spec."""

    key_kind: ClassVar[str] = "option"
    one_of: ClassVar[tuple[OneOf, ...]] = ()

    @model_validator(mode="after")
    def _one_of_each_group(self) -> "Options":
        for group in self.one_of:
            problem = group.problem(self.model_fields_set)
            if problem is not None:
                raise ValueError(problem)
        return self


class OwnMethod(Strict):
    """A method in a user's own file: any option, each a value or a list of them."""

    name: str
    options: dict[str, tuple[bool | int | float | str, ...]]


class OwnModel(Strict):
    """A user's network: `batch`, `weights`, and any option of its factory."""

    usual_batch: ClassVar[int] = 8
    name: str
    options: dict[str, tuple[bool | int | float | str, ...]]


def suite_schema(folder: Path = Path()) -> type[SuiteFile]:
    """Make the schema for the methods and models that are known now; files are under `folder`."""
    source = Annotated[Any, BeforeValidator(lambda value: data.parse(value, folder))]
    weight = Annotated[Any, BeforeValidator(lambda value: weights.parse(value, folder))]
    sources: Any = Annotated[tuple[weight, ...], AS_LIST, NOT_EMPTY]
    batches: Any = Annotated[tuple[Annotated[int, Field(ge=1)], ...], AS_LIST, NOT_EMPTY]
    models = {
        spec.name: _options(spec, batch=(batches, (spec.batch,)), weights=(sources, ()))
        for spec in registry.models().values()
    }
    own = create_model(
        "own model",
        __base__=OwnModel,
        batch=(batches, (OwnModel.usual_batch,)),
        weights=(sources, ()),
    )
    methods = {spec.name: _options(spec) for spec in registry.methods().values()}
    return create_model(
        "Suite",
        __base__=SuiteFile,
        models=(_model_entries(models, own, folder), ...),
        methods=(_method_entries(methods, folder), ...),
        data=(source, DataSource()),
        weights=(weight, WeightSource()),
    )


def _options(spec: MethodSpec | ModelSpec, **more: Any) -> type[Options]:
    fields: dict[str, Any] = {}
    for option in spec.options:
        value = Annotated[Any, BeforeValidator(option.check)]
        fields[option.name] = (
            Annotated[tuple[value, ...], AS_LIST, NOT_EMPTY],
            (option.default,),
        )
    schema = create_model(spec.name, __base__=Options, **more, **fields)
    schema.one_of = spec.one_of if isinstance(spec, MethodSpec) else ()
    return schema


def _entry(kind: str, names: Mapping[str, Any], **more: Any) -> type[Entry]:
    fields: dict[str, Any] = {name: (schema | None, None) for name, schema in names.items()}
    entry = create_model(f"{kind} entry", __base__=Entry, **fields, **more)
    entry.key_kind = kind
    return entry


def _model_entries(names: Mapping[str, Any], own_model: type[OwnModel], folder: Path) -> Any:
    """Models, and users' own ones in files, modules and other libraries."""
    own: Any = (own_model | None, Field(None, alias=OWN_MODEL))
    entry: Any = Annotated[_entry("model", names, own=own), BeforeValidator(_own_models_in(folder))]
    return Annotated[tuple[entry, ...], AS_LIST, NOT_EMPTY]


def _own_models_in(folder: Path) -> Callable[[object], object]:
    """`./mynet.py:net: {options}` as what the schema knows."""

    def rewrite(value: object) -> object:
        named = _named(value, registry.is_own_model)
        if named is None:
            return value
        name, given = named
        known = {key: given[key] for key in ("batch", "weights") if key in given}
        options = {key: _as_list(said) for key, said in given.items() if key not in known}
        spec = registry.own_model(name, folder)
        return {OWN_MODEL: {"name": spec.name, "options": options, **known}}

    return rewrite


def _method_entries(names: Mapping[str, Any], folder: Path) -> Any:
    """Methods, users' own ones in files, and compositions of them."""
    own: Any = (OwnMethod | None, Field(None, alias=OWN))
    part: Any = Annotated[_entry("method", names, own=own), BeforeValidator(_own_in(folder))]
    parts: Any = Annotated[tuple[part, ...], AS_LIST, NOT_EMPTY, AfterValidator(_composable)]
    entry: Any = Annotated[
        _entry("method", {**names, COMPOSE: parts}, own=own), BeforeValidator(_own_in(folder))
    ]
    return Annotated[tuple[entry, ...], AS_LIST, NOT_EMPTY]


def _own_in(folder: Path) -> Callable[[object], object]:
    """`./mine.py:Mine: {options}` as what the schema knows."""

    def rewrite(value: object) -> object:
        named = _named(value, registry.is_own)
        if named is None:
            return value
        name, given = named
        lists = {key: _as_list(said) for key, said in given.items()}
        return {OWN: {"name": registry.own_method(name, folder).name, "options": lists}}

    return rewrite


def _named(value: object, is_own: Callable[[str], bool]) -> tuple[str, dict[Any, Any]] | None:
    """The name and options of an entry that means the user's own code; None for all others."""
    named = {value: {}} if isinstance(value, str) else value
    if not isinstance(named, dict) or len(named) != 1:
        return None
    ((name, options),) = named.items()
    if not isinstance(name, str) or not is_own(name):
        return None
    given = {} if options is None else options
    if not isinstance(given, dict):
        raise ValueError(f"{name}: options must be a mapping, got {given!r}")
    return name, given


def _composable(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    names = [entry.method_name for entry in entries]
    replacing = [name for name in names if registry.method(name).treats]
    if len(set(names)) < 2 or len(set(names)) != len(names):
        raise ValueError("must name two or more different methods")
    if len(replacing) > 1:
        raise ValueError(f"{' and '.join(replacing)} both replace layers: compose one of them")
    return entries
