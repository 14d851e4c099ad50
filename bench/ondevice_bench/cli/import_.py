"""`bench import`: the runs of such a file into the results here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.cli.export import _row, _say_bundle
from ondevice_bench.errors import BadInput

if TYPE_CHECKING:
    pass


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
