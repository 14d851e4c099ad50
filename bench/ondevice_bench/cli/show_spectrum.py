"""`bench show spectrum`: the ranks of a model's weights and inputs."""

from typing import Annotated, Any

import typer

from ondevice_bench.cli.arguments import AsJson, one_model, suite_of
from ondevice_bench.errors import BadInput
from ondevice_bench.terminal import print_json, print_table


def show_spectrum(
    model: Annotated[str, typer.Argument(help="A model's name, or ./mynet.py:net.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the model."),
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size (default: the model's).")] = None,
    data: Annotated[str, typer.Option(help="What the batch holds.")] = "synthetic",
    weights: Annotated[
        list[str] | None,
        typer.Option(help="Kinds to compare (default: random, spectrum:0.75, pretrained)."),
    ] = None,
    pattern: Annotated[
        str | None, typer.Option("--layer", help="Print the ranks of the layers that match.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The ranks that hold each share of energy, for random, decaying and pretrained weights."""
    from ondevice_bench.report.terminal.layers import spectrum_rows, spectrum_table
    from ondevice_bench.run.queries.inspect import Refused, spectra

    kinds = weights or ["random", "spectrum:0.75", "pretrained"]
    found: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for kind in kinds:
        words = one_model(model, options, batch, data=data, weights=kind)
        suite = suite_of(None, None, words)
        try:
            answer = spectra(suite)
        except Refused as error:
            if weights:
                raise
            reasons[kind] = str(error)
            continue
        found[suite.weights.name] = answer
    if not found:
        raise BadInput(*dict.fromkeys(reasons.values()))
    epsilons = next(iter(found.values()))["epsilons"]
    by_weights = {kind: answer["layers"] for kind, answer in found.items()}
    if as_json:
        print_json({"epsilons": epsilons, "weights": by_weights, "unavailable": reasons})
        return
    print_table(spectrum_table(epsilons, by_weights))
    if pattern:
        print_table(spectrum_rows(epsilons, by_weights, pattern))
    size = suite.models[0].batches[0]
    print(
        f"on data {suite.data.name}, batch {size}; ranks in % of the largest possible: median over "
        "layers (least … most);\ninputs: over the modes of every layer's input; stored: what HOSVD "
        "would keep of all inputs at these ranks"
    )
    for kind, reason in reasons.items():
        print(f"not shown: {kind}: {reason}")
