"""Finds the stored run that a user's text names."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from ondevice_bench.errors import BadInput, suggestion, unknown
from ondevice_bench.record.model import Run
from ondevice_bench.record.origin import AB
from ondevice_bench.record.store import FILE_NAME, OUT, Store
from ondevice_bench.terminal import print_errors
from ondevice_bench.units import by_time

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


def store_named(name: str) -> Path | None:
    """The store that a text means, if it means one.

    It is the path of a store, or of the folder in which it lies, or the name of a suite.
    """
    of_suite, inside = OUT / name / FILE_NAME, Path(name) / FILE_NAME
    if "/" in name or name.endswith(".sqlite"):
        return inside if os.path.isdir(name) else Path(name)
    return next((path for path in (of_suite, inside) if name and os.path.isfile(path)), None)


def split_reference(reference: str) -> tuple[str, str]:
    """The path or the name in a reference, and the run after its `@`.

    Folders, suites and ids of runs can contain an `@`, too. So the longest existing path is taken.
    """
    words = reference.split("@")
    for count in range(len(words), 0, -1):
        path = "@".join(words[:count])
        store = store_named(path)
        if os.path.isfile(path) or (store and os.path.isfile(store)):
            return path, "@".join(words[count:])
    path, _, run = reference.partition("@")
    return path, run


def find_run(reference: str | None) -> tuple[Path, str]:
    """The store and id of a run.

    `reference` is what `store_named` knows (its latest run), the same with `@RUN`, or the id of a
    run; None means the latest run of all.
    """
    if reference is None:
        return _latest_of_all()
    name, run = split_reference(reference)
    path = store_named(name)
    if path is None:
        return _by_id(reference)
    with Store.open(path) as store:
        return path, _pick(store, run or None).id


def find_stores(references: Sequence[str]) -> tuple[Path, ...]:
    """The stores that `store_named` finds by these names; without names, all below `bench-out`."""
    if not references:
        paths = store_paths()
        if not paths:
            raise BadInput(f"no runs in {OUT}: start with `bench run quick`")
        return paths
    return tuple(dict.fromkeys(map(_require_store, references)))


def _require_store(name: str) -> Path:
    path = store_named(name)
    if path is None:
        suites = [each.parent.name for each in store_paths()]
        if not suites and Path(name).name == name:
            raise BadInput(
                f"no results of {name!r}: {OUT} has no runs. Start with `bench run quick`"
            )
        raise BadInput(f"{unknown('suite or store', name, suites)} in {OUT}")
    return path


def latest_runs() -> tuple[tuple[Path, str], ...]:
    """The latest run of each suite on each profile, in all stores, without runs of `bench ab`."""
    latest = {
        (path, run.suite, run.profile): run.id
        for path, runs in from_each_store(Store.runs)
        for run in runs
        if run.origin != AB
    }
    return tuple((path, run) for (path, _, _), run in latest.items())


def on_other_boards(path: Path, run_id: str) -> tuple[str, ...]:
    """The latest run of the same suite on each other profile, in the same store.

    Runs of `bench ab` are left out.
    """
    with Store.open(path) as store:
        main = store.run(run_id)
        latest = {
            run.profile: run.id
            for run in store.runs()
            if run.suite == main.suite and run.profile != main.profile and run.origin != AB
        }
    return tuple(latest.values())


def _by_id(reference: str) -> tuple[Path, str]:
    paths_by_id = {run.id: path for path, runs in from_each_store(Store.runs) for run in runs}
    if reference in paths_by_id:
        return paths_by_id[reference], reference
    hint = suggestion(reference, [*paths_by_id, *(path.parent.name for path in store_paths())])
    if (saved := Path("baselines", f"{reference}.json")).is_file():
        hint = f"; did you mean the baseline {str(saved)!r}?"
    raise BadInput(f"no run, suite or store {reference!r} in {OUT}{hint}")


def _latest_of_all() -> tuple[Path, str]:
    """The run that began last. A side of `bench ab` only if there is no other run."""
    latest: tuple[tuple[bool, datetime], Path, str] | None = None
    for path, runs in from_each_store(Store.runs):
        for run in runs:
            order = run.origin != AB, by_time(run.created)
            if latest is None or order >= latest[0]:
                latest = (order, path, run.id)
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
