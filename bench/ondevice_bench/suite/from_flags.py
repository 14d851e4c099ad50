"""A suite from the command line: the same words as in a file, checked by the same schema."""

import json
import re
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ondevice_bench.errors import BadInput, suggestion
from ondevice_bench.specs import registry
from ondevice_bench.specs.signature import options_of_method
from ondevice_bench.suite.from_keys import name_of, suite_of_keys
from ondevice_bench.suite.method_text import as_entry, methods_in
from ondevice_bench.suite.suite import Suite

SOURCE = "command line"
DEFAULT_FRACTION = "0.125"
ASSUMED = (
    f"no rank rule is given: each rank is 1/8 of the largest one (--fraction {DEFAULT_FRACTION})"
)


@dataclass(frozen=True)
class Words:
    """The words of a suite on the command line. Other keys have the defaults of a file."""

    models: Sequence[str]
    methods: Sequence[str] = ()
    options: Sequence[str] = ()  # NAME=VALUE
    ranks: Mapping[str, Sequence[str]] | None = None  # by rank rule
    layers: Sequence[str] = ()
    batches: Sequence[int] = ()
    data: str | None = None
    weights: str | None = None
    allocators: Sequence[str] = ()

    def suite(self) -> Suite:
        """The suite of these words. Its text is a suite file with the same content."""
        texts = list(self.methods) or ["vanilla"]
        methods = [name for text in texts for name in methods_in(text)]
        options_by_name = _options(self.options)
        for rule, values in (self.ranks or {}).items():
            if values:
                options_by_name.setdefault(rule, []).extend(map(_value, values))
        of_models = {name for model in self.models for name in _declared(model)}
        per_method = {
            method: _method_options(method, options_by_name, of_models) for method in methods
        }
        used = {name for options in per_method.values() for name in options}
        unused = {name: values for name, values in options_by_name.items() if name not in used}
        per_model = {model: _model_options(model, unused) for model in self.models}
        used |= {name for options in per_model.values() for name in options}
        for name in options_by_name:
            if name not in used:
                raise BadInput(f"--option {name}: {_no_such_option(name, self.models, methods)}")
        if self.batches:
            if min(self.batches) < 1:
                raise BadInput(f"--batch: must be at least 1, got {min(self.batches)}")
            for options in per_model.values():
                options["batch"] = list(self.batches)
        keys: dict[str, Any] = {
            "schema": 1,
            "title": f"{', '.join(texts)} on {', '.join(self.models)}",
            "models": [{model: options} for model, options in per_model.items()],
            "methods": [as_entry(text, per_method) for text in dict.fromkeys(texts)],
        }
        for key, names in (("layers", self.layers), ("allocator", self.allocators)):
            if names:
                keys[key] = list(names)
        for key, value in (("data", self.data), ("weights", self.weights)):
            if value is not None:
                keys[key] = _braced(value)
        try:
            return suite_of_keys(SOURCE, keys, name_of(self.models))
        except BadInput as error:
            given = {"model": list(per_model), "method": list(dict.fromkeys(texts))}
            raise BadInput(*(_by_flag(line, given) for line in error.lines)) from None


def with_a_rank_rule(words: Words) -> Words:
    """The words with a fraction of 1/8, if a method of `bench` has ranks and no rule is given.

    Who prints numbers of these words says so (`ASSUMED`). A suite file must name its rule.
    """
    rules = [option.partition("=")[0].rpartition(".")[2] for option in words.options]
    rules += [rule for rule, values in (words.ranks or {}).items() if values]
    if not any(_needs_fraction(method, rules) for method in words.methods):
        return words
    return replace(words, ranks={**(words.ranks or {}), "fraction": [DEFAULT_FRACTION]})


def _needs_fraction(method: str, rules: Collection[str]) -> bool:
    """Whether the method has ranks and none of these options decides about them."""
    known = [name for name in methods_in(method) if name in registry.methods()]
    groups = (group for name in known for group in registry.method(name).one_of)
    return any("fraction" in group.names and not set(group.names) & set(rules) for group in groups)


def _by_flag(line: str, given: Mapping[str, Sequence[str]]) -> str:
    """A message that names the words after `--model` or `--method`, not their place in a list."""
    found = re.match(rf"{SOURCE}: (model|method)s\[(\d+)\]", line)
    if found is None:
        return line
    return f"--{found[1]} {given[found[1]][int(found[2])]}{line[found.end() :]}"


def _options(texts: Sequence[str]) -> dict[str, list[Any]]:
    values_by_name: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadInput(f"--option {text}: must be NAME=VALUE")
        values_by_name.setdefault(name, []).append(_value(value))
    return values_by_name


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text


def _braced(text: str) -> Any:
    """`spectrum: 0.75` and `synthetic: {decay: 1}` as in a file."""
    word, colon, value = text.partition(":")
    if not colon or word not in {"spectrum", "synthetic"}:
        return text
    inner = value.strip().strip("{}")
    return {word: _braced_value(inner)}


def _braced_value(text: str) -> Any:
    name, separator, value = text.replace("=", ":").partition(":")
    return {name.strip(): _value(value.strip())} if separator else _value(name.strip())


def _declared(model: str) -> set[str]:
    """The options of a model, as far as they are known before its code runs."""
    if registry.is_own_model(model):
        return set()
    return {option.name for option in registry.model(model).options}


def _method_options(
    method: str, options: Mapping[str, list[Any]], of_models: Container[str]
) -> dict[str, Any]:
    known = _of_method(method)
    return {
        name: values
        for name, values in options.items()
        if (name not in of_models if known is None else name in known)
    }


def _of_method(method: str) -> frozenset[str] | None:
    """The options of a method; None if its file hides them.

    A class that hides them gets what no model has.
    """
    if not registry.is_own(method):
        return frozenset(option.name for option in registry.method(method).options)
    file, _, kind = method.rpartition(":")
    return options_of_method(Path(file), kind)


def _model_options(model: str, options: Mapping[str, list[Any]]) -> dict[str, Any]:
    if registry.is_own_model(model):
        return dict(options)
    names = _declared(model)
    return {name: values for name, values in options.items() if name in names}


def _no_such_option(name: str, models: Sequence[str], methods: Sequence[str]) -> str:
    options = {
        *(option for name in methods for option in _of_method(name) or ()),
        *(option for name in models for option in _declared(name)),
    }
    parts = ", ".join((*methods, *models))
    return f"none of {parts} has this option{suggestion(name, sorted(options))}"
