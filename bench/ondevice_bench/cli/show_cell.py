"""`bench show cell`: every number of one cell."""

from typing import Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import AsJson, RunName
from ondevice_bench.terminal import print_json, print_lines, print_notes, print_tables


def show_cell(
    cell: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A cell's id, or words in it.", autocompletion=names.cells
        ),
    ],
    run: RunName = None,
    as_json: AsJson = False,
) -> None:
    """Show all numbers of one cell, with their intervals."""
    from ondevice_bench.analyse.again import command_again
    from ondevice_bench.analyse.find_cell import find_cell
    from ondevice_bench.analyse.groups import with_baseline
    from ondevice_bench.analyse.resolve_run import stored_summary
    from ondevice_bench.report.terminal.cell import basis_lines, cell_lines, cell_table
    from ondevice_bench.suite.training_script import training_lines

    whole = stored_summary(run)
    summary = find_cell(whole, cell)
    if as_json:
        print_json(summary.to_dict())
    else:
        member = with_baseline(whole, summary)
        print_tables(cell_table(member))
        print_notes(*basis_lines(member), *cell_lines(summary))
        if again := command_again(whole.run, summary.planned.cell):
            print_lines(f"measure again: {again}")
        if script := training_lines(summary.planned.cell):
            print_lines("train with it:", *(f"    {line}".rstrip() for line in script.splitlines()))
