"""`bench compare`: two runs against each other."""

from typing import Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import AsJson, FailOn, SameCode, parsed_verdicts
from ondevice_bench.cli.deciding import AsForm, Out, form_of, show_outcome
from ondevice_bench.terminal import print_errors, print_json, print_notes, print_tables


def compare(
    base: Annotated[
        str,
        typer.Argument(
            autocompletion=names.results,
            help="The run to compare with: a suite (its latest run), a run's id, STORE@RUN, "
            "a bundle, or the file of a baseline.",
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
    from ondevice_bench.analyse.compare import compare as compare_runs
    from ondevice_bench.analyse.resolve_run import summary_of
    from ondevice_bench.report.gate.github import publish, require_summary
    from ondevice_bench.report.gate.of_runs import outcome_of_runs, places_for
    from ondevice_bench.report.terminal.comparison import (
        comparison_notes,
        comparison_tables,
        reasons,
    )

    verdicts, form = parsed_verdicts(fail_on), form_of(form, out, as_json=as_json)
    require_summary()
    summaries = [summary_of(reference) for reference in (base, new)]
    comparison = compare_runs(*summaries, same_code=same_code)
    code = comparison.exit_code(verdicts)
    place_of = places_for(base, summaries[0], [summaries[1].run], comparison)
    outcome = outcome_of_runs("bench compare", comparison, verdicts, place_of)
    match form:
        case "json":
            print_json({**comparison.to_dict(), "exit_code": int(code)})
        case "text":
            cells = [cell.planned.cell for cell in summaries[0].cells]
            print_tables(*comparison_tables(comparison, cells))
            print_notes(*reasons(comparison), *comparison_notes(comparison))
        case _:
            show_outcome(outcome, form, out)
    publish(outcome)
    for summary in summaries:
        if summary.run.finished is None:
            print_errors(f"{summary.run.id} is unfinished")
    return code
