"""The stored runs that a history shows."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ondevice_bench.analyse.find_runs import from_each_store
from ondevice_bench.analyse.history import METRICS, Reading, readings
from ondevice_bench.analyse.series import Traits
from ondevice_bench.analyse.summarise import cell_estimates
from ondevice_bench.analyse.summary import CellEstimates, RunSummary
from ondevice_bench.errors import BadInput, suggestion
from ondevice_bench.passes import TRACE
from ondevice_bench.record.model import Run
from ondevice_bench.record.origin import AB
from ondevice_bench.record.store import Store
from ondevice_bench.suite.patterns import matches_any
from ondevice_bench.units import by_time, instant

SHORTEST = 4  # digits that git accepts as a commit

Places = Callable[[Iterable[str]], Mapping[str, int]]


@dataclass(frozen=True)
class StoredRun:
    """A run, its store, and the parts of it that a history shows."""

    path: Path
    run: Run
    readings: tuple[Reading, ...]


def stored_runs(
    paths: Sequence[Path], names: Sequence[str] = (), patterns: Sequence[str] = ()
) -> list[StoredRun]:
    """Every run of these stores, with the cells that match one of the patterns.

    Runs of `bench ab` are left out, because their rounds are short and alternate with another side.
    With several stores, those that cannot be read are left out.
    """
    known: dict[str, Traits] = {}
    ids: set[str] = set()
    wanted = frozenset(names or METRICS)

    def read(store: Store) -> list[StoredRun]:
        found, seen = [], set[str]()
        with store.one_state():
            for run in store.runs():
                if run.origin == AB:
                    continue
                cells = tuple(cell_estimates(store, run, wanted, [TRACE]))
                seen.update(cell.id for cell in cells)
                matching = [cell for cell in cells if _matches(cell, patterns)]
                if patterns and not matching:
                    continue
                of_run = tuple(readings(run, matching, names, known))
                found.append(StoredRun(store.path, run, of_run))
        ids.update(seen)  # only of a store that was read to its end
        return found

    if len(paths) == 1:
        with Store.open(paths[0]) as store:
            runs = read(store)
    else:
        runs = [run for _, found in from_each_store(read, paths) for run in found]
    if ids and not runs:
        raise BadInput(f"--cell: no cell matches {patterns[0]!r}{suggestion(patterns[0], ids)}")
    return list({one.run.id: one for one in runs}.values())


def with_cells(summary: RunSummary, patterns: Sequence[str]) -> RunSummary:
    """The summary with only the cells that match a pattern; with all cells without patterns."""
    cells = tuple(cell for cell in summary.cells if _matches(cell, patterns))
    return replace(summary, cells=cells)


def _matches(cell: CellEstimates, patterns: Sequence[str]) -> bool:
    return not patterns or matches_any(cell.id, patterns)


def runs_since(
    ordered: Sequence[Run], since: str, places: Places, resolve: Callable[[str], str]
) -> list[Run]:
    """The runs since a day or since a commit.

    `places` gives the place of each commit in the repository. `resolve` gives the full hash of a
    ref. Both give nothing for a commit that is not in the repository.
    """
    if re.match(r"\d{4}-\d\d", since):
        start = _moment(since)
        return [run for run in ordered if by_time(run.created) >= start]
    full = resolve(since) or since
    heads = [run.commit.partition("+")[0] for run in ordered]
    for place, head in enumerate(heads):
        if full.startswith(head) or (len(full) >= SHORTEST and head.startswith(full)):
            return list(ordered[place:])
    by_commit = places([run.commit for run in ordered])
    if by_commit and (with_ref := places([*by_commit, full])):
        return [run for run in ordered if with_ref[run.commit] >= with_ref[full]]
    hint = suggestion(since, heads)
    raise BadInput(f"--since: {since!r} is neither a date nor a commit of these runs{hint}")


def _moment(text: str) -> datetime:
    """A day or a moment, in UTC."""
    moment = instant(text)
    if moment is None:
        raise BadInput(f"--since: {text!r} is not a date: give one such as 2026-03-01, or a commit")
    return moment
