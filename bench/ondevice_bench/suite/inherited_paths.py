"""Paths in keys of another file: they begin at the folder of the file that wrote them."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from ondevice_bench.declare.document import Document, KeyPath, Plain
from ondevice_bench.specs import data, registry, weights
from ondevice_bench.suite.compose import DEFAULTS
from ondevice_bench.suite.entries import COMPOSE
from ondevice_bench.suite.mix_schema import LABEL, MIX


def from_own_folder(document: Document) -> Document:
    """The document with inherited paths as its own folder names them."""
    own = document.path.parent
    if all(place.path.parent == own for place in document.places.values()):
        return document
    paths = _Paths(document)
    values = dict(document.values)
    for kind in ("models", "methods"):
        if kind in values:
            values[kind] = paths.of_entries(values[kind], (kind,))
    for key, of_source in (("data", paths.of_data), ("weights", paths.of_weights)):
        if key in values:
            values[key] = of_source(values[key], (key,))
    defaults = values.get(DEFAULTS)
    models = defaults.get("models") if isinstance(defaults, dict) else None
    if isinstance(defaults, dict) and isinstance(models, dict) and "weights" in models:
        found = paths.of_weights(models["weights"], (DEFAULTS, "models", "weights"))
        values[DEFAULTS] = {**defaults, "models": {**models, "weights": found}}
    places = {paths.renamed_in(at): place for at, place in document.places.items()}
    return replace(document, values=values, places=places)


@dataclass
class _Paths:
    """Rewrites the paths of a document. `renamed` are the keys that became others."""

    document: Document
    renamed: dict[KeyPath, str] = field(default_factory=dict)

    def renamed_in(self, at: KeyPath) -> KeyPath:
        """The location, with the keys that are there now."""
        return tuple(self.renamed.get(at[: end + 1], step) for end, step in enumerate(at))

    def of_entries(self, value: Plain, at: KeyPath) -> Plain:
        """`models` or `methods`."""
        if isinstance(value, list):
            return [self._of_entry(entry, (*at, index)) for index, entry in enumerate(value)]
        return self._of_entry(value, at)

    def of_data(self, value: Plain, at: KeyPath) -> Plain:
        """`data`."""
        if isinstance(value, str):
            reader, colon, path = value.partition(":")
            is_path = colon and reader.strip() in data.READERS
            return f"{reader}:{self._moved(path.strip(), at)}" if is_path else value
        if not isinstance(value, dict):
            return value
        return {
            key: self._moved(each, at) if key in data.READERS and isinstance(each, str) else each
            for key, each in value.items()
        }

    def of_weights(self, value: Plain, at: KeyPath) -> Plain:
        """`weights`: one source, or a list of them."""
        if isinstance(value, str):
            return self._moved(value, at) if value.endswith(weights.SUFFIXES) else value
        if isinstance(value, list):
            return [self.of_weights(each, (*at, index)) for index, each in enumerate(value)]
        path = value.get(weights.PRETRAINED) if isinstance(value, dict) else None
        return {weights.PRETRAINED: self._moved(path, at)} if isinstance(path, str) else value

    def _of_entry(self, entry: Plain, at: KeyPath) -> Plain:
        if isinstance(entry, str):
            return self._name(entry, at)
        if not isinstance(entry, dict):
            return entry
        found: dict[str, Plain] = {}
        for name, options in entry.items():
            inside = (*at, name)
            key = self._name(name, inside)
            if key != name:
                self.renamed[inside] = key
            found[key] = self._options(name, options, inside)
        return found

    def _options(self, name: str, options: Plain, at: KeyPath) -> Plain:
        if at[0] == "methods":
            if name == COMPOSE:
                return self.of_entries(options, at)
            if name == MIX and isinstance(options, dict):
                return {
                    key: part if key == LABEL else self._of_entry(part, (*at, key))
                    for key, part in options.items()
                }
        elif isinstance(options, dict) and "weights" in options:
            return {**options, "weights": self.of_weights(options["weights"], (*at, "weights"))}
        return options

    def _name(self, name: str, at: KeyPath) -> str:
        """A method, or a model, by its name or its file."""
        if at[0] == "methods":
            return self._moved(name, at) if registry.is_own(name) else name
        kind, colon, config = name.partition(":")
        if kind == "transformers" and colon:
            return f"{kind}:{self._moved(config, at)}"
        is_file = name.endswith(".py") or name.rpartition(":")[0].endswith(".py")
        return self._moved(name, at) if is_file else name

    def _moved(self, path: str, at: KeyPath) -> str:
        """The path as the document's folder names it, if another folder's file wrote it."""
        written_in = self.document.place(at).path.parent
        here = os.path.realpath(self.document.path.parent)
        if os.path.isabs(os.path.expanduser(path)) or os.path.realpath(written_in) == here:
            return path
        return os.path.relpath(os.path.realpath(Path(written_in, path)), here)
