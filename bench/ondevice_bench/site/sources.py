"""Finds what is published: the runs of bundles and stores. Runs of `bench ab` are left out.

Bundles and runs that the site already has are not read in full.
"""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ondevice_bench.errors import BadInput
from ondevice_bench.files import require_regular
from ondevice_bench.record import bundle
from ondevice_bench.record.origin import AB
from ondevice_bench.record.run_json import RunContent
from ondevice_bench.record.store import FILE_NAME, Store
from ondevice_bench.site.digest import Digest, mark_of
from ondevice_bench.site.make_digest import digest_of, identity_of


@dataclass(frozen=True)
class Found:
    """The runs that the site may not have yet, each with its source, and hashes of all bundles.

    `left_out` has the error of each source that cannot be read.
    """

    digests: tuple[tuple[str, Digest], ...]
    bundles: frozenset[str]
    left_out: tuple[str, ...] = ()


def find_sources(paths: Sequence[Path], site: Path) -> tuple[Path, ...]:
    """The bundles and stores at these paths. Folders are searched, but the site is left out."""
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise BadInput(f"{path}: no such file or folder")
            require_regular(path)
            found[path] = None
            continue
        inside = sorted(_within(path, site.resolve()))
        if not inside:
            raise BadInput(f"{path}: neither a bundle (*{bundle.SUFFIX}) nor a store in it")
        found |= dict.fromkeys(inside)
    return tuple(found)


def read_sources(
    paths: Sequence[Path], bundles: Collection[str], marks: Mapping[str, str]
) -> Found:
    """The runs of these files, without bundles of a known hash and runs of a known mark.

    A file that cannot be read is left out. BadInput if no file can be read.
    """
    digests: list[tuple[str, Digest]] = []
    seen: set[str] = set()
    problems: list[BadInput] = []
    for path in paths:
        try:
            if path.suffix == bundle.SUFFIX:
                sha = _hash_of(path)
                if sha not in bundles:
                    digests += tuple(_digests(path, bundle.read(path)))
                seen.add(sha)
            else:
                with Store.open(path) as store:
                    digests += tuple(_digests(path, _new_in(store, marks)))
        except BadInput as error:
            problems.append(error)
    if problems and len(problems) == len(paths):
        raise problems[0]
    left_out = tuple(error.lines[0] for error in problems)
    return Found(tuple(digests), frozenset(seen), left_out)


def _within(folder: Path, site: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = [name for name in folders if (here / name).resolve() != site]
        for name in names:
            if name.endswith(bundle.SUFFIX) or name == FILE_NAME:
                yield here / name


def _new_in(store: Store, marks: Mapping[str, str]) -> Iterator[RunContent]:
    """The runs of the store that the site does not have, or has with another mark."""
    with store.one_state():
        for run in store.runs():
            if run.origin == AB:
                continue
            cells = store.cells(run.id)
            mark = mark_of(identity_of(run, cells), run.finished, store.attempts(run.id))
            if marks.get(run.id) != mark:
                yield RunContent(run, cells, store.records(run.id))


def _digests(
    path: Path, contents: Iterator[RunContent] | Sequence[RunContent]
) -> Iterator[tuple[str, Digest]]:
    for content in contents:
        if content.run.origin != AB:
            yield str(path), digest_of(content)


def _hash_of(path: Path) -> str:
    require_regular(path)
    try:
        if path.stat().st_size > bundle.MAX_FILE:
            raise BadInput(f"{path}: larger than {bundle.MAX_FILE >> 20} MiB, not a bundle")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
