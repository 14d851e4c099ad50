"""`bench show cell`: every figure of one cell."""

from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import AsJson
from ondevice_bench.errors import BadInput, unknown
from ondevice_bench.terminal import print_json, print_table

if TYPE_CHECKING:
    pass


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
    from ondevice_bench.report.terminal.cell import cell_lines, cell_table

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
        print_table(cell_table(found))
        print("\n".join(cell_lines(found)))


def _several(cell: str, alike: list[str]) -> str:
    return f"{len(alike)} cells match {cell!r}: {', '.join(alike[:5])}{' …' * (len(alike) > 5)}"
