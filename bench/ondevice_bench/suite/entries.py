"""Entries of a suite's `models` and `methods`: names, users' own code, compositions, mixes."""

import itertools
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    create_model,
    model_validator,
)

from ondevice_bench.declare.schema import StrictSchema
from ondevice_bench.declare.shown import (
    JsonSchema,
    OneOrList,
    ShownAs,
    ShownBeside,
    any_of,
    one_or_list,
)
from ondevice_bench.errors import not_allowed
from ondevice_bench.specs import composition, registry, single_layer
from ondevice_bench.specs.method import MethodSpec
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import Group, require_one_line
from ondevice_bench.specs.signature import options_of_method
from ondevice_bench.specs.weights import WeightSource
from ondevice_bench.suite import shown
from ondevice_bench.suite.mix_schema import MIX, MixSchema, mix_schema
from ondevice_bench.suite.suite import Axis, MethodChoice, ModelChoice

COMPOSE, OWN, OWN_MODEL = "compose", "./FILE.py:CLASS", "./FILE.py:NAME"
LAYER, LAYER_OPTIONS = single_layer.FORMS, ("batch", "weights")
NOT_EMPTY = Field(min_length=1)
MOST_EXAMPLES = (1 << 31) - 1  # of a batch; no bundle can have more
BatchSize = Annotated[int, Field(ge=1, le=MOST_EXAMPLES)]


def _as_list(value: object) -> tuple[object, ...]:
    """A scalar is a list of one: every axis of the matrix may be written either way."""
    return tuple(value) if isinstance(value, list) else (value,)


AS_LIST = OneOrList(_as_list)


class ChoiceSchema(StrictSchema):
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

    @classmethod
    def _shown(cls, found: JsonSchema) -> JsonSchema:
        options = {name: each["anyOf"] for name, each in found["properties"].items()}
        own = {
            pattern(): any_of(*options.pop(key))
            for key, pattern in _PATTERNS.items()
            if key in options
        }
        specs: list[MethodSpec | ModelSpec] = []
        specs += [*registry.methods().values(), *registry.models().values()]
        known = {spec.name: spec.title for spec in specs if spec.name in options}
        for name, (given, *_) in options.items():
            if name not in known:  # `compose` and `mix` have content of their own
                options[name] = [given]
        return shown.entry(known, {key: any_of(*each) for key, each in options.items()}, own)

    @property
    def name_and_options(self) -> tuple[str, StrictSchema]:
        """The name and its options."""
        (name,) = self.model_fields_set
        options: StrictSchema = getattr(self, name)
        return name, options

    def axes(self, spec: MethodSpec | ModelSpec, prefix: str = "") -> tuple[Axis, ...]:
        """The options that the user set, in the spec's order; those of a user's code by name."""
        _, options = self.name_and_options
        if isinstance(options, OwnMethodSchema | OwnModelSchema):
            return tuple(
                Axis(f"{prefix}{name}", options.options[name]) for name in sorted(options.options)
            )
        return tuple(
            Axis(f"{prefix}{option.name}", getattr(options, option.name))
            for option in spec.options
            if option.name in options.model_fields_set
        )

    def model(self) -> ModelChoice:
        """This entry of `models`, as a suite holds it."""
        name, options = self.name_and_options
        if isinstance(options, OwnModelSchema | LayerSchema):
            name = options.name
        batches: tuple[int, ...] = getattr(options, "batch")  # noqa: B009  # a dynamic field
        sources: tuple[WeightSource, ...] = getattr(options, "weights")  # noqa: B009  # a dynamic field
        return ModelChoice(name, batches, self.axes(registry.model(name)), sources)

    def method(self) -> MethodChoice:
        """This entry of `methods`, as a suite holds it."""
        name, options = self.name_and_options
        if name == COMPOSE:
            return self._composed()
        if isinstance(options, MixSchema):
            return options.method()
        name = self.method_name
        return MethodChoice(name, axes=self.axes(registry.method(name)))

    @property
    def method_name(self) -> str:
        """The method's name in ids and in the registry."""
        name, options = self.name_and_options
        return options.name if isinstance(options, OwnMethodSchema) else name

    def _composed(self) -> MethodChoice:
        entries: tuple[ChoiceSchema, ...] = getattr(self, COMPOSE)
        by_name = {entry.method_name: entry for entry in entries}
        name = composition.composed(by_name)
        axes = (
            by_name[part.spec.name].axes(part.spec, part.prefix) for part in composition.parts(name)
        )
        return MethodChoice(name, axes=tuple(itertools.chain(*axes)))


class OptionsSchema(StrictSchema):
    """The options of one method or model; fields come from its spec."""

    key_kind: ClassVar[str] = "option"
    one_of: ClassVar[tuple[Group, ...]] = ()

    @classmethod
    def _shown(cls, found: JsonSchema) -> JsonSchema:
        groups = shown.exclusive(cls.one_of)
        return {**found, "allOf": groups} if groups else found

    @model_validator(mode="after")
    def _one_of_each_group(self) -> "OptionsSchema":
        for group in self.one_of:
            problem = group.problem(self.model_fields_set)
            if problem is not None:
                raise ValueError(problem)
        return self


class _OwnSchema(StrictSchema):
    """The options of a user's code. JSON Schema shows them as they are written in the file."""

    @classmethod
    def _shown(cls, found: JsonSchema) -> JsonSchema:
        del found["required"], found["properties"]["name"]
        if found["properties"].pop("options", None):
            found["additionalProperties"] = shown.any_option()
        return found


class OwnMethodSchema(_OwnSchema):
    """A method in a user's own file: any option, each a value or a list of them."""

    name: str
    options: dict[str, tuple[bool | int | float | str, ...]]


class OwnModelSchema(_OwnSchema):
    """A user's network: `batch`, `weights`, and any option of its factory."""

    usual_batch: ClassVar[int] = 8
    name: str
    options: dict[str, tuple[bool | int | float | str, ...]]


class LayerSchema(_OwnSchema):
    """A single layer: `batch` and `weights`."""

    name: str


def _options(spec: MethodSpec | ModelSpec, **more: Any) -> type[OptionsSchema]:
    fields: dict[str, Any] = {}
    for option in spec.options:
        value = Annotated[Any, BeforeValidator(option.check)]
        seen = ShownAs(partial(shown.option, option))
        fields[option.name] = (
            Annotated[tuple[value, ...], AS_LIST, NOT_EMPTY, seen],
            (option.default,),
        )
    schema = create_model(spec.name, __base__=OptionsSchema, __doc__=spec.title, **more, **fields)
    schema.one_of = spec.one_of if isinstance(spec, MethodSpec) else ()
    return schema


def _entry(
    kind: str, names: Mapping[str, Any], inside: str = "", **more: Any
) -> type[ChoiceSchema]:
    fields: dict[str, Any] = {name: (schema | None, None) for name, schema in names.items()}
    entry = create_model(inside or f"{kind} entry", __base__=ChoiceSchema, **fields, **more)
    entry.key_kind = kind
    return entry


def model_entries(folder: Path, weight: Any) -> Any:
    """Models, single layers, and users' own models.

    A user's own model is in a file (under `folder`), a module or another library.
    """
    sources: Any = Annotated[tuple[weight, ...], AS_LIST, NOT_EMPTY]
    batches: Any = Annotated[tuple[BatchSize, ...], AS_LIST, NOT_EMPTY]
    names = {
        spec.name: _options(spec, batch=(batches, (spec.batch,)), weights=(sources, ()))
        for spec in registry.models().values()
    }
    own_model = create_model(
        "own model",
        __base__=OwnModelSchema,
        batch=(batches, (OwnModelSchema.usual_batch,)),
        weights=(sources, ()),
    )
    layer = create_model(
        "layer",
        __base__=LayerSchema,
        batch=(batches, (single_layer.BATCH,)),
        weights=(sources, ()),
    )
    more: dict[str, Any] = {
        "own": (own_model | None, Field(None, alias=OWN_MODEL)),
        "layer": (layer | None, Field(None, alias=LAYER)),
    }
    own_code = _rewritten(registry.is_own_model, partial(_own_model, folder=folder))
    single = _rewritten(registry.is_single_layer, _layer)
    entry: Any = Annotated[_entry("model", names, **more), own_code, single]
    return Annotated[tuple[entry, ...], AS_LIST, NOT_EMPTY]


def _own_model(name: str, settings: dict[Any, Any], folder: Path) -> dict[str, Any]:
    common = {key: settings[key] for key in ("batch", "weights") if key in settings}
    options = _own_options({key: each for key, each in settings.items() if key not in common})
    own_name = registry.own_model(name, folder).name
    return {OWN_MODEL: {"name": own_name, "options": options, **common}}


def _layer(name: str, settings: dict[Any, Any]) -> dict[str, Any]:
    for key in settings:
        if key not in LAYER_OPTIONS:
            problem = not_allowed("option", str(key), LAYER_OPTIONS)
            raise ValueError(f"{problem}; write arguments of the layer between its brackets")
    return {LAYER: {**settings, "name": single_layer.spec(name).name}}


def method_entries(folder: Path) -> Any:
    """Methods, users' own ones in files under `folder`, compositions and mixes of them."""
    names = {spec.name: _options(spec) for spec in registry.methods().values()}
    own: Any = (OwnMethodSchema | None, Field(None, alias=OWN))
    own_code = _rewritten(registry.is_own, partial(_own_method, folder=folder))
    part: Any = Annotated[_entry("method", names, "method of a composition", own=own), own_code]
    several_parts = ShownBeside(lambda: {"type": "array", "minItems": 2})
    parts: Any = Annotated[
        tuple[part, ...], AS_LIST, NOT_EMPTY, AfterValidator(_composable), several_parts
    ]
    several = {**names, COMPOSE: parts}
    joined: Any = Annotated[_entry("method", several, "method of a mix", own=own), own_code]
    every = {**several, MIX: mix_schema(joined)}
    entry: Any = Annotated[_entry("method", every, own=own), own_code]
    return Annotated[tuple[entry, ...], AS_LIST, NOT_EMPTY]


def complete_methods() -> JsonSchema:
    """The JSON Schema of `methods` in a suite without `defaults` for methods."""
    needs = {spec.name: shown.needed(spec.one_of) for spec in registry.methods().values()}
    options = {name: {"type": "object", "allOf": each} for name, each in needs.items() if each}
    names = {"type": ["string", "object"], "not": {"enum": list(options)}}
    several = {**options, COMPOSE: {"items": {**names, "properties": options}}}
    every = {**several, MIX: {"additionalProperties": {**names, "properties": several}}}
    return one_or_list({**names, "properties": every})


_PATTERNS: dict[str, Callable[[], str]] = {
    OWN: lambda: shown.OWN_METHOD,
    OWN_MODEL: lambda: shown.OWN_MODEL,
    LAYER: shown.single_layers,
}


def _own_method(name: str, settings: dict[Any, Any], folder: Path) -> dict[str, Any]:
    spec = registry.own_method(name, folder)
    file, _, kind = spec.implementation.rpartition(":")
    known = options_of_method(Path(file), kind)
    for key in settings:
        if known is not None and key not in known:
            raise ValueError(not_allowed("option", str(key), sorted(known)))
    return {OWN: {"name": spec.name, "options": _own_options(settings)}}


def _own_options(settings: Mapping[Any, Any]) -> dict[Any, tuple[object, ...]]:
    """The options of a user's code, each as a list."""
    options = {key: _as_list(value) for key, value in settings.items()}
    for key, values in options.items():
        require_one_line("an option's name", str(key))
        if not values:
            raise ValueError(f"{key} must not be empty")
        for value in values:
            if not _is_scalar(value):
                got = repr(value)[:60]
                raise ValueError(f"{key} must be text, a number, true or false, got {got}")
            require_one_line(key, str(value))
    return options


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool | int | str) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _rewritten(
    is_meant: Callable[[str], bool], entry_of: Callable[[str, dict[Any, Any]], dict[str, Any]]
) -> BeforeValidator:
    """Rewrite `./mynet.py:net: {options}` to a key of the schema; other entries stay."""

    def rewrite(value: object) -> object:
        pair = _name_and_options(value, is_meant)
        return value if pair is None else entry_of(*pair)

    return BeforeValidator(rewrite)


def _name_and_options(
    value: object, is_meant: Callable[[str], bool]
) -> tuple[str, dict[Any, Any]] | None:
    """The name and options of an entry with such a name; None for all other entries."""
    entry = {value: {}} if isinstance(value, str) else value
    if not isinstance(entry, dict) or len(entry) != 1:
        return None
    ((name, options),) = entry.items()
    if not isinstance(name, str) or not is_meant(name):
        return None
    settings = {} if options is None else options
    if not isinstance(settings, dict):
        raise ValueError(f"{name}: options must be a mapping, got {settings!r}")
    return name, settings


def _composable(entries: tuple[ChoiceSchema, ...]) -> tuple[ChoiceSchema, ...]:
    names = [entry.method_name for entry in entries]
    if len(set(names)) < 2 or len(set(names)) != len(names):
        raise ValueError("must name two or more different methods")
    reason = composition.composition_refusal([registry.method(name) for name in names])
    if reason is not None:
        raise ValueError(reason)
    return entries
