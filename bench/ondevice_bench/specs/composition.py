"""The names of methods that join others: compositions (`asi+lean`) and mixes (`specs/mix.py`)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ondevice_bench.specs import mix, registry
from ondevice_bench.specs.method import MethodSpec
from ondevice_bench.specs.option import Option, Value


@dataclass(frozen=True)
class Part:
    """One of the methods that a name joins. Its options have a prefix in the options of a cell.

    `layers` are the layers that a mix gives to it; empty outside of a mix.
    """

    spec: MethodSpec
    prefix: str = ""
    layers: str = ""

    def own(self, options: Iterable[tuple[str, Value]]) -> dict[str, Value]:
        """The options of this part, without the prefix."""
        return {
            name.removeprefix(self.prefix): value
            for name, value in options
            if name.startswith(self.prefix)
        }


def names(method: str) -> tuple[str, ...]:
    """The names that a name joins, known or not. A mix may have a method several times."""
    if mix.is_mix(method):
        return tuple(name for entry in mix.entries_of(method) for name in entry.methods)
    return tuple(method.split("+"))


def parts(method: str) -> tuple[Part, ...]:
    """The parts of a method; it is the only one if it joins no others."""
    if mix.is_mix(method):
        return tuple(
            Part(registry.method(name), f"{entry.layers}={name}.", entry.layers)
            for entry in mix.entries_of(method)
            for name in entry.methods
        )
    specs = [registry.method(name) for name in names(method)]
    if len(specs) == 1:
        return (Part(specs[0]),)
    return tuple(Part(spec, f"{spec.name}.") for spec in specs)


def specs(method: str) -> tuple[MethodSpec, ...]:
    """The methods that a name joins."""
    return tuple(part.spec for part in parts(method))


def options(method: str) -> tuple[Option, ...]:
    """The options of all parts, with the prefix of each part."""
    return tuple(
        replace(option, name=f"{part.prefix}{option.name}")
        for part in parts(method)
        for option in part.spec.options
    )


def composed(names: Iterable[str]) -> str:
    """The name of a composition: the part that replaces layers, then the others in order."""
    order = registry.order()
    return "+".join(
        sorted(names, key=lambda name: (not registry.method(name).treats, order.index(name)))
    )


def composition_refusal(specs: Sequence[MethodSpec]) -> str | None:
    """Why these methods cannot be joined for the same layers."""
    replacing = [spec.name for spec in specs if spec.treats]
    if len(replacing) > 1:
        return f"{' and '.join(replacing)} both replace layers: compose one of them"
    packing = [spec.name for spec in specs if spec.packs]
    if len(packing) > 1:
        return f"{' and '.join(packing)} both pack saved tensors: compose one of them"
    return None


def mix_refusal(entries: Sequence[mix.Entry]) -> tuple[int, str] | None:
    """The place of the first entry that a mix cannot have, and the reason."""
    wrong = mix.wrong_layers([entry.layers for entry in entries])
    if wrong is not None:
        return wrong
    for place, entry in enumerate(entries):
        reason = _entry_refusal(entry.layers, [registry.method(name) for name in entry.methods])
        if reason is not None:
            return place, reason
    if all(entry.layers == mix.REST for entry in entries):
        return 0, mix.ONLY_REST
    return None


def _entry_refusal(layers: str, specs: Sequence[MethodSpec]) -> str | None:
    """Why these methods cannot have these layers in a mix."""
    choosing = [spec.name for spec in specs if spec.chooses_layers]
    whole = [spec.name for spec in specs if spec.is_of_network]
    if whole and layers != mix.REST:
        return mix.of_whole_network(whole[0])
    freezing = [spec.name for spec in specs if spec.freezes]
    if freezing and choosing:
        return mix.freezes_layers_of(freezing[0], choosing[0])
    return None
