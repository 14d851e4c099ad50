"""What the methods of a page do, and what the options in their names mean."""

from collections.abc import Iterable
from dataclasses import dataclass

from ondevice_bench.specs import composition, registry
from ondevice_bench.suite.cell import Cell, without_hash


@dataclass(frozen=True)
class MethodWords:
    """A method, and each option that a name on the page has, with its meaning."""

    name: str
    title: str
    options: tuple[tuple[str, str], ...]


def about_methods(cells: Iterable[Cell]) -> tuple[MethodWords, ...]:
    """The methods of these cells, each once. The parts of a composition are methods of their own.

    A class in a user's file has no text, and neither has a method that this version does not know.
    """
    options: dict[str, dict[str, None]] = {}
    for cell in cells:
        given = dict.fromkeys(name.rpartition(".")[2] for name, _ in cell.method_options)
        for name in composition.names(cell.method):
            options.setdefault(name, {}).update(given)
    known = registry.methods()
    return tuple(
        MethodWords(
            without_hash(name),
            known[name].title if name in known else "a method of your own, or of another version",
            tuple((o.name, o.help) for o in known[name].options if o.name in given)
            if name in known
            else (),
        )
        for name, given in options.items()
    )


def about_options(cells: Iterable[Cell], shared: str) -> str:
    """What the shared options mean, which names leave out: `fraction: …; sequential: …`."""
    names = {pair.partition("=")[0].replace("ε", "epsilon") for pair in shared.split()}
    meanings = {
        name: meaning
        for words in about_methods(cells)
        for name, meaning in words.options
        if name in names
    }
    return "; ".join(f"{name}: {meaning}" for name, meaning in meanings.items())
