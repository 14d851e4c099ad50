"""A suite said on the command line: the same words as in a file, checked by the same schema."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ondevice_bench.declare.document import parse
from ondevice_bench.errors import BadInput, suggestion
from ondevice_bench.specs import registry
from ondevice_bench.suite.load import suite_of
from ondevice_bench.suite.suite import Suite

SOURCE = "command line"


@dataclass(frozen=True)
class Words:
    """What was said of a suite; what was not takes the file's defaults."""

    models: Sequence[str]
    methods: Sequence[str] = ()
    options: Sequence[str] = ()  # NAME=VALUE
    ranks: Mapping[str, Sequence[str]] | None = None  # by their rule
    layers: Sequence[str] = ()
    batches: Sequence[int] = ()
    data: str | None = None
    weights: str | None = None

    def suite(self) -> Suite:
        """The suite that these words say; its text is a file that says the same."""
        methods = list(self.methods) or ["vanilla"]
        given = _options(self.options)
        for rule, values in (self.ranks or {}).items():
            if values:
                given[rule] = [_value(value) for value in values]
        per_method = {method: _method_options(method, given) for method in methods}
        used = {name for options in per_method.values() for name in options}
        rest = {name: values for name, values in given.items() if name not in used}
        per_model = {model: _model_options(model, rest) for model in self.models}
        used |= {name for options in per_model.values() for name in options}
        for name in given:
            if name not in used:
                raise BadInput(f"--option {name}: {_nobody(name, self.models, methods)}")
        if self.batches:
            for options in per_model.values():
                options["batch"] = list(self.batches)
        said: dict[str, Any] = {
            "schema": 1,
            "title": f"{', '.join(methods)} on {', '.join(self.models)}",
            "models": [{model: options} for model, options in per_model.items()],
            "methods": [{method: options} for method, options in per_method.items()],
        }
        if self.layers:
            said["layers"] = list(self.layers)
        for key, value in (("data", self.data), ("weights", self.weights)):
            if value is not None:
                said[key] = _braced(value)
        # every line of JSON is YAML
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in said.items())
        try:
            return suite_of(parse(Path(SOURCE), text), _name(self.models))
        except BadInput as error:
            lines = (re.sub(rf"^{SOURCE}:\d+: ", f"{SOURCE}: ", line) for line in error.lines)
            raise BadInput(*lines) from None


def _name(models: Sequence[str]) -> str:
    """A folder's name: `./mynet.py:net` becomes `mynet-net`."""
    words = (re.sub(r"[^\w]+", "-", model.replace(".py", "")).strip("-") for model in models)
    return "+".join(words)[:80].replace("+", "-") or "suite"


def _options(texts: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadInput(f"--option {text}: must be NAME=VALUE")
        found.setdefault(name, []).append(_value(value))
    return found


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text


def _braced(text: str) -> Any:
    """`spectrum: 0.75` and `synthetic: {decay: 1}` as a file would say them."""
    word, colon, rest = text.partition(":")
    if not colon or word not in {"spectrum", "synthetic"}:
        return text
    inner = rest.strip().strip("{}")
    return {word: _braced_value(inner)}


def _braced_value(text: str) -> Any:
    name, separator, value = text.replace("=", ":").partition(":")
    return {name.strip(): _value(value.strip())} if separator else _value(name.strip())


def _method_options(method: str, given: Mapping[str, list[Any]]) -> dict[str, Any]:
    if registry.is_own(method):
        return dict(given)
    known = {option.name for option in registry.method(method).options}
    return {name: values for name, values in given.items() if name in known}


def _model_options(model: str, given: Mapping[str, list[Any]]) -> dict[str, Any]:
    if registry.is_own_model(model):
        return dict(given)
    known = {option.name for option in registry.model(model).options}
    return {name: values for name, values in given.items() if name in known}


def _nobody(name: str, models: Sequence[str], methods: Sequence[str]) -> str:
    known = {
        option.name
        for options in (
            *(registry.method(name).options for name in methods if not registry.is_own(name)),
            *(registry.model(name).options for name in models if not registry.is_own_model(name)),
        )
        for option in options
    }
    what = ", ".join((*methods, *models))
    return f"none of {what} has this option{suggestion(name, sorted(known))}"
