"""`bench show model`: the layers of a model."""

from ondevice_bench.cli.arguments import AsJson, BatchSize, ModelName, ModelOptions
from ondevice_bench.terminal import print_json, print_lines, print_tables


def show_model(
    model: ModelName, options: ModelOptions = None, batch: BatchSize = None, as_json: AsJson = False
) -> None:
    """List a model's layers: shapes, parameters, FLOPs, bytes, and the words that choose them."""
    from ondevice_bench.report.terminal.layers import layer_notes, layer_table
    from ondevice_bench.running.hosts.local import local_host
    from ondevice_bench.running.queries.described_suite import described
    from ondevice_bench.running.queries.inspect import layers
    from ondevice_bench.suite.from_flags import Words

    sizes = () if batch is None else (batch,)
    words = Words([model], options=options or (), batches=sizes)
    with local_host() as host:
        suite = described(host, words.suite())
        network = layers(host, suite)
    size = suite.models[0].batches[0]
    if as_json:
        print_json({"model": suite.models[0].name, "batch": size, **network})
    else:
        print_tables(layer_table(network))
        print_lines(*layer_notes(network, size))
