"""`defaults` and `overrides` of a suite file, applied to each entry and each board."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ondevice_bench.declare.document import Document, KeyPath, Plain, SourceLocation
from ondevice_bench.declare.folders import declared
from ondevice_bench.declare.inherit import merged
from ondevice_bench.errors import BadInput, suggestion, unknown
from ondevice_bench.specs import registry

DEFAULTS, OVERRIDES = "defaults", "overrides"
_OF_EVERY_MODEL = ("batch", "weights")
OF_EVERY_BOARD = ("schema", "title", "purpose", "extends", "hardware", "expected", OVERRIDES)


def variants(document: Document) -> dict[str, Document]:
    """The suite of each board in `overrides`. The whole document is valid already."""
    overrides = document.values.get(OVERRIDES)
    if not isinstance(overrides, dict):
        return {}
    by_board = {board: values for board, values in overrides.items() if isinstance(values, dict)}
    profiles = declared("hardware")
    problems = [
        f"{document.place((OVERRIDES, board))}: {OVERRIDES}: "
        f"{unknown('hardware profile', board, profiles)}"
        for board in by_board
        if board not in profiles
    ]
    problems += [
        f"{document.place((OVERRIDES, board, key))}: {OVERRIDES}.{board}: "
        f"{key} is the same on every board"
        for board, values in by_board.items()
        for key in values
        if key in OF_EVERY_BOARD
    ]
    if problems:
        raise BadInput(*problems)
    return {
        board: merged(document, _override(document, board, values))
        for board, values in by_board.items()
    }


def _override(document: Document, board: str, values: dict[str, Plain]) -> Document:
    """The override of a board, as a document of its own."""
    prefix = (OVERRIDES, board)
    places = {
        location[len(prefix) :]: place
        for location, place in document.places.items()
        if location[: len(prefix)] == prefix and location != prefix
    }
    return replace(document, values=values, places=places)


def with_defaults(document: Document) -> Document:
    """Each entry of `models` and `methods` with the default options that it has.

    An option of the entry wins over a default. It also wins over defaults that it excludes, as one
    rank rule excludes another.
    """
    all_defaults = document.values.get(DEFAULTS)
    if not isinstance(all_defaults, dict):
        return document
    values, places = dict(document.values), dict(document.places)
    problems: list[str] = []
    for kind in ("models", "methods"):
        defaults = all_defaults.get(kind)
        if isinstance(defaults, dict) and kind in values:
            value = values[kind]
            entries = value if isinstance(value, list) else [value]
            values[kind], used = _apply(kind, entries, defaults, document, places)
            problems += _unused(kind, defaults, used, document)
    if problems:
        raise BadInput(*problems)
    return replace(document, values=values, places=places)


def _apply(
    kind: str,
    entries: Sequence[Plain],
    defaults: Mapping[str, Plain],
    document: Document,
    places: dict[KeyPath, SourceLocation],
) -> tuple[list[Plain], set[str]]:
    """The entries with their defaults, and the defaults that some entry has as an option."""
    complete: list[Plain] = []
    used: set[str] = set()
    for index, entry in enumerate(entries):
        pair = _name_and_options(entry)
        if pair is None:
            complete.append(entry)
            continue
        name, own = pair
        options, excluded = _options(kind, name, own)
        used |= options & set(defaults)
        added = [key for key in defaults if key in options - excluded and key not in own]
        for key in added:
            places[kind, index, name, key] = document.place((DEFAULTS, kind, key))
        complete.append({name: {**own, **{key: defaults[key] for key in added}}})
    return complete, used


def _name_and_options(entry: Plain) -> tuple[str, dict[str, Plain]] | None:
    """The entry's name and its own options; None if it is not a single entry."""
    if isinstance(entry, str):
        return entry, {}
    if not isinstance(entry, dict) or len(entry) != 1:
        return None
    ((name, options),) = entry.items()
    return (name, options or {}) if options is None or isinstance(options, dict) else None


def _options(kind: str, name: str, own: Mapping[str, Plain]) -> tuple[set[str], set[str]]:
    """The options that an entry can have, and the options that its own ones exclude."""
    if kind == "models":
        model = registry.models().get(name)
        options = {option.name for option in model.options} if model else set()
        return options | set(_OF_EVERY_MODEL), set()
    if registry.is_own(name) or name not in registry.methods():
        return set(), set()
    spec = registry.method(name)
    groups = [set(group.names) for group in spec.one_of]
    excluded = set[str]().union(*(group for group in groups if group & set(own)))
    return {option.name for option in spec.options}, excluded


def _unused(
    kind: str, defaults: Mapping[str, Plain], used: set[str], document: Document
) -> list[str]:
    options = set[str]()
    if kind == "models":
        options.update(_OF_EVERY_MODEL)
    specs = registry.models() if kind == "models" else registry.methods()
    for spec in specs.values():
        options |= {option.name for option in spec.options}
    return [
        f"{document.place((DEFAULTS, kind, key))}: {DEFAULTS}.{kind}: none of the suite's {kind} "
        f"has an option {key!r}{suggestion(key, sorted(options))}"
        for key in defaults
        if key not in used
    ]
