"""`bench history`: what stored runs say of a figure's way over commits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.errors import BadInput, ExitCode, NothingRan, suggestion, unknown
from ondevice_bench.terminal import print_json, print_table

SHORTEST = 4  # digits that git takes for a commit

if TYPE_CHECKING:
    from ondevice_bench.analyse.summary import RunSummary


def history(
    stores: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STORE]...", help="Suites or stores (default: all below bench-out)."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="A metric's name (default: all exact ones, times, peak memory)."),
    ] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(help="Only cells whose id matches: a glob, or a word in the id."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE|COMMIT", help="Only runs from then on: 2026-03-01, v1.2, a1b2."),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="What a noisy metric may change without a word.")
    ] = 0.02,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw the runs as an HTML page as well.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Figures of stored runs over commits: where they changed, between which two, by how much."""
    from ondevice_bench.analyse.find_runs import find_stores
    from ondevice_bench.analyse.history import Asked, in_order
    from ondevice_bench.analyse.history import history as history_of
    from ondevice_bench.record import metrics
    from ondevice_bench.report.page import write_report
    from ondevice_bench.report.terminal.history import history_json, history_lines, history_table
    from ondevice_bench.run.commit import places

    for name in metric or ():
        if name not in metrics.BY_NAME:
            raise BadInput(f"--metric: {unknown('metric', name, metrics.BY_NAME)}")
    if not 0 < threshold < 1:
        raise BadInput(f"--threshold: must be in (0, 1), got {threshold:g}")
    paths = find_stores(stores or ())
    summaries = _runs(paths, cell or [])
    commits = places(Path.cwd(), [one.run.commit for one in summaries])
    summaries = in_order(summaries, commits)
    if since is not None:
        summaries = _since(summaries, since, commits)
    if len(summaries) < 2:
        listed = ", ".join(map(str, paths))
        held = "one run" if summaries else "no run"
        raise NothingRan(f"{listed}: {held} to look at: a history needs two")
    asked = Asked(commits, tuple(metric or ()), threshold)
    found = history_of(summaries, asked)
    if not any(len(one.points) > 1 for one in found.series):
        raise NothingRan("no cell was measured twice on the same machine: there is no history")
    if out is not None:
        write_report([summaries[-1], *summaries[:-1]], out, "regression", asked=asked)
    code = ExitCode.OK if found.is_judged else ExitCode.INCONCLUSIVE
    if as_json:
        page = None if out is None else str(out)
        print_json({**history_json(found), "report": page, "exit_code": int(code)})
    else:
        print_table(history_table(found, metric or ()))
        print("\n".join(history_lines(found)))
        if out is not None:
            print(f"report: {out}")
    return code


def _runs(paths: Sequence[Path], patterns: Sequence[str]) -> "list[RunSummary]":
    """Every run of these stores; rounds of a duel are short and taken beside another side's."""
    from ondevice_bench.analyse.summary import summarise
    from ondevice_bench.record.store import Store
    from ondevice_bench.suite.patterns import matches_any

    found = []
    for path in paths:
        with Store.open(path) as store:
            found += [summarise(store, run) for run in store.runs() if run.origin != "ab"]
    if not patterns:
        return found
    kept = [
        replace(one, cells=tuple(c for c in one.cells if matches_any(c.id, patterns)))
        for one in found
    ]
    if found and not any(one.cells for one in kept):
        known = {cell.id for one in found for cell in one.cells}
        raise BadInput(f"--cell: no cell matches {patterns[0]!r}{suggestion(patterns[0], known)}")
    return [one for one in kept if one.cells]


def _since(
    ordered: "list[RunSummary]", since: str, commits: Mapping[str, int]
) -> "list[RunSummary]":
    """The runs from a day, or from a commit on."""
    from ondevice_bench.run.commit import places, resolved

    if re.match(r"\d{4}-\d\d", since):
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            raise BadInput(f"--since: {since!r} is no day: 2026-03-01, or a commit") from None
        utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return [one for one in ordered if one.run.created >= utc.isoformat()]
    full = resolved(Path.cwd(), since) or since
    heads = [one.run.commit.partition("+")[0] for one in ordered]
    for place, head in enumerate(heads):
        if full.startswith(head) or (len(full) >= SHORTEST and head.startswith(full)):
            return ordered[place:]
    if commits and (there := places(Path.cwd(), [*commits, full])):
        return [one for one in ordered if there[one.run.commit] >= there[full]]
    near = suggestion(since, heads)
    raise BadInput(f"--since: {since!r} is no date, and no commit of these runs{near}")
