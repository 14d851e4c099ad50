"""`bench account`: memory and FLOPs by closed formulas; nothing is measured."""

from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, BatchSize, ModelOption
from ondevice_bench.terminal import print_json, print_lines, print_tables


def account(
    model: ModelOption,
    method: Annotated[str, typer.Option("--method", help="A method that replaces layers.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the method or model."),
    ] = None,
    rank: Annotated[str | None, typer.Option(help="The ranks, as numbers: 8, or 8x16x32.")] = None,
    fraction: Annotated[
        float | None, typer.Option(help="The ranks, as a share of the largest: 0.25.")
    ] = None,
    weight_rank: Annotated[int | None, typer.Option(help="The rank of the weights.")] = None,
    layers: Annotated[str, typer.Option(help="The layers that the method changes.")] = "all",
    batch: BatchSize = None,
    dialect: Annotated[
        str,
        typer.Option(
            help="Also count FLOPs as a paper does, beside the exact count: gf, hosvd, asi, wasi."
        ),
    ] = "exact",
    as_json: AsJson = False,
) -> None:
    """Compute the memory and FLOPs of the changed layers from formulas; nothing is run."""
    from ondevice_bench.papers.account_table import (
        account_json,
        account_lines,
        dialect_notes,
        dialect_table,
    )
    from ondevice_bench.papers.dialects import EXACT, check_dialect
    from ondevice_bench.run.hosts.local import local_host
    from ondevice_bench.run.queries.described_suite import described
    from ondevice_bench.run.queries.inspect import account as account_of
    from ondevice_bench.suite.from_flags import Words

    check_dialect(dialect, method)
    ranks = {"rank": rank, "fraction": fraction, "weight_rank": weight_rank}
    words = Words(
        [model],
        methods=[method],
        options=options or (),
        ranks={rule: [str(value)] for rule, value in ranks.items() if value is not None},
        layers=[layers],
        batches=() if batch is None else [batch],
    )
    with local_host() as host:
        cell, results = account_of(host, described(host, words.suite()))
    if as_json:
        print_json(account_json(cell, results, dialect))
        return
    print_lines(*account_lines(cell, results, with_flops=dialect == EXACT))
    if dialect != EXACT:
        if results["dialects"][dialect]["lines"]:
            print_tables(dialect_table(dialect, results))
        print_lines(*dialect_notes(dialect, results))
