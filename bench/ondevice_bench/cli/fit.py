"""`bench fit`: the largest batch that fits a board; nothing is measured."""

from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, ModelOption, parsed_bytes
from ondevice_bench.errors import ExitCode
from ondevice_bench.terminal import print_json, print_lines, print_tables


def fit(
    model: ModelOption,
    methods: Annotated[
        list[str] | None, typer.Option("--method", help="A method (default: every method).")
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
    layers: Annotated[
        list[str] | None, typer.Option("--layers", help="The layers that the method changes.")
    ] = None,
    board: Annotated[
        str | None, typer.Option("--board", help="A hardware profile (default: this machine).")
    ] = None,
    reserve: Annotated[
        str,
        typer.Option(
            metavar="SIZE", help="The memory that stays free for the system and torch itself."
        ),
    ] = "512M",
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm",
            help="Run the largest batch on this machine under the same memory limit. "
            "If it fails, look for a smaller one that works.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Estimate the largest batch that fits a board, for each method; exit code 6 if none fits."""
    from ondevice_bench.analyse.past_speeds import seconds_of_an_example
    from ondevice_bench.report.terminal.fit import fit_notes, fit_table
    from ondevice_bench.run.boards import board_named
    from ondevice_bench.run.hosts.local import planning_host
    from ondevice_bench.run.queries.described_suite import described
    from ondevice_bench.run.queries.fit import fits
    from ondevice_bench.run.queries.fit_request import fit_words, memory_limit
    from ondevice_bench.suite.board import HERE
    from ondevice_bench.suite.plan import plan

    ranks = {"rank": rank or [], "fraction": fraction or []}
    with planning_host(board) as host:
        target = board_named(board, host)
        limit = memory_limit(target, parsed_bytes("--reserve", reserve))
        words = fit_words(model, methods or [], options or [], ranks, layers or [])
        suite = described(host, words.suite())
        speeds = seconds_of_an_example(target.names)
        results = fits(host, suite, plan(suite, HERE), limit.usable_bytes, speeds, confirm=confirm)
    if as_json:
        print_json(
            {
                "board": target.name,
                "memory_bytes": limit.total_bytes,
                "reserve_bytes": limit.reserve_bytes,
                "fits": [result.to_dict() for result in results],
            }
        )
    else:
        print_tables(fit_table(results))
        print_lines(*fit_notes(target.name, limit.total_bytes, limit.reserve_bytes))
    return ExitCode.OK if any(result.batch for result in results) else ExitCode.NOTHING_RAN
