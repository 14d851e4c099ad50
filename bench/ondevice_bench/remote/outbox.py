"""The desk's files for a board: each has a place there under the hash of its content.

A file travels when a text first names its place, and once for each connection.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ondevice_bench.errors import BadInput
from ondevice_bench.specs import sources
from ondevice_bench.specs.data import files_of_classes


def in_json(text: str) -> str:
    """The text as it stands within a text of JSON."""
    return json.dumps(text)[1:-1]


@dataclass(frozen=True)
class Parcel:
    """A file of this side, and its place on the board."""

    path: Path
    place: str
    size: int
    sha256: str


class Outbox:
    """Knows which files a text for the board needs."""

    def __init__(self) -> None:
        # stands in texts for the folder on the board; nothing else has this name
        self.root = f"/bench-{secrets.token_hex(16)}"
        self._parcels: dict[str, tuple[Parcel, ...]] = {}  # by the place that texts name
        self._names: dict[str, Path] = {}  # what lies at such a place, on this side
        self._known: dict[tuple[str, int, int], str] = {}  # hashes, by path, time and size

    def file(self, path: Path) -> str:
        """Where the board will have this file."""
        digest = self._digest(path)
        place = f"{digest[:24]}/{path.name}"
        return self._named(place, path, [self._parcel(path, place)])

    def folder(self, path: Path) -> str:
        """Where the board will have this folder, with all its files."""
        files = sorted(files_of_classes(path))
        names = [each.relative_to(path).as_posix() for each in files]
        listed = [[name, self._digest(each)] for name, each in zip(names, files, strict=True)]
        digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
        place = f"{digest[:24]}/{path.name}"
        places = [f"{place}/{name}" for name in names]
        return self._named(place, path, map(self._parcel, files, places))

    def code(self, implementation: str) -> str:
        """The implementation as the board will find it, if it is a file of the user."""
        where, _, name = implementation.rpartition(":")
        if where.endswith(".py"):
            return f"{self._source(Path(where))}:{name}"
        if where == "transformers":
            return f"{where}:{self.file(Path(name))}"
        return implementation

    def named_in(self, text: str) -> Iterator[Parcel]:
        """The files whose places this JSON text names."""
        for place, parcels in self._parcels.items():
            if in_json(f"{self.root}/{place}") in text:
                yield from parcels

    def told(self, text: str) -> str:
        """A JSON text of the board with this side's names of the files."""
        for place, path in self._names.items():
            text = text.replace(in_json(f"{self.root}/{place}"), in_json(str(path)))
        return text

    def _source(self, file: Path) -> str:
        """Where the board will have the file, with those beside it that it imports.

        Files of one folder lie in one folder there: what they share, a process imports once.
        """
        try:
            files = sources.files(file)
        except OSError as error:
            raise BadInput(f"{file}: cannot be read: {error.strerror}") from None
        folder = hashlib.sha256(os.fsencode(file.parent)).hexdigest()[:24]
        places = [f"{folder}/{path.relative_to(file.parent).as_posix()}" for path in files]
        return self._named(places[0], files[0], map(self._parcel, files, places))

    def _named(self, place: str, path: Path, parcels: Iterable[Parcel]) -> str:
        self._parcels[place], self._names[place] = tuple(parcels), path
        return f"{self.root}/{place}"

    def _parcel(self, path: Path, place: str) -> Parcel:
        digest = self._digest(path)
        return Parcel(path, place, path.stat().st_size, digest)

    def _digest(self, path: Path) -> str:
        try:
            status = path.stat()
            key = (str(path), status.st_mtime_ns, status.st_size)
            if key not in self._known:
                with path.open("rb") as file:
                    self._known[key] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
        return self._known[key]
