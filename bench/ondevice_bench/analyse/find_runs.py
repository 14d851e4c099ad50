"""Finds the stored run that a user's text names."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ondevice_bench.errors import BadInput, suggestion, unknown
from ondevice_bench.record.model import Run
from ondevice_bench.record.store import FILE_NAME, OUT, Store
from ondevice_bench.terminal import print_errors

T = TypeVar("T")


def store_paths() -> tuple[Path, ...]:
    """The stores below the working directory's `bench-out`."""
    return tuple(sorted(OUT.glob(f"*/{FILE_NAME}")))


def from_each_store(
    read: Callable[[Store], T], paths: Sequence[Path] | None = None
) -> list[tuple[Path, T]]:
    """What `read` returns for each store, by default for all stores below `bench-out`.

    A store that cannot be read is left out. A line on standard error names it.
    """
    found = []
    for path in store_paths() if paths is None else paths:
        try:
            with Store.open(path) as store:
                found.append((path, read(store)))
        except BadInput as error:
            print_errors(f"left out: {error.lines[0]}")
    return found


def split_reference(reference: str) -> tuple[str, str]:
    """The path or the name in a reference, and the run after its `@`.

    Folders, suites and ids of runs can contain an `@`, too. So the longest existing path is taken.
    """
    words = reference.split("@")
    for count in range(len(words), 0, -1):
        path = "@".join(words[:count])
        if os.path.isfile(path) or os.path.isfile(OUT / path / FILE_NAME):
            return path, "@".join(words[count:])
    path, _, run = reference.partition("@")
    return path, run


def find_run(reference: str | None) -> tuple[Path, str]:
    """The store and id of a run.

    `reference` is a store (`PATH` or `PATH@RUN`), a run id, or a suite's name (its latest run);
    None means the latest run of all.
    """
    if reference is None:
        return _latest_of_all()
    path, run = split_reference(reference)
    if "/" in path or path.endswith(".sqlite"):
        with Store.open(Path(path)) as store:
            return Path(path), _pick(store, run or None).id
    named = OUT / path / FILE_NAME
    if named.exists():
        with Store.open(named) as store:
            return named, _pick(store, run or None).id
    return _by_id(reference)


def find_stores(references: Sequence[str]) -> tuple[Path, ...]:
    """The stores of these suites or paths; without any, all stores below `bench-out`."""
    if not references:
        paths = store_paths()
        if not paths:
            raise BadInput(f"no runs in {OUT}: start with `bench run quick`")
        return paths
    paths_by_name = {path.parent.name: path for path in store_paths()}
    for name in references:
        if "/" not in name and not name.endswith(".sqlite") and name not in paths_by_name:
            raise BadInput(f"{unknown('suite or store', name, paths_by_name)} in {OUT}")
    return tuple(dict.fromkeys(paths_by_name.get(name, Path(name)) for name in references))


def latest_runs() -> tuple[tuple[Path, str], ...]:
    """The latest run of each suite on each profile, in all stores."""
    latest = {
        (path, run.suite, run.profile): run.id
        for path, runs in from_each_store(Store.runs)
        for run in runs
    }
    return tuple((path, run) for (path, _, _), run in latest.items())


def on_other_boards(path: Path, run_id: str) -> tuple[str, ...]:
    """The latest run of the same suite on each other profile, in the same store."""
    with Store.open(path) as store:
        main = store.run(run_id)
        latest = {
            run.profile: run.id
            for run in store.runs()
            if run.suite == main.suite and run.profile != main.profile
        }
    return tuple(latest.values())


def _by_id(reference: str) -> tuple[Path, str]:
    paths_by_id = {run.id: path for path, runs in from_each_store(Store.runs) for run in runs}
    if reference in paths_by_id:
        return paths_by_id[reference], reference
    hint = suggestion(reference, [*paths_by_id, *(path.parent.name for path in store_paths())])
    raise BadInput(f"no run, suite or store {reference!r} in {OUT}{hint}")


def _latest_of_all() -> tuple[Path, str]:
    latest: tuple[str, Path, str] | None = None
    for path, runs in from_each_store(Store.runs):
        for run in runs:
            if latest is None or run.created >= latest[0]:
                latest = (run.created, path, run.id)
    if latest is None:
        raise BadInput(f"no runs in {OUT}: start with `bench run quick`")
    return latest[1], latest[2]


def _pick(store: Store, run_id: str | None) -> Run:
    runs = {run.id: run for run in store.runs()}
    if not runs:
        raise BadInput(f"{store.path}: no run in it yet")
    if run_id is None:
        return list(runs.values())[-1]
    if run_id not in runs:
        raise BadInput(f"{store.path}: no run {run_id!r}{suggestion(run_id, runs)}")
    return runs[run_id]
