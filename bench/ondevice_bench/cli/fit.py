"""`bench fit`: the batches that fit a board; nothing is measured."""

import sys
from typing import Annotated

import typer

from ondevice_bench.cli import names
from ondevice_bench.cli.arguments import (
    AsJson,
    Quiet,
    Reserve,
    SeveralModels,
    model_names,
    parsed_reserve,
)
from ondevice_bench.cli.hosts import On, planning_host
from ondevice_bench.errors import ExitCode
from ondevice_bench.terminal import (
    print_errors,
    print_json,
    print_lines,
    print_notes,
    print_tables,
)


def fit(
    models: SeveralModels,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="A method (default: every method), or methods by layer: last:4=lora,all=lean.",
            autocompletion=names.methods,
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of a method or the model."),
    ] = None,
    rank: Annotated[
        list[str] | None, typer.Option("--rank", help="The ranks, as numbers: 8, or 8x16x32.")
    ] = None,
    fraction: Annotated[
        list[str] | None,
        typer.Option(
            "--fraction",
            help="The ranks, as a share of the largest (default, without --rank: 1/8).",
        ),
    ] = None,
    epsilon: Annotated[
        list[str] | None,
        typer.Option("--epsilon", help="Refused: these ranks depend on data. Use --fraction."),
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option("--layers", help="The layers that the method changes.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch", help="Does this batch fit? (Default: find the largest that fits.)"),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(
            "--board",
            help="A hardware profile (default: this machine).",
            autocompletion=names.profiles,
        ),
    ] = None,
    reserve: Reserve = None,
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm",
            help="Run the batch on this machine under the same memory limit. "
            "If the largest batch fails, look for a smaller one that works.",
        ),
    ] = False,
    on: On = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Estimate the largest batch that fits a board, for each method; exit code 6 if none fits.

    With --batch: estimate the peak at this batch, and whether it fits.
    """
    from ondevice_bench.analyse.past_speeds import seconds_of_an_example
    from ondevice_bench.report.terminal.fit import fit_answer, fit_notes, fit_reasons, fit_table
    from ondevice_bench.running.boards import board_named, boards, facts_of
    from ondevice_bench.running.progress import for_terminal
    from ondevice_bench.running.queries.described_suite import described
    from ondevice_bench.running.queries.fit import fits
    from ondevice_bench.running.queries.fit_request import fit_words, memory_limit
    from ondevice_bench.suite.board import HERE
    from ondevice_bench.suite.fit import BoardFits
    from ondevice_bench.suite.from_flags import ASSUMED
    from ondevice_bench.suite.plan import plan

    ranks = {"rank": rank or [], "fraction": fraction or [], "epsilon": epsilon or []}
    names = model_names(models)
    words = fit_words(names, methods or [], options or [], ranks, layers or [], batch)
    progress = for_terminal(quiet=quiet or not sys.stderr.isatty())
    with planning_host(on, board) as host:
        target = board_named(board, host)
        limit = memory_limit(target, parsed_reserve(reserve), boards().values())
        suite = described(host, words.suite())
        try:
            results = fits(
                host,
                suite,
                plan(suite, HERE),
                limit.usable_bytes,
                seconds_of_an_example(target.names, facts_of(board, host)),
                asked=batch,
                confirm=confirm,
                tell=progress.prepare,
            )
        finally:
            progress.close()
    if words.ranks != ranks and not as_json:  # there the names of the cells have it
        print_errors(ASSUMED)
    found = BoardFits(target.name, limit, batch, results)
    if as_json:
        print_json(found.to_dict())
    else:
        for model in found.models:
            if len(found.models) > 1:
                print_lines(f"{model}:")
            table = fit_table(found, model)
            if table.rows:
                print_tables(table)
            print_notes(*fit_reasons(found, model))
        print_notes(*fit_notes(found))
        print_notes(*filter(None, (fit_answer(found, model) for model in found.models)))
    return ExitCode.OK if found.any_fits else ExitCode.NOTHING_RAN
