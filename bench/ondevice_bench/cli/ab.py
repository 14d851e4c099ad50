"""`bench ab`: two git refs against each other, in turn on this machine."""

import contextlib
from typing import TYPE_CHECKING, Annotated

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
from ondevice_bench.cli.deciding import AsForm, Out, form_of, show_outcome
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_json, print_lines, print_tables

if TYPE_CHECKING:
    from ondevice_bench.ab.worktree import Tree
    from ondevice_bench.report.gate.outcome import Place
    from ondevice_bench.suite.join import JoinedCells
    from ondevice_bench.suite.suite import Suite

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
    form: AsForm = "text",
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Compare two git refs by measuring them in turn; exit code 4 if the second is worse."""
    from ondevice_bench.ab.environment import environment_of
    from ondevice_bench.ab.exit_code import exit_code
    from ondevice_bench.ab.find_suite import suite_files
    from ondevice_bench.ab.measure_pairs import measure_pairs
    from ondevice_bench.ab.pair_cells import pair_cells
    from ondevice_bench.ab.short_request import short_requests
    from ondevice_bench.ab.worktree import tree_of
    from ondevice_bench.record.store import OUT
    from ondevice_bench.report.gate.github import publish, require_summary
    from ondevice_bench.report.gate.of_refs import outcome_of_refs
    from ondevice_bench.report.terminal.ab import (
        ab_json,
        ab_lines,
        ab_notes,
        ab_tables,
        budget_remarks,
    )
    from ondevice_bench.running.hosts.interpreter import Interpreter
    from ondevice_bench.running.hosts.local import local_host
    from ondevice_bench.running.progress import for_terminal

    seconds, verdicts = parsed_seconds("--budget", budget), parsed_verdicts(fail_on)
    check_threshold(threshold)
    form = form_of(form, out, as_json=as_json)
    require_summary()
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
        files = suite_files(trees[0], trees[1], suite)
        requests = short_requests(trees, hosts, files, command_line(), filters or ())
        plans = [[] if each is None else [item.cell for item in each.planned] for each in requests]
        cells = pair_cells(*plans)
        pairs = measure_pairs(requests, cells, OUT, threshold, seconds, progress)
        # while the trees are there
        places = {} if requests[1] is None else _places(requests[1].suite, trees[1], cells.joined)
    names = [f"{tree.ref} ({tree.commit})" for tree in trees]
    by_id = {cell.id: cell for cell in plans[0]}
    code = exit_code(pairs, cells.only_in, verdicts)
    outcome = outcome_of_refs(
        names,
        pairs,
        only_in=cells.only_in,
        notes=ab_notes(pairs, cells.joined, threshold),
        exit_code=code,
        fail_on=verdicts,
        remarks=budget_remarks(pairs, threshold),
        place_of=lambda pair, _: places[pair.base_id],
    )
    match form:
        case "json":
            print_json(ab_json(names, pairs, cells.unpaired))
        case "text":
            print_tables(*ab_tables(pairs, by_id))
            print_lines(*ab_lines(names, pairs, by_id, cells.joined, threshold))
        case _:
            show_outcome(outcome, form, out)
    publish(outcome)
    return code


def _places(suite: "Suite", tree: "Tree", joined: "JoinedCells") -> "dict[str, Place | None]":
    """Where the code of each cell of the base is, in the new tree."""
    from ondevice_bench.report.gate.places import Sources
    from ondevice_bench.suite.code import changes_between

    sources = Sources(suite.text, suite.path, tree.root)
    return {
        base.id: sources.place_of(base, [change.file for change in changes_between(base, new)])
        for base, new in joined.pairs
    }
