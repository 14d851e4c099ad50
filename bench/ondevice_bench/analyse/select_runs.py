"""The stored runs that a history shows."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ondevice_bench.analyse.find_runs import from_each_store
from ondevice_bench.analyse.summary import RunSummary, summarise
from ondevice_bench.errors import BadInput, suggestion
from ondevice_bench.record.store import Store
from ondevice_bench.suite.patterns import matches_any

SHORTEST = 4  # digits that git accepts as a commit

Places = Callable[[Iterable[str]], Mapping[str, int]]


def stored_runs(paths: Sequence[Path], patterns: Sequence[str] = ()) -> list[RunSummary]:
    """Every run of these stores, with the cells that match one of the patterns.

    Runs of `bench ab` are left out, because their rounds are short and alternate with another side.
    Of several stores, those that cannot be read are left out.
    """
    if len(paths) == 1:
        with Store.open(paths[0]) as store:
            runs = _summaries(store)
    else:
        runs = [run for _, found in from_each_store(_summaries, paths) for run in found]
    if not patterns:
        return runs
    filtered = [
        replace(one, cells=tuple(cell for cell in one.cells if matches_any(cell.id, patterns)))
        for one in runs
    ]
    selected = [one for one in filtered if one.cells]
    if runs and not selected:
        ids = {cell.id for one in runs for cell in one.cells}
        raise BadInput(f"--cell: no cell matches {patterns[0]!r}{suggestion(patterns[0], ids)}")
    return selected


def _summaries(store: Store) -> list[RunSummary]:
    return [summarise(store, run) for run in store.runs() if run.origin != "ab"]


def runs_since(
    ordered: Sequence[RunSummary], since: str, places: Places, resolve: Callable[[str], str]
) -> list[RunSummary]:
    """The runs since a day or since a commit.

    `places` gives the place of each commit in the repository, `resolve` the full hash of a ref.
    Both give nothing for a commit that the repository does not have.
    """
    if re.match(r"\d{4}-\d\d", since):
        moment = _moment(since).isoformat()
        return [one for one in ordered if one.run.created >= moment]
    full = resolve(since) or since
    heads = [one.run.commit.partition("+")[0] for one in ordered]
    for place, head in enumerate(heads):
        if full.startswith(head) or (len(full) >= SHORTEST and head.startswith(full)):
            return list(ordered[place:])
    by_commit = places([one.run.commit for one in ordered])
    if by_commit and (with_ref := places([*by_commit, full])):
        return [one for one in ordered if with_ref[one.run.commit] >= with_ref[full]]
    hint = suggestion(since, heads)
    raise BadInput(f"--since: {since!r} is neither a date nor a commit of these runs{hint}")


def _moment(text: str) -> datetime:
    """A day or a moment, in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f"--since: {text!r} is no date: give one such as 2026-03-01, or a commit"
        ) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
