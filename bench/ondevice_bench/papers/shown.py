"""The JSON Schema of values in a claim that functions read."""

import re

from ondevice_bench import metrics
from ondevice_bench.declare.shown import JsonSchema, any_of, names, text
from ondevice_bench.papers.dialects import DIALECTS, EARLIER
from ondevice_bench.papers.published import ACCOUNTED
from ondevice_bench.specs import registry, single_layer
from ondevice_bench.suite.shown import OWN_MODEL, titles

_NULL: JsonSchema = {"type": "null"}


def model() -> JsonSchema:
    """A model, or a pattern of several."""
    known = registry.models()
    pattern = "|".join(_prefix(name) for name in [*known, *single_layer.KINDS])
    kinds = "|".join(single_layer.KINDS)
    return any_of(
        names(titles(known.values())),
        text(rf"(?:{pattern})\*[\s\S]*|(?:{kinds})\([\s\S]*\*[\s\S]*"),
        text("|".join(single_layer.patterns())),
        text(OWN_MODEL),
        _NULL,
    )


def _prefix(name: str) -> str:
    """A pattern of the beginnings of a name."""
    pattern = ""
    for letter in reversed(name):
        pattern = f"(?:{re.escape(letter)}{pattern})?"
    return pattern


def method() -> JsonSchema:
    """A method, several that are joined by `+`, or a user's own."""
    known = registry.methods()
    one = "|".join(map(re.escape, known))
    joined = text(rf"(?:{one})(?:\+(?:{one}))+")
    return any_of(names(titles(known.values())), joined, text(r"[\s\S]*\.py:[\s\S]*"), _NULL)


def published() -> JsonSchema:
    """The number as printed."""
    return any_of(text(r"[0-9]+(?:\.[0-9]+)?"), _NULL)


def dialect() -> JsonSchema:
    """A way of counting."""
    return names([*DIALECTS, *EARLIER])


def ratio_of() -> JsonSchema:
    """The method of a ratio."""
    return any_of(names(titles(registry.methods().values())), _NULL)


def measured() -> JsonSchema:
    """Metrics."""
    known = names({metric.name: metric.title for metric in metrics.ALL})
    return {"type": "array", "items": known}


def quantity() -> JsonSchema:
    """Only accounted claims have a quantity."""
    return {
        "if": {"required": ["computed"], "properties": {"computed": {"const": "accounted"}}},
        "then": {"required": ["quantity"], "properties": {"quantity": names(ACCOUNTED)}},
        "else": {"properties": {"quantity": _NULL}},
    }
