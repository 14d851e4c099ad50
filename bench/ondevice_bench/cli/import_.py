"""`bench import`: the runs of a bundle into the results here."""

from pathlib import Path
from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_json, print_lines, print_notes


def import_(
    path: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="A file that `bench export` wrote.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The folder for the results (default: bench-out/SUITE).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add the runs of a bundle to the results here. Runs that are already here stay as they are."""
    from ondevice_bench.record import bundle
    from ondevice_bench.record.store import FILE_NAME, OUT, Store
    from ondevice_bench.report.terminal.bundle import bundle_line, bundle_row

    rows = []
    for content in bundle.read(path):
        folder = out or OUT / content.run.suite
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{folder}: cannot be written: {error.strerror}") from None
        with Store.create(folder / FILE_NAME) as store:
            added = store.merge(content.run, content.cells, content.records)
        rows.append({**bundle_row(content), "new": added, "store": str(folder / FILE_NAME)})
    if as_json:
        print_json({"bundle": str(path), "runs": rows})
    else:
        print_notes(*map(bundle_line, rows))
        print_lines(f"bundle: {path}")
