"""`bench history`: the changes of metrics over stored runs."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import STORES, AsJson, SameCode, check_threshold
from ondevice_bench.errors import BadInput, ExitCode, NothingRan, unknown
from ondevice_bench.terminal import print_errors, print_json, print_lines, print_tables

if TYPE_CHECKING:
    from ondevice_bench.record.foreign import ForeignRun


def history(
    stores: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STORE",
            help=STORES,
            autocompletion=names.results,
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="A metric's name (default: all exact metrics, step_seconds, inference_seconds, "
            "step_minor_faults, treated_layers_seconds, peak_rss_over_runtime_bytes and "
            "step_joules).",
            autocompletion=names.metrics,
        ),
    ] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(
            help="Only cells whose id matches: a glob, or a part of the id.",
            autocompletion=names.cells,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE|COMMIT", help="Only runs since then: 2026-03-01, v1.2, a1b2."),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(help="Ignore changes of noisy metrics smaller than this (0.02 = 2 %)."),
    ] = 0.02,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also draw the runs as an HTML page.")
    ] = None,
    same_code: SameCode = False,
    as_json: AsJson = False,
) -> int:
    """Show where metrics changed over the stored runs: between which commits, and how much.

    Readings of other tools are shown apart, if no STORE, --metric or --since is given.
    """
    foreign = [] if stores or metric or since else _foreign_runs(cell or ())
    try:
        return _of_ours(stores, metric, cell, since, threshold, out, foreign, same_code, as_json)
    except NothingRan:
        _show_foreign(foreign, as_json=as_json)
        raise


def _of_ours(
    stores: list[str] | None,
    metric: list[str] | None,
    cell: list[str] | None,
    since: str | None,
    threshold: float,
    out: Path | None,
    foreign: "Sequence[ForeignRun]",
    same_code: bool,
    as_json: bool,
) -> int:
    from ondevice_bench import metrics
    from ondevice_bench.analyse.find_runs import find_stores, store_paths
    from ondevice_bench.analyse.history import HistoryQuery, history_of, in_order
    from ondevice_bench.analyse.resolve_run import summary_at
    from ondevice_bench.analyse.select_runs import runs_since, stored_runs, with_cells
    from ondevice_bench.report.terminal.foreign import foreign_json
    from ondevice_bench.report.terminal.history import history_json, history_lines, history_table
    from ondevice_bench.running.commit import places, resolved

    for name in metric or ():
        if name not in metrics.BY_NAME:
            raise BadInput(f"--metric: {unknown('metric', name, metrics.BY_NAME)}")
    check_threshold(threshold)
    if foreign and not store_paths():
        _show_foreign(foreign, as_json=as_json)
        return ExitCode.OK
    paths = find_stores(stores or ())
    stored = stored_runs(paths, metric or (), cell or ())
    commits = places(Path.cwd(), [one.run.commit for one in stored])
    runs = in_order([one.run for one in stored], commits)
    if since is not None:
        here = Path.cwd()
        runs = runs_since(
            runs, since, functools.partial(places, here), functools.partial(resolved, here)
        )
    if len(runs) < 2:
        listing = ", ".join(map(str, paths))
        count = "only one run" if runs else "no run"
        raise NothingRan(f"{listing}: {count} to look at: a history needs two")
    query = HistoryQuery(commits, tuple(metric or ()), threshold, same_code)
    results = history_of(runs, (each for one in stored for each in one.readings), query)
    if not any(len(one.points) > 1 for one in results.series):
        raise NothingRan("no cell was measured twice on the same machine: there is no history")
    if out is not None:
        from ondevice_bench.report.page import write_report

        path_of = {one.run.id: one.path for one in stored}
        summaries = [
            with_cells(summary_at(path_of[run.id], run.id), cell or ())
            for run in (runs[-1], *runs[:-1])
        ]
        write_report(summaries, out, "regression", query=query)
    code = ExitCode.OK if results.is_judged else ExitCode.INCONCLUSIVE
    if as_json:
        page = None if out is None else str(out)
        others = foreign_json(foreign)
        whole = {**history_json(results), "foreign": others, "report": page, "exit_code": int(code)}
        print_json(whole)
    else:
        if (table := history_table(results, metric or ())).rows:
            print_tables(table)
        print_lines(*history_lines(results))
        _show_foreign(foreign, as_json=False)
        if out is not None:
            print_lines(f"report: {out}")
    return code


def _foreign_runs(patterns: Sequence[str]) -> "list[ForeignRun]":
    """The readings of other tools whose names match."""
    from ondevice_bench.record.foreign import foreign_runs
    from ondevice_bench.suite.patterns import matches_any

    found = []
    for _, run in foreign_runs():
        if isinstance(run, BadInput):
            print_errors(f"left out: {run.lines[0]}")
            continue
        chosen = (
            each for each in run.readings if not patterns or matches_any(each.benchmark, patterns)
        )
        if readings := tuple(chosen):
            found.append(replace(run, readings=readings))
    return found


def _show_foreign(foreign: "Sequence[ForeignRun]", *, as_json: bool) -> None:
    if not foreign:
        return
    from ondevice_bench.report.terminal.foreign import foreign_json, foreign_table

    if as_json:
        print_json({"foreign": foreign_json(foreign)})
    else:
        print_tables(foreign_table(foreign))
