"""`bench show model`: what a model consists of."""

from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, one_model, suite_of
from ondevice_bench.terminal import print_json, print_table


def show_model(
    model: Annotated[str, typer.Argument(help="A model's name, or ./mynet.py:net.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the model."),
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size (default: the model's).")] = None,
    as_json: AsJson = False,
) -> None:
    """A model's layers: shapes, parameters, FLOPs, activation bytes, and what chooses them."""
    from ondevice_bench.report.terminal.layers import layer_notes, layer_table
    from ondevice_bench.run.queries.inspect import layers

    words = one_model(model, options, batch)
    suite = suite_of(None, None, words)
    found = layers(suite)
    size = suite.models[0].batches[0]
    if as_json:
        print_json({"model": suite.models[0].name, "batch": size, **found})
    else:
        print_table(layer_table(found))
        print("\n".join(layer_notes(found, size)))
