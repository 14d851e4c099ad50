"""A method from its name or its class, with its options and its rules for ranks."""

import inspect
from abc import ABCMeta
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ondevice_bench.errors import UnusableMethod, not_allowed
from ondevice_bench.methods.method import LayerMethod, Method
from ondevice_bench.methods.ranks import RankRules
from ondevice_bench.specs.implementation import in_one_line, load
from ondevice_bench.specs.option import validate
from ondevice_bench.specs.rank_rules import ACTIVATION, WEIGHT, rank_groups, rank_options


def make_method(method: str, options: Mapping[str, Any]) -> tuple[Method, RankRules]:
    """Make a method from a name such as `asi`, `module:Class` or `./mine.py:Mine`.

    The spec of a name checks its options and adds the defaults. A class has its own defaults.
    An option that is None counts as unset. A ValueError has one line with the problem.
    """
    values = {name: value for name, value in options.items() if value is not None}
    if ":" in method:
        return _from_class(method, values)
    from ondevice_bench.specs import registry

    spec = registry.method(method)
    try:
        values = validate(spec.options, spec.one_of, values)
    except ValueError as error:
        raise ValueError(f"{method}: {error}") from None
    return _from_class(spec.implementation, values)


def _from_class(path: str, options: Mapping[str, Any]) -> tuple[Method, RankRules]:
    kind = load_method_class(path)
    ranked = kind.ranked if issubclass(kind, LayerMethod) else frozenset[str]()
    declared = rank_options(ranked)
    rules = [option.name for option in declared]
    signature = inspect.signature(kind)
    arguments = {name: value for name, value in options.items() if name not in rules}
    unknown = [name for name in arguments if name not in signature.parameters]
    if unknown:
        allowed = (*signature.parameters, *rules)
        raise UnusableMethod(f"{_shown(path)}: {not_allowed('option', unknown[0], allowed)}")
    try:
        rank_values = {name: value for name, value in options.items() if name in rules}
        ranks = validate(declared, rank_groups(ranked), rank_values)
        signature.bind(**arguments)
    except (ValueError, TypeError) as error:
        raise UnusableMethod(f"{_shown(path)}: {error}") from None
    try:
        made = kind(**arguments)
    except ValueError:
        raise
    except Exception as error:
        raise UnusableMethod(f"{_shown(path)}: {in_one_line(error)}") from error
    return made, RankRules.from_options(ranked, ranks)


def _shown(path: str) -> str:
    """The class as a suite names it: without the folders of its file."""
    file, _, kind = path.rpartition(":")
    return f"{Path(file).name}:{kind}" if file.endswith(".py") else kind


def load_method_class(path: str) -> type[Method]:
    """The class of a method, or a ValueError in one line if the object is none."""
    try:
        kind, name = load(path), path.rpartition(":")[2]
    except ValueError:
        raise
    except Exception as error:
        raise UnusableMethod(f"{_shown(path)}: cannot be loaded: {in_one_line(error)}") from error
    if not (isinstance(kind, type) and issubclass(kind, Method)):
        raise ValueError(
            f"{name} is not a training method: derive it from Method, or from LayerMethod if it "
            "replaces layers; both are in ondevice_bench.methods"
        )
    if isinstance(kind, ABCMeta) and kind.__abstractmethods__:
        missing = ", ".join(f"{method}()" for method in sorted(kind.__abstractmethods__))
        raise ValueError(f"{name} must define {missing}")
    if issubclass(kind, LayerMethod):
        _check_ranks(kind)
    return kind


def _check_ranks(kind: type[LayerMethod]) -> None:
    allowed = {ACTIVATION, WEIGHT}
    if not kind.ranked <= allowed:
        raise ValueError(f"{kind.__name__}: `ranked` may hold {' and '.join(sorted(allowed))}")
    if (ACTIVATION in kind.ranked) != (kind.reference is not None):
        raise ValueError(
            f"{kind.__name__}: ranks for activations need both, {ACTIVATION!r} in `ranked` and a "
            "scheme as `reference`"
        )
