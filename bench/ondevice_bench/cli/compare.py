"""`bench compare`: two runs against each other."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, FailOn, failing
from ondevice_bench.terminal import print_json

if TYPE_CHECKING:
    pass


def compare(
    base: Annotated[
        str,
        typer.Argument(
            help="A run: a suite (its latest), an id, STORE@RUN, a bundle, or a baseline's file."
        ),
    ],
    new: Annotated[str, typer.Argument(help="The run that is judged against it.")],
    fail_on: FailOn = "regressed",
    as_json: AsJson = False,
) -> int:
    """Compare two runs: exact metrics by equality, noisy ones over rounds; exit code 4 or 5."""
    from ondevice_bench.analyse.compare import compare as compare_runs
    from ondevice_bench.analyse.resolve_run import summary_of
    from ondevice_bench.report.terminal.comparison import comparison_lines

    summaries = [summary_of(reference) for reference in (base, new)]
    comparison = compare_runs(*summaries)
    code = comparison.exit_code(failing(fail_on))
    if as_json:
        print_json({**comparison.to_json(), "exit_code": int(code)})
    else:
        print("\n".join(comparison_lines(comparison)))
    for summary in summaries:
        if summary.run.finished is None:
            print(f"bench: {summary.run.id} is unfinished", file=sys.stderr)
    return code
