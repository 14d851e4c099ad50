"""`bench compare`: two runs against each other."""

from typing import Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import A_RUN, AsJson, FailOn, SameCode, parsed_verdicts
from ondevice_bench.cli.deciding import AsForm, Out, form_of, show_outcome
from ondevice_bench.terminal import print_errors, print_json, print_notes, print_tables


def compare(
    base: Annotated[
        str,
        typer.Argument(
            autocompletion=names.results,
            help=f"The run to compare with: {A_RUN}; or a bundle, or the file of a baseline.",
        ),
    ],
    new: Annotated[
        str,
        typer.Argument(help="The run that may have become worse.", autocompletion=names.results),
    ],
    fail_on: FailOn = "regressed",
    same_code: SameCode = False,
    form: AsForm = "text",
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Compare two runs, metric by metric; exit code 4 if the second is worse, 5 if not sure."""
    from ondevice_bench.api.compare import compare as compare_runs
    from ondevice_bench.report.gate.decided import decision_lines
    from ondevice_bench.report.gate.github import publish, require_summary
    from ondevice_bench.report.terminal.comparison import (
        comparison_notes,
        comparison_tables,
        reasons,
    )

    verdicts, form = parsed_verdicts(fail_on), form_of(form, out, as_json=as_json)
    require_summary()
    found = compare_runs(base, new, fail_on=verdicts, same_code=same_code)
    comparison = found.comparison
    match form:
        case "json":
            print_json({**comparison.to_dict(), "exit_code": int(found.exit_code)})
        case "text":
            cells = [cell.planned.cell for cell in found.base.cells]
            print_tables(*comparison_tables(comparison, cells))
            print_notes(
                *reasons(comparison), *decision_lines(comparison), *comparison_notes(comparison)
            )
        case _:
            show_outcome(found.outcome, form, out)
    publish(found.outcome)
    for summary in (found.base, found.new):
        if summary.run.finished is None:
            print_errors(f"{summary.run.id} is unfinished")
    return found.exit_code
