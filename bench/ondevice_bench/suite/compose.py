"""`defaults` and `overrides` of a suite file, applied to each entry and each board."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ondevice_bench.declare.document import Document, KeyPath, Plain, SourceLocation
from ondevice_bench.declare.folders import declared
from ondevice_bench.declare.inherit import merged
from ondevice_bench.errors import BadInput, suggestion, unknown
from ondevice_bench.specs import registry
from ondevice_bench.specs.option import Beside
from ondevice_bench.suite.entries import COMPOSE
from ondevice_bench.suite.mix_schema import LABEL, MIX

DEFAULTS, OVERRIDES = "defaults", "overrides"
_OF_EVERY_MODEL = ("batch", "weights")
OF_EVERY_BOARD = ("schema", "title", "purpose", "extends", "hardware", "expected", OVERRIDES)


def variants(document: Document) -> dict[str, Document]:
    """The suite of each board in `overrides`. Values that are no overrides are left out."""
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
    values, places = dict(document.values), dict(document.places)
    for kind, defaults in _defaults(document):
        completion = _Completion(document, kind, defaults, places)
        values[kind] = completion.of_list(_listed(document, kind), (kind,))
    return replace(document, values=values, places=places)


def require_used_defaults(documents: Sequence[Document]) -> None:
    """BadInput if an entry has a default on no board. `documents` are the suite of each board.

    Defaults that another file wrote need no use.
    """
    used: set[tuple[str, str]] = set()
    for document in documents:
        for kind, defaults in _defaults(document):
            completion = _Completion(document, kind, defaults, {})
            completion.of_list(_listed(document, kind), (kind,))
            used |= {(kind, key) for key in completion.used}
    problems = [
        f"{place}: {DEFAULTS}.{kind}: none of the suite's {kind} has an option "
        f"{key!r}{_near(kind, key)}"
        for document in documents
        for kind, defaults in _defaults(document)
        for key in defaults
        if (kind, key) not in used
        and (place := document.place((DEFAULTS, kind, key))).path == document.path
    ]
    if problems:
        raise BadInput(*dict.fromkeys(problems))


def _defaults(document: Document) -> Iterator[tuple[str, dict[str, Plain]]]:
    """The defaults of the document, for models and for methods."""
    given = document.values.get(DEFAULTS)
    for kind in ("models", "methods"):
        defaults = given.get(kind) if isinstance(given, dict) else None
        if isinstance(defaults, dict) and kind in document.values:
            yield kind, defaults


def _listed(document: Document, kind: str) -> list[Plain]:
    value = document.values[kind]
    return value if isinstance(value, list) else [value]


@dataclass
class _Completion:
    """Adds the defaults of a document to its entries. `used` are those that some entry can have."""

    document: Document
    kind: str
    defaults: dict[str, Plain]
    places: dict[KeyPath, SourceLocation]
    used: set[str] = field(default_factory=set)

    def of_list(self, entries: Sequence[Plain], at: KeyPath) -> list[Plain]:
        """The complete entries of a list."""
        return [self._of_entry(entry, (*at, index)) for index, entry in enumerate(entries)]

    def _of_entry(self, entry: Plain, at: KeyPath) -> Plain:
        if self.kind == "methods" and isinstance(entry, dict) and len(entry) == 1:
            ((name, parts),) = entry.items()
            if name == COMPOSE and isinstance(parts, list):
                return {COMPOSE: self.of_list(parts, (*at, COMPOSE))}
            if name == MIX and isinstance(parts, dict):
                return {MIX: self._of_mix(parts, (*at, MIX))}
        pair = _name_and_options(entry)
        return entry if pair is None else self._with_defaults(*pair, at)

    def _of_mix(self, parts: Mapping[str, Plain], at: KeyPath) -> dict[str, Plain]:
        return {
            key: part if key == LABEL else self._of_entry(part, (*at, key))
            for key, part in parts.items()
        }

    def _with_defaults(self, name: str, own: dict[str, Plain], at: KeyPath) -> Plain:
        options, excluded = _options(self.kind, name, own)
        self.used |= options & set(self.defaults)
        added = [key for key in self.defaults if key in options - excluded and key not in own]
        for key in added:
            self.places[*at, name, key] = self.document.place((DEFAULTS, self.kind, key))
        return {name: {**own, **{key: self.defaults[key] for key in added}}}


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
    excluded |= {  # nothing is left beside which they have a meaning
        group.name
        for group in spec.one_of
        if isinstance(group, Beside) and set(group.others) <= excluded - set(own)
    }
    return {option.name for option in spec.options}, excluded


def _near(kind: str, key: str) -> str:
    """The most similar option, if no model or method has this one."""
    options = set[str]()
    if kind == "models":
        options.update(_OF_EVERY_MODEL)
    specs = registry.models() if kind == "models" else registry.methods()
    for spec in specs.values():
        options |= {option.name for option in spec.options}
    return "" if key in options else suggestion(key, sorted(options))
