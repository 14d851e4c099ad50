"""`bench ab`: two git refs against each other, in turn on this machine."""

import contextlib
from typing import Annotated

import typer

from ondevice_bench.cli.arguments import (
    AsJson,
    FailOn,
    Filters,
    Hardware,
    Quiet,
    check_threshold,
    command_line,
    parsed_seconds,
    parsed_verdicts,
)
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_json, print_lines, print_tables

INSTALL = "pip install -e ."


def ab(
    base: Annotated[
        str, typer.Argument(help="The git ref to compare with, or . for the working tree.")
    ],
    new: Annotated[str, typer.Argument(help="The git ref that may have become slower.")],
    suite: Annotated[
        str, typer.Option(help="A suite's name, or the path of its file in the repository.")
    ] = "regression",
    budget: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="How long to time steps in turn, after the exact metrics: 90s, 10m.",
        ),
    ] = "10m",
    threshold: Annotated[
        float, typer.Option(help="Ignore changes of the step time smaller than this (0.02 = 2 %).")
    ] = 0.02,
    isolated: Annotated[
        bool,
        typer.Option("--isolated", help="Install each ref in a virtual environment of its own."),
    ] = False,
    install: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help=f"With --isolated: the command that installs a ref, run in its tree "
            f"(default: {INSTALL}).",
        ),
    ] = None,
    hardware: Hardware = None,
    filters: Filters = None,
    fail_on: FailOn = "regressed",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Compare two git refs by measuring them in turn; exit code 4 if the second is worse."""
    from ondevice_bench.ab.comparison import RefComparison
    from ondevice_bench.ab.environment import environment_of
    from ondevice_bench.ab.exit_code import exit_code
    from ondevice_bench.ab.pair_cells import pair_cells
    from ondevice_bench.ab.short_request import short_request
    from ondevice_bench.ab.worktree import tree_of
    from ondevice_bench.record.store import OUT
    from ondevice_bench.report.terminal.ab import ab_json, ab_lines, ab_tables
    from ondevice_bench.run.hosts.launch import Interpreter
    from ondevice_bench.run.hosts.local import local_host
    from ondevice_bench.run.progress import for_terminal
    from ondevice_bench.run.session import open_session

    seconds, verdicts = parsed_seconds("--budget", budget), parsed_verdicts(fail_on)
    check_threshold(threshold)
    if install is not None and not isolated:
        raise BadInput("--install goes with --isolated: without it both refs share one environment")
    command = INSTALL if install is None else install
    progress = for_terminal(quiet=quiet)
    with contextlib.ExitStack() as stack:
        stack.callback(progress.close)
        trees = [stack.enter_context(tree_of(ref)) for ref in (base, new)]
        interpreters = [
            stack.enter_context(environment_of(tree, command, progress.note))
            if isolated
            else Interpreter(sources=tree.sources)
            for tree in trees
        ]
        hosts = [
            stack.enter_context(local_host(hardware, interpreter=interpreter))
            for interpreter in interpreters
        ]
        requests = [
            short_request(tree, host, suite, command_line(), filters or ())
            for tree, host in zip(trees, hosts, strict=True)
        ]
        cells = pair_cells(*([item.cell for item in each.plan] for each in requests))
        sessions = [
            stack.enter_context(open_session(request, OUT / folder, progress))
            for request, folder in zip(requests, ("ab-base", "ab-new"), strict=True)
        ]
        comparison = RefComparison(sessions[0], sessions[1], cells.pairs, threshold, progress)
        comparison.run(seconds)
        for session in sessions:
            session.finish()
    names = [f"{tree.ref} ({tree.commit})" for tree in trees]
    if as_json:
        print_json(ab_json(names, comparison.pairs, cells.unpaired))
    else:
        by_id = {item.cell.id: item.cell for item in requests[0].plan}
        print_tables(*ab_tables(comparison.pairs, by_id))
        print_lines(*ab_lines(names, comparison.pairs, by_id, cells.unpaired, threshold))
    return exit_code(comparison.pairs, cells.unpaired, verdicts)
