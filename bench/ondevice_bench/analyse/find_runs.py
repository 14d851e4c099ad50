"""From what a user types to a run in a store."""

from collections.abc import Sequence
from pathlib import Path

from ondevice_bench.errors import BadInput, suggestion, unknown
from ondevice_bench.record.model import Run
from ondevice_bench.record.store import FILE_NAME, OUT, Store


def store_paths() -> tuple[Path, ...]:
    """The stores below the working directory's `bench-out`."""
    return tuple(sorted(OUT.glob(f"*/{FILE_NAME}")))


def find_run(reference: str | None) -> tuple[Path, str]:
    """The store and id of a run.

    `reference` is a store (`PATH` or `PATH@RUN`), a run id, or a suite's name (its latest run);
    None means the latest run of all.
    """
    if reference is None:
        return _latest_of_all()
    path, _, run = reference.partition("@")
    if "/" in path or path.endswith(".sqlite"):
        with Store.open(Path(path)) as store:
            return Path(path), _pick(store, run or None).id
    named = OUT / path / FILE_NAME
    if named.exists():
        with Store.open(named) as store:
            return named, _pick(store, run or None).id
    return _by_id(reference)


def find_stores(references: Sequence[str]) -> tuple[Path, ...]:
    """The stores that these stand for, suites' names or paths; all below `bench-out` for none."""
    if not references:
        found = store_paths()
        if not found:
            raise BadInput(f"no runs in {OUT}: start with `bench run quick`")
        return found
    known = {path.parent.name: path for path in store_paths()}
    for name in references:
        if "/" not in name and not name.endswith(".sqlite") and name not in known:
            raise BadInput(f"{unknown('suite or store', name, known)} in {OUT}")
    return tuple(dict.fromkeys(known.get(name, Path(name)) for name in references))


def latest_runs() -> tuple[tuple[Path, str], ...]:
    """The latest run of each suite on each profile, of all stores."""
    found: dict[tuple[Path, str, str], str] = {}
    for path in store_paths():
        with Store.open(path) as store:
            found.update({(path, run.suite, run.profile): run.id for run in store.runs()})
    return tuple((path, run) for (path, _, _), run in found.items())


def on_other_boards(path: Path, run_id: str) -> tuple[str, ...]:
    """The latest run of the same suite on each other profile, in the same store."""
    with Store.open(path) as store:
        mine = store.run(run_id)
        latest = {
            run.profile: run.id
            for run in store.runs()
            if run.suite == mine.suite and run.profile != mine.profile
        }
    return tuple(latest.values())


def _by_id(reference: str) -> tuple[Path, str]:
    known: dict[str, Path] = {}
    for path in store_paths():
        with Store.open(path) as store:
            known.update({run.id: path for run in store.runs()})
    if reference in known:
        return known[reference], reference
    near = suggestion(reference, [*known, *(path.parent.name for path in store_paths())])
    raise BadInput(f"no run, suite or store {reference!r} in {OUT}{near}")


def _latest_of_all() -> tuple[Path, str]:
    latest: tuple[str, Path, str] | None = None
    for path in store_paths():
        with Store.open(path) as store:
            for run in store.runs():
                if latest is None or run.created >= latest[0]:
                    latest = (run.created, path, run.id)
    if latest is None:
        raise BadInput(f"no runs in {OUT}: start with `bench run quick`")
    return latest[1], latest[2]


def _pick(store: Store, run_id: str | None) -> Run:
    runs = {run.id: run for run in store.runs()}
    if not runs:
        raise BadInput(f"{store.path}: holds no run yet")
    if run_id is None:
        return list(runs.values())[-1]
    if run_id not in runs:
        raise BadInput(f"{store.path}: no run {run_id!r}{suggestion(run_id, runs)}")
    return runs[run_id]
