"""Methods by layer, in the name of one method: `mix(last:4=asi,all=lean+bias_only)`.

Each entry is a choice of layers and the methods for them. The first entry that matches a layer has
the layer. The last entry may be `all`: it has the rest, and what works on the whole network.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

REST = "all"
_BEGIN, _END = "mix(", ")"
ONLY_REST = f"a mix with `{REST}` alone gives no layers to a method of their own"
MARKS = (",", "=", "/")  # of names and ids, so patterns in a suite have none


@dataclass(frozen=True)
class Entry:
    """A choice of layers, in its one spelling, and the methods for them."""

    layers: str
    methods: tuple[str, ...]


def is_mix(name: str) -> bool:
    """Whether this is the name of a mix."""
    return name.startswith(_BEGIN) and name.endswith(_END)


def name_of(entries: Iterable[Entry]) -> str:
    """The name of the mix with these entries."""
    texts = (f"{entry.layers}={'+'.join(entry.methods)}" for entry in entries)
    return f"{_BEGIN}{','.join(texts)}{_END}"


def entries_of(name: str) -> tuple[Entry, ...]:
    """The entries of the mix with this name."""
    pairs = (each.partition("=") for each in name[len(_BEGIN) : -len(_END)].split(","))
    return tuple(Entry(layers, tuple(methods.split("+"))) for layers, _, methods in pairs)


def wrong_layers(layers: Sequence[str]) -> tuple[int, str] | None:
    """The first entry of a mix that cannot be, and the reason. `layers` are those of its entries.

    None if a mix can have these entries.
    """
    for place, each in enumerate(layers):
        if each in layers[:place]:
            return place, f"{each!r} appears twice: join the methods of the two by `compose`"
        if REST in layers[:place]:
            return place, f"{REST!r} has all layers that are left: put it last"
    return None


def of_whole_network(method: str) -> str:
    """The reason why the method can have no layers but the rest."""
    return f"{method} works on the whole network: give it to `{REST}`"


def freezes_layers_of(method: str, other: str) -> str:
    """The reason why the two methods cannot have the same layers."""
    return f"{method} freezes the layers that {other} is for: give {other} layers of its own"
