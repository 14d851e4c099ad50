"""`mix` in a suite: a map from layers to methods, and the user's label for it."""

import re
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    create_model,
    field_validator,
    model_validator,
)

from ondevice_bench.declare import shown as forms
from ondevice_bench.declare.schema import StrictSchema, is_name
from ondevice_bench.declare.shown import JsonSchema
from ondevice_bench.specs import composition, mix, registry
from ondevice_bench.specs.layer_choice import parse
from ondevice_bench.suite import shown
from ondevice_bench.suite.suite import Axis, MethodChoice

MIX, LABEL = "mix", "label"


class MixSchema(StrictSchema):
    """The entries of a mix, by the text of their layers."""

    key_kind: ClassVar[str] = "method"
    label: str = ""
    entries: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _label_apart(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise ValueError(f"must map layers to methods, such as `conv: lora`, got {value!r}")
        entries = {layers: methods for layers, methods in value.items() if layers != LABEL}
        if not entries:
            raise ValueError("must map layers to methods, such as `conv: lora`, got none")
        return {"entries": entries, **({LABEL: value[LABEL]} if LABEL in value else {})}

    @classmethod
    def _shown(cls, found: JsonSchema) -> JsonSchema:
        entry = found["properties"]["entries"]["additionalProperties"]
        kept = {key: each for key, each in found.items() if key != "required"}
        return {
            **kept,
            "properties": {LABEL: shown.label(registry.methods())},
            "patternProperties": {forms.text(shown.mix_layers())["pattern"]: entry},
            "minProperties": 1,
            "dependentSchemas": {LABEL: {"minProperties": 2}},
        }

    @field_validator(LABEL)
    @classmethod
    def _is_short_and_new(cls, label: str) -> str:
        if not (re.fullmatch(r"\w[\w.-]{0,39}", label) and is_name(label)):
            raise ValueError(
                f"must be up to 40 letters, digits, '.', '_' and '-', got {label[:60]!r}"
            )
        if label in registry.methods():
            raise ValueError(f"{label!r} is the name of a method")
        return label

    def method(self) -> MethodChoice:
        """The mix, as a suite holds it."""
        entries: list[mix.Entry] = []
        axes: list[Axis] = []
        for text, entry in self.entries.items():
            (layers,) = parse(text)
            choice: MethodChoice = entry.method()
            methods = composition.names(choice.name)
            owner = f"{layers}={choice.name}." if len(methods) == 1 else f"{layers}="
            entries.append(mix.Entry(layers, methods))
            axes += [Axis(f"{owner}{axis.name}", axis.values) for axis in choice.axes]
        return MethodChoice(mix.name_of(entries), tuple(axes), self.label)


def mix_schema(entry: Any) -> type[MixSchema]:
    """The schema of mixes whose entries have this type."""
    layers: Any = Annotated[str, AfterValidator(_with_one_choice)]
    return create_model("mix", __base__=MixSchema, entries=(dict[layers, entry], ...))


def _with_one_choice(text: str) -> str:
    """The text of a choice of layers that can be a part of a name."""
    parse(text)
    mark = next((mark for mark in mix.MARKS if mark in text), None)
    if mark is not None:
        raise ValueError(f"a pattern of a mix cannot have {mark!r}, got {text!r}")
    return text
