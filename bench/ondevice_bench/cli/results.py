"""Verbs over stored runs."""

import re
import sys
import webbrowser
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ondevice_bench.cli.arguments import AsJson, FailOn, failing
from ondevice_bench.cli.printing import print_json, print_rows
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.files import written_whole

if TYPE_CHECKING:
    from ondevice_bench.analyse.summary import RunSummary
    from ondevice_bench.record.run_json import RunContent


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="A suite (its latest run), a run's id, or STORE@RUN (default: the latest run); "
            "runs of other boards beside it.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file (default: report.html beside the store)."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="A layout's name, or the path of its YAML file.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The method that others are weighed against.")
    ] = None,
    compare_hardware: Annotated[
        bool,
        typer.Option(
            "--compare-hardware",
            help="Beside it the latest run of the same suite on each other board in its store.",
        ),
    ] = False,
    form: Annotated[
        Literal["html", "text", "md", "csv", "json"],
        typer.Option("--format", help="All but html are printed, or written where --out says."),
    ] = "html",
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw a run's results as one HTML file, or print them."""
    from ondevice_bench.analyse.find_runs import find_run, on_other_boards
    from ondevice_bench.analyse.history import Asked
    from ondevice_bench.analyse.summary import summarise
    from ondevice_bench.cli.claiming import claims_on
    from ondevice_bench.record.store import Store
    from ondevice_bench.report.export import written
    from ondevice_bench.report.page import write_report
    from ondevice_bench.run.commit import places

    found = [find_run(name) for name in runs] if runs else [find_run(None)]
    if compare_hardware:
        path, run_id = found[0]
        beside = [(path, other) for other in on_other_boards(path, run_id)]
        found += [each for each in beside if each not in found]
    summaries, latest = [], set()
    for path, run_id in found:
        with Store.open(path) as store:
            summaries.append(summarise(store, store.run(run_id)))
            latest.add(store.runs()[-1].id)
    methods = {cell.planned.cell.method for cell in summaries[0].cells}
    if baseline is not None and baseline not in methods:
        raise BadInput(f"--baseline: {unknown('method of this run', baseline, methods)}")
    if form != "html":
        text = written(summaries, form, baseline)
        if out is None:
            print(text)
            return
        with written_whole(out) as file:
            file.write(f"{text}\n".encode())
        print(f"report: {out}")
        return
    path, run_id = found[0]
    # an older run's report does not take the place of the latest one's
    name = "report.html" if run_id in latest else f"report-{run_id}.html"
    page = out or path.parent / name
    chosen = layout or ("hardware" if compare_hardware or len(summaries) > 1 else "run")
    asked = Asked(places(Path.cwd(), [one.run.commit for one in summaries]))
    claims = claims_on(chosen, summaries)
    write_report(summaries, page, chosen, baseline, asked=asked, claims=claims)
    if as_json:
        print_json(report_json(summaries[0], page))
    else:
        print(f"report: {page}")
    if show:
        webbrowser.open(page.resolve().as_uri())


def show_cell(
    cell: Annotated[str, typer.Argument(metavar="ID", help="A cell's id, or words in it.")],
    run: Annotated[
        str | None,
        typer.Option(help="A suite (its latest run), a run's id, or STORE@RUN (default: latest)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Every figure of one cell, with its interval, its scope and what it is of."""
    from ondevice_bench.analyse.find_runs import find_run
    from ondevice_bench.analyse.summary import summarise
    from ondevice_bench.record.store import Store
    from ondevice_bench.report.terminal.tables import cell_lines, cell_table, console

    path, run_id = find_run(run)
    with Store.open(path) as store:
        summary = summarise(store, store.run(run_id))
    known = {each.id: each for each in summary.cells}
    words = cell.lower().split()
    alike = [name for name in known if all(word in name.lower() for word in words)]
    chosen = [cell] if cell in known else alike
    if len(chosen) != 1:
        said = unknown("cell", cell, known) if not alike else _several(cell, alike)
        raise BadInput(f"{run_id}: {said}")
    found = known[chosen[0]]
    if as_json:
        print_json(found.to_json())
    else:
        console().print(cell_table(found))
        print("\n".join(cell_lines(found)))


def _several(cell: str, alike: list[str]) -> str:
    return f"{len(alike)} cells match {cell!r}: {', '.join(alike[:5])}{' …' * (len(alike) > 5)}"


def compare(
    base: Annotated[
        str,
        typer.Argument(
            help="A run: a suite (its latest), an id, STORE@RUN, a bundle, or a baseline's file."
        ),
    ],
    new: Annotated[str, typer.Argument(help="The run that is judged against it.")],
    fail_on: FailOn = "regressed",
    as_json: AsJson = False,
) -> int:
    """Compare two runs: exact metrics by equality, noisy ones over rounds; exit code 4 or 5."""
    from ondevice_bench.analyse.compare import compare as compare_runs
    from ondevice_bench.analyse.resolve_run import summary_of
    from ondevice_bench.report.terminal.tables import comparison_lines

    summaries = [summary_of(reference) for reference in (base, new)]
    comparison = compare_runs(*summaries)
    code = comparison.exit_code(failing(fail_on))
    if as_json:
        print_json({**comparison.to_json(), "exit_code": int(code)})
    else:
        print("\n".join(comparison_lines(comparison)))
    for summary in summaries:
        if summary.run.finished is None:
            print(f"bench: {summary.run.id} is unfinished", file=sys.stderr)
    return code


def save_baseline(
    name: Annotated[str, typer.Argument(help="The name: baselines/NAME.json is written.")],
    run: Annotated[
        str | None, typer.Argument(help="A suite (its latest run), a run's id, or STORE@RUN.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep a run's figures as a small file beside the code; `compare` takes it as its base."""
    from ondevice_bench.analyse.find_runs import find_run
    from ondevice_bench.record import baseline
    from ondevice_bench.record.run_json import RunContent
    from ondevice_bench.record.store import Store

    if not re.fullmatch(r"[\w.-]+", name):
        raise BadInput(f"baseline {name!r}: letters, digits, '.', '_' and '-' only")
    path, run_id = find_run(run)
    with Store.open(path) as store:
        found = store.run(run_id)
        content = RunContent(found, store.cells(run_id), store.records(run_id))
    if found.finished is None:
        raise BadInput(f"{run_id} is unfinished: a baseline is of a whole run")
    target = baseline.FOLDER / f"{name}{baseline.SUFFIX}"
    baseline.write(content, target)
    if as_json:
        print_json({"run": run_id, "baseline": str(target)})
    else:
        print(f"baseline: {target}")


def export(
    runs: Annotated[
        list[str], typer.Argument(help="Runs: a suite (its latest), an id, or STORE@RUN.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file (default: RUN.bundle).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write runs into one file, to be carried to another machine."""
    from ondevice_bench.analyse.find_runs import find_run
    from ondevice_bench.record import bundle
    from ondevice_bench.record.run_json import RunContent
    from ondevice_bench.record.store import Store

    contents: dict[str, RunContent] = {}
    for reference in runs:
        path, run_id = find_run(reference)
        with Store.open(path) as store:
            contents[run_id] = RunContent(
                store.run(run_id), store.cells(run_id), store.records(run_id)
            )
    target = out or Path(f"{next(iter(contents))}{bundle.SUFFIX}")
    bundle.write(list(contents.values()), target)
    _say_bundle(target, [_row(content) for content in contents.values()], as_json)


def import_bundle(
    path: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A file that `export` wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="A folder for its results (default: bench-out/SUITE).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add the runs of a bundle to the results here; what is here already is not doubled."""
    from ondevice_bench.record import bundle
    from ondevice_bench.record.store import FILE_NAME, OUT, Store

    rows = []
    for content in bundle.read(path):
        folder = out or OUT / content.run.suite
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{folder}: cannot be written: {error.strerror}") from None
        with Store.create(folder / FILE_NAME) as store:
            added = store.merge(content.run, content.cells, content.records)
        rows.append({**_row(content), "new": added, "store": str(folder / FILE_NAME)})
    _say_bundle(path, rows, as_json)


def _row(content: "RunContent") -> dict[str, Any]:
    """What a bundle's run is."""
    run, states = content.run, Counter(item.state for item in content.cells)
    machine, torch = run.machine, run.software["torch"]
    return {
        "run": run.id,
        "profile": run.profile,
        "machine": f"{machine['board'] or machine['arch']}, {machine['cpu']}, torch {torch}",
        "cells": ", ".join(f"{count} {state}" for state, count in states.items()),
        "records": len(content.records),
        "finished": run.finished or "",
    }


def _say_bundle(path: Path, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"bundle": str(path), "runs": rows})
        return
    print_rows(rows, as_json=False)
    print(f"bundle: {path}")


def report_json(summary: "RunSummary", page: Path) -> dict[str, Any]:
    """A run's summary, what it says of learning, and where its page is."""
    from ondevice_bench.analyse.learning import learning

    lines = [line.to_json() for line in learning(summary)]
    return {**summary.to_json(), "learning": lines, "report": str(page)}
