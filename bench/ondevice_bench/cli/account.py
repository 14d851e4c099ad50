"""`bench account`: memory and FLOPs by closed formulas; nothing is measured."""

from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, suite_of
from ondevice_bench.terminal import print_json, print_table


def account(
    model: Annotated[str, typer.Option("--model", help="A model's name, or ./mynet.py:net.")],
    method: Annotated[str, typer.Option("--method", help="A method that replaces layers.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="An option of the method or model."),
    ] = None,
    rank: Annotated[str | None, typer.Option(help="The ranks: 8, or 8x16x32.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of the largest ranks.")] = None,
    weight_rank: Annotated[int | None, typer.Option(help="The rank of weights.")] = None,
    layers: Annotated[str, typer.Option(help="The layers that are treated.")] = "all",
    batch: Annotated[int | None, typer.Option(help="Batch size (default: the model's).")] = None,
    dialect: Annotated[
        str,
        typer.Option(help="Beside the exact count, as a paper counts: gf, hosvd, asi, wasi."),
    ] = "exact",
    as_json: AsJson = False,
) -> None:
    """Accounted memory and FLOPs of treated layers, by closed formulas; nothing is run."""
    from ondevice_bench.papers.account_table import (
        account_json,
        account_lines,
        dialect_notes,
        dialect_table,
    )
    from ondevice_bench.papers.dialects import EXACT, check_dialect
    from ondevice_bench.run.queries.inspect import account as ask_account
    from ondevice_bench.suite.from_flags import Words

    check_dialect(dialect, method)
    said = {"rank": rank, "fraction": fraction, "weight_rank": weight_rank}
    words = Words(
        [model],
        methods=[method],
        options=options or (),
        ranks={rule: [str(value)] for rule, value in said.items() if value is not None},
        layers=[layers],
        batches=() if batch is None else [batch],
    )
    what, found = ask_account(suite_of(None, None, words))
    if as_json:
        print_json(account_json(what, found, dialect))
        return
    print("\n".join(account_lines(what, found, with_flops=dialect == EXACT)))
    if dialect != EXACT:
        if found["dialects"][dialect]["lines"]:
            print_table(dialect_table(dialect, found))
        print("\n".join(dialect_notes(dialect, found)))
