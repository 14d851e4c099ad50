"""`bench account`: memory and FLOPs by closed formulas; nothing is measured."""

import sys
from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, BatchSize, Quiet, SeveralModels, model_names
from ondevice_bench.terminal import print_errors, print_json, print_lines, print_tables


def account(
    models: SeveralModels,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="A method that replaces layers, or several by layer: conv=lora,all=lora_fa.",
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the method or model."),
    ] = None,
    rank: Annotated[str | None, typer.Option(help="The ranks, as numbers: 8, or 8x16x32.")] = None,
    fraction: Annotated[
        float | None, typer.Option(help="The ranks, as a share of the largest (default: 1/8).")
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Refused: these ranks depend on data. Use --fraction.")
    ] = None,
    weight_rank: Annotated[int | None, typer.Option(help="The rank of the weights.")] = None,
    layers: Annotated[str, typer.Option(help="The layers that the method changes.")] = "all",
    batch: BatchSize = None,
    dialect: Annotated[
        str,
        typer.Option(
            help="Also count FLOPs as a paper does, beside the exact count: gradient_filter, "
            "hosvd, asi, wasi."
        ),
    ] = "exact",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compute the memory and FLOPs of the changed layers from formulas; nothing is run.

    Several models are shown one after the other, in the order of --model.
    """
    from ondevice_bench.papers.account_table import (
        SCOPE,
        account_json,
        account_lines,
        dialect_notes,
        dialect_table,
    )
    from ondevice_bench.papers.dialects import EXACT, check_dialect
    from ondevice_bench.running.hosts.local import local_host
    from ondevice_bench.running.progress import for_terminal
    from ondevice_bench.running.queries.accounts import accounts
    from ondevice_bench.running.queries.described_suite import described
    from ondevice_bench.suite.from_flags import ASSUMED, Words, with_a_rank_rule

    dialect = check_dialect(dialect, method)
    ranks = {"rank": rank, "fraction": fraction, "epsilon": epsilon, "weight_rank": weight_rank}
    given = Words(
        model_names(models),
        methods=[method],
        options=options or (),
        ranks={rule: [str(value)] for rule, value in ranks.items() if value is not None},
        layers=[layers],
        batches=() if batch is None else [batch],
    )
    words = with_a_rank_rule(given)
    progress = for_terminal(quiet=quiet or not sys.stderr.isatty())
    with local_host() as host:
        try:
            found = accounts(host, described(host, words.suite()), progress.prepare)
        finally:
            progress.close()
    if words != given and not as_json:  # there the names of the cells have it
        print_errors(ASSUMED)
    if as_json:
        values = [account_json(cell, results, dialect) for cell, results in found]
        print_json(values if len(values) > 1 else values[0])
        return
    for cell, results in found:
        print_lines(*account_lines(cell, results, with_flops=dialect == EXACT))
        if dialect != EXACT:
            if results["dialects"][dialect]["lines"]:
                print_tables(dialect_table(dialect, results))
            print_lines(*dialect_notes(dialect, results))
    print_lines(SCOPE)
