"""`bench export`: runs into one file."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.terminal import print_json, print_rows

if TYPE_CHECKING:
    from ondevice_bench.record.run_json import Content


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
    from ondevice_bench.record.run_json import Content
    from ondevice_bench.record.store import Store

    contents: dict[str, Content] = {}
    for reference in runs:
        path, run_id = find_run(reference)
        with Store.open(path) as store:
            contents[run_id] = Content(
                store.run(run_id), store.cells(run_id), store.records(run_id)
            )
    target = out or Path(f"{next(iter(contents))}{bundle.SUFFIX}")
    bundle.write(list(contents.values()), target)
    _say_bundle(target, [_row(content) for content in contents.values()], as_json)


def _row(content: "Content") -> dict[str, Any]:
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
