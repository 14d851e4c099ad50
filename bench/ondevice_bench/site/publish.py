"""Updates a site. New files are checked, written to temporary files, and then renamed.

The site depends only on its runs, and not on their order or on their source files. If the runs of a
board and the templates are unchanged, its pages stay.
"""

import contextlib
import fcntl
import gc
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ondevice_bench
from ondevice_bench.analyse.history import in_order
from ondevice_bench.errors import BadInput
from ondevice_bench.files import require_regular, to_disk
from ondevice_bench.site import digest_file, index_page
from ondevice_bench.site.board_history import board_history
from ondevice_bench.site.board_page import board_pages, card_of
from ondevice_bench.site.digest import Digest, merged
from ondevice_bench.site.manifest import (
    FILE_NAME,
    Card,
    KnownBoard,
    KnownRun,
    Manifest,
    read_manifest,
)
from ondevice_bench.site.places import DATA, Board
from ondevice_bench.site.sources import find_sources, read_sources
from ondevice_bench.site.templates import look
from ondevice_bench.units import by_time

BESIDE = ".bench-new-"
COLLECT_AFTER = 100_000  # new objects; a history has many objects and nearly no reference cycles
Places = Callable[[Iterable[str]], Mapping[str, int]]


@dataclass(frozen=True)
class Published:
    """What was done. `rebuilt` says why all pages were made again, if they were.

    `left_out` has the error of each file that could not be read.
    """

    runs: int
    added: int
    grown: int
    pages: int
    written: int
    newest: tuple[Card, ...]
    rebuilt: str = ""
    left_out: tuple[str, ...] = ()


@dataclass
class _Site:
    """The runs of a site while it is brought up to date."""

    folder: Path
    known: dict[str, KnownRun]
    changed: dict[str, Digest] = field(default_factory=dict)
    read: dict[str, Digest] = field(default_factory=dict)

    def digest(self, run: str) -> Digest:
        """The digest of a run of the site, from its file; BadInput if the file was changed."""
        if run in self.changed:
            return self.changed[run]
        if run not in self.read:
            known = self.known[run]
            path = self.folder / known.file
            data = _data_of(path)
            if _sha(data) != known.sha256:
                raise BadInput(
                    f"{path}: was changed by somebody else: restore it, or delete {FILE_NAME} and "
                    "this file, and publish its run again"
                )
            self.read[run] = digest_file.read(str(path), data)
        return self.read[run]


def publish(paths: Sequence[Path], site: Path, places: Places) -> Published:
    """Add the runs of these bundles, stores and folders to the site, and draw what changed.

    `places` gives the place of each commit in the repository, or nothing if it lacks one.
    """
    if site.exists() and not site.is_dir():
        raise BadInput(f"{site}: is a file, not the folder of a site")
    _require_own(site)
    sources = find_sources(paths, site)
    with _locked(site), _collecting_seldom():
        found = read_manifest(site)
        manifest = found.manifest
        state = _Site(site, dict(manifest.runs))
        _go_on_after_a_kill(state)
        stray = _take_up_stray_data(state)
        problem = found.problem or ("is missing" if stray and not manifest.runs else "")
        marks = {run: each.mark for run, each in state.known.items()}
        new = read_sources(sources, manifest.bundles, marks)
        added, grown = _merge(state, new.digests)
        data = {run: digest_file.text_of(each) for run, each in state.changed.items()}
        runs = state.known | {
            run: _known_run(each, data[run]) for run, each in state.changed.items()
        }
        if not runs:
            raise BadInput("no run to publish: measure one first, for example `bench run quick`")
        boards, written = _drawn(state, runs, manifest, places)
        first = index_page.index_page(each.card for each in boards.values())
        pages = _hashes_of_pages(boards, manifest, {**written, index_page.PATH: first})
        if pages[index_page.PATH] != _sha_of(site / index_page.PATH):
            written[index_page.PATH] = first
        whole = Manifest(
            sorted({*manifest.bundles, *new.bundles}),
            dict(sorted(runs.items())),
            dict(sorted(boards.items())),
            dict(sorted(pages.items())),
        )
        files = {runs[run].file: text for run, text in data.items()}
        _put_in_place(site, files | written, whole, set(manifest.pages) - set(pages))
    newest = sorted((each.card for each in boards.values()), key=lambda card: by_time(card.created))
    return Published(
        len(runs),
        added,
        grown,
        len(pages),
        len(written),
        tuple(newest[::-1]),
        problem,
        new.left_out,
    )


def _require_own(site: Path) -> None:
    """Refuse a folder with other files, such as a home folder that was given by mistake."""
    if not site.is_dir() or any(site.glob(f"*/*/{DATA}/*.json")):
        return
    if read_manifest(site).manifest.runs:  # not the file name: other tools use the same name
        return
    others = sorted(each.name for each in site.iterdir() if not each.name.startswith("."))
    if others:
        raise BadInput(f"{site}: is not a site of bench, and is not empty: it has {others[0]!r}")


@contextlib.contextmanager
def _locked(site: Path) -> Iterator[None]:
    """Keep other processes from writing this site. The lock ends with the process.

    A new folder is removed again if nothing is published.
    """
    is_new = not site.exists()
    try:
        site.mkdir(parents=True, exist_ok=True)
        opened = os.open(site, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BadInput(f"{site}: cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadInput(f"{site}: another `bench site` is writing it") from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):
                site.rmdir()
        raise
    finally:
        os.close(opened)


@contextlib.contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Collect garbage less often: it took a fifth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _go_on_after_a_kill(state: _Site) -> None:
    """Take over the files that a killed process renamed. Its own manifest lists them."""
    for left in sorted(state.folder.glob(f"{BESIDE}*")):
        for run, each in read_manifest(left).manifest.runs.items():
            if state.known.get(run) != each and _sha_of(state.folder / each.file) == each.sha256:
                state.known[run] = each


def _take_up_stray_data(state: _Site) -> int:
    """Read the files of runs that are not in the manifest, and count them.

    There are such files if the manifest was lost, or if a process was killed.
    """
    files = {each.file for each in state.known.values()}
    count = 0
    for path in sorted(state.folder.glob(f"*/*/{DATA}/*.json")):
        name = path.relative_to(state.folder).as_posix()
        if name in files:
            continue
        data = _data_of(path)
        digest = digest_file.read(str(path), data)
        run = digest.facts.id
        if Board.of(digest.run).data(run) != name:
            raise BadInput(f"{path}: is not the file of its run {run}")
        if run in state.known:  # the manifest has another file for this id, so it is another run
            merged(str(path), state.digest(run), digest)
        state.known[run] = _known_run(digest, data)
        state.read[run] = digest
        count += 1
    return count


def _data_of(path: Path) -> bytes:
    require_regular(path)
    try:
        if path.stat().st_size > digest_file.MAX_FILE:
            size = digest_file.MAX_FILE >> 20
            raise BadInput(f"{path}: larger than {size} MiB, not a run of a site")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None


def _merge(state: _Site, found: Sequence[tuple[str, Digest]]) -> tuple[int, int]:
    """Add the runs that were found. Returns how many are new, and how many have grown."""
    added, grown = set(), set()
    for where, digest in found:
        run = digest.facts.id
        if run not in state.known and run not in state.changed:
            state.changed[run] = digest
            added.add(run)
            continue
        before = state.digest(run)
        after = merged(where, before, digest)
        if after != before:
            state.changed[run] = after
            grown.add(run)
    return len(added), len(grown - added)


def _known_run(digest: Digest, data: bytes) -> KnownRun:
    """The entry of the manifest for a run with this file."""
    facts = digest.facts
    file = Board.of(digest.run).data(facts.id)
    return KnownRun(facts.id, facts.commit, facts.created, file, _sha(data), digest.mark)


def _drawn(
    state: _Site, runs: Mapping[str, KnownRun], manifest: Manifest, places: Places
) -> tuple[dict[str, KnownBoard], dict[str, bytes]]:
    """Every board, and the pages of the boards with other runs, another order or a new look."""
    by_folder: dict[str, list[KnownRun]] = {}
    for _, each in sorted(runs.items()):
        by_folder.setdefault(each.file.rpartition(f"/{DATA}/")[0], []).append(each)
    boards: dict[str, KnownBoard] = {}
    pages: dict[str, bytes] = {}
    for folder, its in by_folder.items():
        known = manifest.boards.get(folder)
        commits = places([each.commit for each in its])
        ordered = in_order(its, commits)
        inputs = _hash_of_inputs([each.sha256 for each in ordered], bool(commits))
        if known and known.inputs == inputs and _are_there(state.folder, known, manifest):
            boards[folder] = known
            continue
        found = [state.digest(each.id) for each in its]
        board = board_history(Board.of(found[0].run), found, commits)
        drawn = dict(board_pages(board))
        boards[folder] = KnownBoard(inputs, sorted(drawn), card_of(board))
        pages |= drawn
    return boards, pages


def _hashes_of_pages(
    boards: Mapping[str, KnownBoard], manifest: Manifest, drawn: Mapping[str, bytes]
) -> dict[str, str]:
    """The hash of each page of the site, drawn now or before."""
    before = {
        path: manifest.pages[path] for b in boards.values() for path in b.pages if path not in drawn
    }
    return before | {path: _sha(data) for path, data in drawn.items()}


def _hash_of_inputs(ordered: Sequence[str], by_commits: bool) -> str:
    text = json.dumps([ondevice_bench.__version__, look(), ordered, by_commits])
    return _sha(text.encode())


def _are_there(site: Path, board: KnownBoard, manifest: Manifest) -> bool:
    """Whether each page of the board is as it was written."""
    return all(_sha_of(site / path) == manifest.pages.get(path) for path in board.pages)


def _put_in_place(
    site: Path, files: Mapping[str, bytes], manifest: Manifest, gone: Iterable[str]
) -> None:
    """Write all files under temporary names, then rename them. The manifest comes last.

    Pages that are gone are removed before it: only the old manifest lists them.
    """
    try:
        _make_folders(site, files)
        for left in site.glob(f"{BESIDE}*"):  # a process that was killed has left it
            shutil.rmtree(left, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=BESIDE, dir=site))
        try:
            for path, data in {**files, FILE_NAME: manifest.to_json()}.items():
                beside = staging / path
                beside.parent.mkdir(parents=True, exist_ok=True)
                with beside.open("wb") as file:
                    file.write(data)
                    if path.endswith(".json"):  # a page can be drawn again
                        to_disk(file)
            for path in files:
                (staging / path).replace(site / path)
            for path in gone:
                (site / path).unlink(missing_ok=True)
            (staging / FILE_NAME).replace(site / FILE_NAME)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise BadInput(f"{site}: cannot be written: {error.strerror}") from None


def _make_folders(site: Path, files: Iterable[str]) -> None:
    """Make the folders of these files. BadInput if a link leads out of the site."""
    root = site.resolve()
    for folder in sorted({(site / path).parent for path in files}):
        if not folder.resolve().is_relative_to(root):
            raise BadInput(f"{folder}: a link leads out of the site")
        folder.mkdir(parents=True, exist_ok=True)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sha_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
