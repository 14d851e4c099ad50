"""Conditions of claims that no cell can have: options, layers, weights and data of no such kind."""

from difflib import get_close_matches
from pathlib import Path

from ondevice_bench.errors import unknown
from ondevice_bench.papers.data_sets import CLASSES
from ondevice_bench.papers.published import Query
from ondevice_bench.specs import composition, data, registry, weights
from ondevice_bench.specs.data import DataSource
from ondevice_bench.specs.option import Value, resolved, validate
from ondevice_bench.suite.cell import without_hash
from ondevice_bench.suite.layers import layers_refusal

_SOURCES = (*data.WORDS, *data.READERS)
_DATA = tuple(dict.fromkeys((*_SOURCES, *CLASSES)))
_SIMILAR = 0.7  # a word that is so similar to one of these is this one with a typing error
_WEIGHTS = (*weights.WORDS, "spectrum")


def impossible(query: Query) -> str | None:
    """Why no cell can meet the conditions; None if one can, as far as the declarations tell."""
    try:
        return _of_sources(query) or _of_method(query) or _of_model(query)
    except ValueError as error:
        return str(error)


def _of_sources(query: Query) -> str | None:
    """A full name, with a hash, is taken as it is."""
    name = query.data
    if name is not None and ":" not in name and name not in _DATA and _is_typo(name):
        return unknown("data", name, _DATA)  # another word is the name of the user's own data
    kind = query.weights
    if kind is None or kind in _WEIGHTS:
        return None
    if any(Path(file).suffix in weights.SUFFIXES for file in (kind, without_hash(kind))):
        return None
    return unknown("weights", kind, _WEIGHTS)


def _is_typo(name: str) -> bool:
    return bool(get_close_matches(name, _DATA, n=1, cutoff=_SIMILAR))


def _of_method(query: Query) -> str | None:
    if query.method is None:
        return "method_options without a method" if query.method_options else None
    if registry.is_own(query.method) or not query.method_options:
        return None
    for part in composition.parts(query.method):
        try:
            validate(part.spec.options, part.spec.one_of, part.own(query.method_options))
        except ValueError as error:
            raise ValueError(f"{part.spec.name}: {error}") from None
    return None


def _of_model(query: Query) -> str | None:
    if query.model is None:
        return "model_options without a model" if query.model_options else None
    if registry.is_own_model(query.model) or not query.names_one_model:
        return None
    model = registry.model(query.model)
    try:
        options: dict[str, Value] = validate(model.options, (), dict(query.model_options))
    except ValueError as error:
        raise ValueError(f"{model.name}: {error}") from None
    refused = None if query.layers is None else layers_refusal(query.layers, model, options)
    if query.method is not None and not registry.is_own(query.method):
        refusals = (
            part.spec.refuses(model, part.own(query.method_options))
            for part in composition.parts(query.method)
        )
        refused = refused or next((why for why in refusals if why), None)
    if query.data in _SOURCES:
        source = DataSource(query.data)
        refused = refused or source.refuses(model.inputs(resolved(model.options, options)))
    return refused
