"""`bench export`: runs into one file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import A_RUN, AsJson, BundleFile
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.terminal import print_json, print_lines, print_notes
from ondevice_bench.units import number_of

if TYPE_CHECKING:
    from ondevice_bench.report.trackers import Exported

BUNDLE = "bundle"
FORMATS = (BUNDLE, "bmf", "github-action-benchmark")


def export(
    runs: Annotated[
        list[str],
        typer.Argument(
            help=f"Runs: each is {A_RUN}.",
            autocompletion=names.results,
        ),
    ],
    out: BundleFile = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="bundle (for bench), bmf (for Bencher) or github-action-benchmark.",
            autocompletion=lambda: list(FORMATS),
        ),
    ] = BUNDLE,
    as_json: AsJson = False,
) -> None:
    """Write runs into one file that can be copied to another machine, or that a tracker reads."""
    if form not in FORMATS:
        raise BadInput(f"--format: {unknown('format', form, FORMATS)}")
    if form == BUNDLE:
        _bundle(runs, out, as_json=as_json)
    else:
        _for_tracker(runs, out, form, as_json=as_json)


def _bundle(runs: list[str], out: Path | None, *, as_json: bool) -> None:
    from ondevice_bench.analyse.resolve_run import stored_content
    from ondevice_bench.record import bundle
    from ondevice_bench.report.terminal.bundle import bundle_line, bundle_row

    contents = {content.run.id: content for content in map(stored_content, runs)}
    target = out or Path(f"{next(iter(contents))}{bundle.SUFFIX}")
    bundle.write(list(contents.values()), target)
    rows = [bundle_row(content) for content in contents.values()]
    if as_json:
        print_json({"bundle": str(target), "runs": rows})
    else:
        print_notes(*map(bundle_line, rows))
        print_lines(f"bundle: {target}")


def _for_tracker(runs: list[str], out: Path | None, form: str, *, as_json: bool) -> None:
    from ondevice_bench.analyse.resolve_run import stored_summary
    from ondevice_bench.files import atomic_write
    from ondevice_bench.report import trackers

    if len(runs) > 1:
        raise BadInput(f"--format {form}: a tracker takes one run at a time, got {len(runs)}")
    summary = stored_summary(runs[0])
    exported = trackers.FORMATS[form](summary)
    target = out or Path(f"{summary.run.id}.{form}.json")
    with atomic_write(target) as file:
        file.write(f"{json.dumps(exported.content, indent=1, allow_nan=False)}\n".encode())
    if as_json:
        row = {"run": summary.run.id, "format": form, "file": str(target)}
        print_json({**row, "cells": exported.cells, "left_out": list(exported.left_out)})
        return
    _say_what_is_missing(exported, len(summary.cells))
    print_lines(f"{form}: {target}")


def _say_what_is_missing(exported: "Exported", cells: int) -> None:
    if cells > exported.cells:
        count = number_of(cells - exported.cells, "cell")
        print_notes(f"left out, because not all of it was measured here: {count}")
    if exported.left_out:
        print_notes(
            "left out, because bigger is better and the format has one direction: "
            + ", ".join(exported.left_out)
        )
