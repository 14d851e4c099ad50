"""`bench export`: runs into one file."""

from pathlib import Path
from typing import Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.terminal import print_json, print_lines, print_notes


def export(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Runs: a suite (its latest run), a run's id, or STORE@RUN.",
            autocompletion=names.results,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write (default: RUN.bundle).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write runs into one file that can be copied to another machine."""
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
