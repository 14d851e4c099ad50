"""`bench show spectrum`: the ranks of a model's weights and inputs."""

from typing import Annotated

import typer

from ondevice_bench.cli.arguments import AsJson, BatchSize, ModelName, ModelOptions
from ondevice_bench.terminal import print_json, print_lines, print_tables


def show_spectrum(
    model: ModelName,
    options: ModelOptions = None,
    batch: BatchSize = None,
    data: Annotated[str, typer.Option(help="The source of the batch.")] = "synthetic",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="The weights to compare (default: random, spectrum:0.75 and pretrained)."
        ),
    ] = None,
    pattern: Annotated[
        str | None, typer.Option("--layer", help="Also list the ranks of the layers that match.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the ranks that keep each share of energy, for random, decaying and trained weights."""
    from ondevice_bench.report.terminal.layers import (
        spectrum_notes,
        spectrum_rows,
        spectrum_table,
    )
    from ondevice_bench.running.hosts.local import local_host
    from ondevice_bench.running.queries.compare_spectra import compare_spectra
    from ondevice_bench.suite.from_flags import Words

    sizes = () if batch is None else (batch,)
    words = Words([model], options=options or (), batches=sizes, data=data)
    with local_host() as host:
        comparison = compare_spectra(host, words, weights or ())
    if as_json:
        print_json(comparison.to_dict())
        return
    print_tables(spectrum_table(comparison.epsilons, comparison.layers))
    if pattern:
        print_tables(spectrum_rows(comparison.epsilons, comparison.layers, pattern))
    notes = spectrum_notes(comparison.data, comparison.batch, comparison.unavailable)
    print_lines(*notes)
