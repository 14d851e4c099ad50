"""Declarations that extend others. A file inherits the keys that it does not set."""

import os
from dataclasses import replace
from pathlib import Path

from ondevice_bench import passes
from ondevice_bench.declare.document import Document, KeyPath, Plain, SourceLocation, read
from ondevice_bench.declare.folders import SUFFIXES, locate
from ondevice_bench.errors import BadInput

EXTENDS = "extends"
# one choice each, so two of them cannot be joined
_ONE_CHOICE = ("data", "weights", "power", "layers", "models", "methods")
_OF_EACH_ENTRY = "defaults"  # its `models` and `methods` are mappings of options
_OF_ONE_FILE = ("expected",)  # what holds for the base alone
_OF_EACH = {"rounds": tuple(passes.ROUNDS)}  # one number stands for a mapping of these keys
LONGEST_CHAIN = 8


def read_resolved(kind: str, path: Path, folder: Path | None = None) -> tuple[Document, ...]:
    """The declaration of a file with all inherited keys, then each declaration that it extends."""
    return resolved(kind, read(path), folder)


def resolved(kind: str, document: Document, folder: Path | None = None) -> tuple[Document, ...]:
    """The declaration with all inherited keys, then each that it extends, the nearest first."""
    chain = [document]
    while (base := _base(kind, chain[-1], folder)) is not None:
        place = chain[-1].place((EXTENDS,))
        if base.resolve() in {document.path.resolve() for document in chain}:
            raise BadInput(f"{place}: {EXTENDS}: {base} extends this file again")
        if len(chain) == LONGEST_CHAIN:
            raise BadInput(f"{place}: {EXTENDS}: a chain of more than {LONGEST_CHAIN} files")
        chain.append(read(base))
    whole = chain[-1]
    for over in reversed(chain[:-1]):
        whole = merged(_inheritable(whole), over)
    return (whole, *chain[1:])


def merged(base: Document, over: Document) -> Document:
    """`base` with the keys of `over`. Mappings are merged; any other value replaces the base's.

    So does a mapping that is one choice, such as `data`. A number that stands for a mapping, such
    as `rounds: 5`, is merged as this mapping.
    """
    places = dict(base.places)
    values = _joined(base.values, over.values, (), places)
    return Document(over.path, over.text, values, places | over.places)


def _inheritable(base: Document) -> Document:
    kept = {key: value for key, value in base.values.items() if key not in _OF_ONE_FILE}
    places = {at: place for at, place in base.places.items() if at[0] not in _OF_ONE_FILE}
    return replace(base, values=kept, places=places)


def _base(kind: str, document: Document, folder: Path | None) -> Path | None:
    name = document.values.get(EXTENDS)
    if name is None:
        return None
    place = document.place((EXTENDS,))
    if not isinstance(name, str):
        raise BadInput(f"{place}: {EXTENDS}: must be a name or a path, got {name!r}")
    beside = document.path.parent / name
    if ("/" in name or name.endswith(SUFFIXES)) and os.path.isfile(beside):
        return beside
    try:
        return locate(kind, name, folder)
    except BadInput as error:
        raise BadInput(f"{place}: {EXTENDS}: {error.lines[0]}") from None


def _joined(
    base: dict[str, Plain],
    over: dict[str, Plain],
    at: KeyPath,
    places: dict[KeyPath, SourceLocation],
) -> dict[str, Plain]:
    joined = dict(base)
    for key, value in over.items():
        inherited = joined.get(key)
        is_whole = key in _ONE_CHOICE and at[-1:] != (_OF_EACH_ENTRY,)
        if key in _OF_EACH and type(inherited) is int and isinstance(value, dict):
            inherited = dict.fromkeys(_OF_EACH[key], inherited)
            whole = {(*at, key, each): places.get((*at, key)) for each in inherited}
            places |= {location: place for location, place in whole.items() if place}
        if isinstance(value, dict) and isinstance(inherited, dict) and not is_whole:
            joined[key] = _joined(inherited, value, (*at, key), places)
            continue
        joined[key] = value
        for location in [place for place in places if place[: len(at) + 1] == (*at, key)]:
            del places[location]
    return joined
