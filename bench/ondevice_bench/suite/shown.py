"""The JSON Schema of values in a suite that functions read."""

from collections.abc import Collection, Iterable, Mapping

from ondevice_bench import passes
from ondevice_bench.declare.shown import (
    MORE_THAN_ZERO,
    JsonSchema,
    any_of,
    described,
    names,
    one_or_list,
    text,
)
from ondevice_bench.specs import data, layer_choice, mix, single_layer, weights
from ondevice_bench.specs.method import MethodSpec
from ondevice_bench.specs.model import ModelSpec
from ondevice_bench.specs.option import CONTROL, Beside, Group, Option
from ondevice_bench.units import DURATION, SIZE

_IDENTIFIER = r"[^\W\d]\w*"
# keys of entries that are not names of the registry
OWN_METHOD = rf"[\s\S]*\.py:{_IDENTIFIER}"
OWN_MODEL = rf"[\s\S]*\.py|transformers:[\s\S]+|[\s\S]*:{_IDENTIFIER}"
_NULL: JsonSchema = {"type": "null"}
_COUNT: JsonSchema = {"type": "integer", "minimum": 1}
_DECAY: JsonSchema = {"type": "number", "exclusiveMinimum": 0, "maximum": 10}
_SCALAR: JsonSchema = {"type": ["boolean", "number", "string"]}


def option(each: Option) -> JsonSchema:
    """One value or several values of an option."""
    usual = "" if each.default is None else f" (default: {_as_yaml(each.default)})"
    return described(one_or_list(_value(each)), f"{each.help}{usual}".strip())


def any_option() -> JsonSchema:
    """The values of an option of a user's own code."""
    return one_or_list(_SCALAR)


def default_options(specs: Iterable[MethodSpec | ModelSpec]) -> JsonSchema:
    """All options of these specs. Options with the same name may take different values."""
    found: dict[str, list[JsonSchema]] = {}
    for spec in specs:
        for each in spec.options:
            choices = found.setdefault(each.name, [])
            if (shown := option(each)) not in choices:
                choices.append(shown)
    return {name: any_of(*choices) for name, choices in found.items()}


def titles(specs: Iterable[MethodSpec | ModelSpec]) -> dict[str, str]:
    """The names of methods or models, each with its title."""
    return {spec.name: spec.title for spec in specs}


def exclusive(groups: Iterable[Group]) -> list[JsonSchema]:
    """At most one option of each group."""
    return [
        {"oneOf": [*_with_each(group.names), {"properties": dict.fromkeys(group.names, False)}]}
        for group in groups
        if len(group.names) > 1
    ]


def needed(groups: Iterable[Group]) -> list[JsonSchema]:
    """The options that an entry must have, if no `defaults` give them."""
    shown: list[JsonSchema] = []
    for group in groups:
        if isinstance(group, Beside):
            shown.append({"dependentSchemas": {group.name: {"anyOf": _with_each(group.others)}}})
        elif group.required:
            shown.append({"anyOf": _with_each(group.names)})
    return shown


def entry(
    known: Mapping[str, str], options: JsonSchema, own: Mapping[str, JsonSchema]
) -> JsonSchema:
    """One entry of `models` or `methods`: a name, or a name with options.

    `own` has the options of names that are not in the registry, by the pattern of the name.
    """
    with_options = {
        "type": "object",
        "properties": options,
        "patternProperties": {text(pattern)["pattern"]: shown for pattern, shown in own.items()},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return any_of(names(known), *map(text, own), with_options)


def layers() -> JsonSchema:
    """One entry of `layers`."""
    last = any_of(_COUNT, text(r"[1-9][0-9]* of \S+"))
    return any_of(
        names(layer_choice.WORDS),
        text(_LAYERS),
        _one_key("last", one_or_list(last)),
        _one_key("last_blocks", one_or_list(_COUNT)),
        _one_key("pattern", one_or_list(text(_ONE_LINE))),
    )


_ONE_LINE = f"[^{CONTROL}]+"
_NUMBER = r"0*[1-9][0-9]*"
_LAYERS = (
    r"\s*(?:all|mlp|attention|conv|attention\s*\+\s*mlp|mlp\s*\+\s*attention)\s*"
    rf"|\s*last\s*:\s*(?:{_NUMBER}|[1-9][0-9]* of \S+)\s*"
    rf"|\s*last_blocks\s*:\s*{_NUMBER}\s*"
    rf"|\s*pattern\s*:\s*[^\s{CONTROL}][^{CONTROL}]*\s*"
)


def one_choice_of_layers() -> JsonSchema:
    """`layers` of a claim, or a choice of layers from the command line."""
    last = any_of(_COUNT, text(r"[1-9][0-9]* of \S+"))
    return any_of(
        names(layer_choice.WORDS),
        text(_LAYERS),
        _one_key("last", _alone(last)),
        _one_key("last_blocks", _alone(_COUNT)),
        _one_key("pattern", _alone(text(_ONE_LINE))),
        _NULL,
    )


def _alone(item: JsonSchema) -> JsonSchema:
    return any_of(item, {"type": "array", "items": item, "minItems": 1, "maxItems": 1})


def mix_layers() -> str:
    """The pattern of a key of a mix. It excludes the signs that separate the parts of a mix."""
    return rf"(?![\s\S]*[{''.join(mix.MARKS)}])(?:{_LAYERS})"


def label(taken: Collection[str]) -> JsonSchema:
    """The user's name for a mix."""
    words = "Your own name for the mix, in ids and tables."
    return {**text(r"\w[\w.-]{0,39}"), "not": {"enum": list(taken)}, "description": words}


def data_source() -> JsonSchema:
    """`data`."""
    path: JsonSchema = {"type": "string", "minLength": 1}
    called = text(r"\w*")
    words, readers = "|".join(data.WORDS), "|".join(data.READERS)
    decay = _one_key("decay", _DECAY)
    return any_of(
        names(data.WORDS),
        text(rf"\s*(?:{words})\s*|\s*synthetic\s*:\s*noise\s*|\s*(?:{readers})\s*:\s*\S[\s\S]*"),
        _one_key("synthetic", any_of(decay, {"const": "noise"}, _NULL)),
        *(_one_key(word, _NULL) for word in data.WORDS if word != "synthetic"),
        *(_one_key(reader, path, {data.NAME: called}) for reader in data.READERS),
    )


def weight_source() -> JsonSchema:
    """`weights`."""
    endings = "|".join(suffix.replace(".", r"\.") for suffix in weights.SUFFIXES)
    file = text(rf"[\s\S]*(?:{endings})")
    spectrum = _one_key("spectrum", _DECAY)
    return any_of(names(weights.WORDS), file, spectrum, _one_key(weights.PRETRAINED, file))


def measured() -> JsonSchema:
    """`measure`: the passes, or passes to add to the default ones."""
    every = {name: passes.BY_NAME[name].purpose for name in passes.IN_SUITES}
    added = {f"+{name}": f"{purpose}, added to the default" for name, purpose in every.items()}
    return any_of(one_or_list(names(every)), one_or_list(names(added)))


def rounds_of_all() -> JsonSchema:
    """`rounds` as one number."""
    return {**_COUNT, "maximum": 1000}


def sustained(least: float, most: float) -> JsonSchema:
    """`sustain`."""
    return any_of(
        {"type": "number", "minimum": least, "maximum": most},
        text(MORE_THAN_ZERO + DURATION),
    )


def share() -> JsonSchema:
    """A share of one as a number, or `2%`."""
    number = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    percent = r"0*(?:[0-9]{1,2}(?:\.[0-9]+)?|100(?:\.0+)?)"
    return any_of(number, text(rf"{MORE_THAN_ZERO}\s*{percent}\s*%\s*"))


def peak() -> JsonSchema:
    """A limit of memory: bytes, or `2G`."""
    return any_of({"type": "integer", "exclusiveMinimum": 0}, text(MORE_THAN_ZERO + SIZE), _NULL)


def single_layers() -> str:
    """The pattern of the names of single layers."""
    return "|".join(single_layer.patterns())


def _value(each: Option) -> JsonSchema:
    bounds = {
        "minimum": each.minimum,
        "exclusiveMinimum": each.above,
        "maximum": each.maximum,
        "multipleOf": each.multiple_of,
    }
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    match each.kind:
        case "bool":
            return {"type": "boolean"}
        case "choice":
            return names(each.choices)
        case "rank":
            return any_of({"type": "integer", **given}, text(r"[1-9][0-9]*(?:x[1-9][0-9]*)+"))
    if each.steps:
        return names(each.steps)
    return {"type": "integer" if each.kind == "int" else "number", **given}


def _as_yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_each(options: Iterable[str]) -> list[JsonSchema]:
    return [{"required": [name]} for name in options]


def _one_key(
    key: str, value: JsonSchema, beside: Mapping[str, JsonSchema] | None = None
) -> JsonSchema:
    """A mapping with this key. It may have the keys of `beside`, too."""
    return {
        "type": "object",
        "properties": {key: value, **(beside or {})},
        "required": [key],
        "additionalProperties": False,
    }
