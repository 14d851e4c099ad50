"""What a suite file says for many at once, spelled out: `defaults` and `overrides`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ondevice_bench.declare.document import Document, KeyPath, Plain, SourceLocation
from ondevice_bench.declare.folders import declared
from ondevice_bench.declare.inherit import merged
from ondevice_bench.errors import BadInput, suggestion, unknown
from ondevice_bench.specs import registry

DEFAULTS, OVERRIDES = "defaults", "overrides"
_OF_EVERY_MODEL = ("batch", "weights")
_OF_EVERY_BOARD = ("schema", "title", "purpose", "extends", "hardware", "expected", OVERRIDES)


def variants(document: Document) -> dict[str, Document]:
    """The suite as each board of `overrides` takes it; the whole document is valid already."""
    overrides = document.values.get(OVERRIDES)
    if not isinstance(overrides, dict):
        return {}
    boards = {board: said for board, said in overrides.items() if isinstance(said, dict)}
    profiles = declared("hardware")
    problems = [
        f"{document.place((OVERRIDES, board))}: {OVERRIDES}: "
        f"{unknown('hardware profile', board, profiles)}"
        for board in boards
        if board not in profiles
    ]
    problems += [
        f"{document.place((OVERRIDES, board, key))}: {OVERRIDES}.{board}: "
        f"{key} is the same on every board"
        for board, said in boards.items()
        for key in said
        if key in _OF_EVERY_BOARD
    ]
    if problems:
        raise BadInput(*problems)
    return {
        board: merged(document, _moved(document, board, said)) for board, said in boards.items()
    }


def _moved(document: Document, board: str, said: dict[str, Plain]) -> Document:
    """What a board's override says, as if it stood at the top of a file."""
    under = (OVERRIDES, board)
    places = {
        location[len(under) :]: place
        for location, place in document.places.items()
        if location[: len(under)] == under and location != under
    }
    return replace(document, values=said, places=places)


def with_defaults(document: Document) -> Document:
    """Every entry of `models` and `methods` with the default options that it knows.

    An option that the entry gives itself stays; so does its own choice where options exclude each
    other, as the rules for ranks do.
    """
    defaults = document.values.get(DEFAULTS)
    if not isinstance(defaults, dict):
        return document
    values, places = dict(document.values), dict(document.places)
    problems: list[str] = []
    for kind in ("models", "methods"):
        given = defaults.get(kind)
        if isinstance(given, dict) and kind in values:
            entries = values[kind]
            listed = entries if isinstance(entries, list) else [entries]
            values[kind], used = _spread(kind, listed, given, document, places)
            problems += _unused(kind, given, used, document)
    if problems:
        raise BadInput(*problems)
    return replace(document, values=values, places=places)


def _spread(
    kind: str,
    entries: Sequence[Plain],
    given: Mapping[str, Plain],
    document: Document,
    places: dict[KeyPath, SourceLocation],
) -> tuple[list[Plain], set[str]]:
    """The entries with the defaults that they take, and the defaults that any of them knows."""
    found: list[Plain] = []
    used: set[str] = set()
    for index, entry in enumerate(entries):
        named = _named(entry)
        if named is None:
            found.append(entry)
            continue
        name, own = named
        known, excluded = _known(kind, name, own)
        used |= known & set(given)
        taken = [key for key in given if key in known - excluded and key not in own]
        for key in taken:
            places[kind, index, name, key] = document.place((DEFAULTS, kind, key))
        found.append({name: {**own, **{key: given[key] for key in taken}}})
    return found, used


def _named(entry: Plain) -> tuple[str, dict[str, Plain]] | None:
    """The entry's name and its own options; None where it is no single entry."""
    if isinstance(entry, str):
        return entry, {}
    if not isinstance(entry, dict) or len(entry) != 1:
        return None
    ((name, options),) = entry.items()
    return (name, options or {}) if options is None or isinstance(options, dict) else None


def _known(kind: str, name: str, own: Mapping[str, Plain]) -> tuple[set[str], set[str]]:
    """The options that an entry knows, and those that its own ones exclude."""
    if kind == "models":
        if registry.is_own_model(name) or name not in registry.models():
            return set(_OF_EVERY_MODEL), set()
        options = {option.name for option in registry.model(name).options}
        return options | set(_OF_EVERY_MODEL), set()
    if registry.is_own(name) or name not in registry.methods():
        return set(), set()
    spec = registry.method(name)
    groups = [set(group.names) for group in spec.one_of]
    excluded = set[str]().union(*(group for group in groups if group & set(own)))
    return {option.name for option in spec.options}, excluded


def _unused(kind: str, given: Mapping[str, Plain], used: set[str], document: Document) -> list[str]:
    known = set[str]()
    if kind == "models":
        known.update(_OF_EVERY_MODEL)
    specs = registry.models() if kind == "models" else registry.methods()
    for spec in specs.values():
        known |= {option.name for option in spec.options}
    return [
        f"{document.place((DEFAULTS, kind, key))}: {DEFAULTS}.{kind}: none of the suite's {kind} "
        f"has an option {key!r}{suggestion(key, sorted(known))}"
        for key in given
        if key not in used
    ]
