"""The methods of a treatment by the layers that they are for: of one choice of layers, or a mix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import nn

from ondevice_bench.errors import Refusal
from ondevice_bench.methods.make_method import make_method
from ondevice_bench.methods.method import LayerMethod, Method
from ondevice_bench.methods.packed_saves import PackedSaves
from ondevice_bench.methods.ranks import RankRules
from ondevice_bench.methods.vanilla import Vanilla
from ondevice_bench.models.layers import LayerSelection
from ondevice_bench.models.mixed_layers import LayersLeft
from ondevice_bench.specs import mix
from ondevice_bench.specs.layer_choice import parse
from ondevice_bench.specs.layout import ModelLayout

# a name, or a list of `(name, options)` to compose
Composed: TypeAlias = str | Sequence[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class MixEntry:
    """Methods with their rules for ranks, for the same layers. In a mix, `layers` chooses them."""

    methods: tuple[tuple[Method, RankRules], ...]
    layers: str = ""

    @property
    def has_layers(self) -> bool:
        """Whether it has layers of its own: it changes the chosen ones alone, or leaves them."""
        return any(_has_layers(method) for method, _ in self.methods)


def entries_of(
    method: Composed | Mapping[str, Composed], options: Mapping[str, Any]
) -> tuple[MixEntry, ...]:
    """The entries of a mix, or the only entry; a ValueError if they cannot be joined."""
    if isinstance(method, Mapping):
        entries = _mixed(method, options)
    else:
        entries = (MixEntry(_made(method, options)),)
    for entry in entries:
        if sum(isinstance(each, LayerMethod) for each, _ in entry.methods) > 1:
            raise ValueError("two methods that replace layers cannot be composed")
    every = [each for entry in entries for each, _ in entry.methods]
    if sum(isinstance(each, PackedSaves) for each in every) > 1:
        raise ValueError("two methods that pack saved tensors cannot be composed")
    return entries


def _mixed(methods: Mapping[str, Composed], options: Mapping[str, Any]) -> tuple[MixEntry, ...]:
    if options:
        raise ValueError(f"{next(iter(options))}: in a mix each method has options of its own")
    if not methods:
        raise ValueError("a mix maps layers to methods, got none")
    choices = [parse(layers)[0] for layers in methods]
    wrong = mix.wrong_layers(choices)
    if wrong is not None:
        raise ValueError(wrong[1])
    entries = tuple(
        MixEntry(_made(each, {}), layers)
        for layers, each in zip(choices, methods.values(), strict=True)
    )
    for entry in entries:
        _refuse(entry)
    if all(layers == mix.REST for layers in choices):
        raise ValueError(mix.ONLY_REST)
    return entries


def _refuse(entry: MixEntry) -> None:
    """A Refusal if these methods cannot have these layers in a mix."""
    names = {type(method).__name__: method for method, _ in entry.methods}
    whole = [name for name, method in names.items() if not _has_layers(method)]
    if whole and entry.layers != mix.REST:
        raise Refusal(mix.of_whole_network(whole[0]))
    freezing = [name for name, method in names.items() if method.freezes]
    if freezing and entry.has_layers:
        other = next(name for name, method in names.items() if _has_layers(method))
        raise Refusal(mix.freezes_layers_of(freezing[0], other))


def _made(methods: Composed, options: Mapping[str, Any]) -> tuple[tuple[Method, RankRules], ...]:
    parts = [(methods, options)] if isinstance(methods, str) else list(methods)
    return tuple(make_method(name, values) for name, values in parts)


def _has_layers(method: Method) -> bool:
    chooses = isinstance(method, LayerMethod) or method.projection is not None
    return chooses or isinstance(method, Vanilla)


def selections(
    module: nn.Module, entries: Sequence[MixEntry], among: LayerSelection, layout: ModelLayout
) -> tuple[LayerSelection, ...]:
    """The layers of each entry, of those that methods may change (`among`)."""
    if not any(entry.layers for entry in entries):
        return tuple(among for _ in entries)
    left, nothing = LayersLeft(module, among, layout), LayerSelection(())
    return tuple(left.take(entry.layers) if entry.has_layers else nothing for entry in entries)
