"""`bench show cell`: every number of one cell."""

from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, RunName
from ondevice_bench.terminal import print_json, print_lines, print_tables


def show_cell(
    cell: Annotated[str, typer.Argument(metavar="ID", help="A cell's id, or words in it.")],
    run: RunName = None,
    as_json: AsJson = False,
) -> None:
    """Show all numbers of one cell, with their intervals."""
    from ondevice_bench.analyse.find_cell import find_cell
    from ondevice_bench.analyse.resolve_run import stored_summary
    from ondevice_bench.report.terminal.cell import cell_lines, cell_table

    summary = find_cell(stored_summary(run), cell)
    if as_json:
        print_json(summary.to_dict())
    else:
        print_tables(cell_table(summary))
        print_lines(*cell_lines(summary))
